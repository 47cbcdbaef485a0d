"""What can be run: the shipped scenarios and files of one's own, what each teaches, and how it ends."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import Input

from ...core.errors import CvdebugError
from ..scene import Scene
from ..widgets.choices import Choices
from ..widgets.key_bar import Hint
from ..widgets.prose import Paragraph, Prose
from ..widgets.rows import Part, Rows
from .confirm import Asking

if TYPE_CHECKING:
    from ...core.scenario import Expectation, Scenario

NAME_WIDTH = 22
_ENDS = {0: "completes", 1: "fails", 3: "hangs", 4: "runs into its time limit"}
_HINTS = (
    Hint("↑↓", "choose"),
    Hint("enter", "run it", "confirm"),
    Hint("esc", "close", "leave"),
    Hint("type", "to filter, or a .toml path"),
)


class ScenariosScreen(Asking[str]):
    """A list that is filtered while one types; the answer is the name, or the path, of what is to be run."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", show=False),
        Binding("down", "move(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
    ]
    DEFAULT_CSS = """
    ScenariosScreen > Vertical { height: 34; }
    ScenariosScreen Input, ScenariosScreen Input:focus { height: 1; border: none; padding: 0; background: $surface; }
    ScenariosScreen #names { height: 2fr; max-height: 15; border-top: solid $panel; }
    ScenariosScreen #about { height: 3fr; border-top: solid $panel; }
    """

    def __init__(self, current: str) -> None:
        """`current` is the name of the scenario that runs."""
        super().__init__("Scenarios", _HINTS)
        self._current = current
        self._known: dict[str, Scenario | str] = {}

    def body(self) -> Iterable[Widget]:
        about, names = Prose(id="about"), Choices(id="names")
        names.can_focus = about.can_focus = False  # what is typed filters, and the arrows move
        return Input(placeholder="type to filter", id="filter"), names, about

    def on_mount(self) -> None:
        from ...core import scenario

        self._known = {name: _load(name) for name in scenario.names()}
        self.query_one(Input).focus()
        self._filter("")
        self.query_one(Choices).put_cursor(self._current)

    def show(self, scene: Scene) -> None:
        key = self.query_one(Choices).cursor
        found = self._known.get(str(key)) if key in self.query_one(Choices).keys else None
        self.query_one("#about", Prose).say(list(_about(found)))

    def on_input_changed(self, message: Input.Changed) -> None:
        self._filter(message.value.strip())

    def on_input_submitted(self, message: Input.Submitted) -> None:
        self.action_confirm()

    def on_rows_moved(self, message: Rows.Moved) -> None:
        self.show(self.app.scene)

    def action_move(self, by: int) -> None:
        self.query_one(Choices).action_move(by)

    def action_page(self, by: int) -> None:
        self.query_one("#about", Prose).action_page(by)

    def action_confirm(self) -> None:
        choices = self.query_one(Choices)
        if choices.cursor not in choices.keys:
            return
        name = str(choices.cursor)
        if isinstance(found := self._known[name], str):
            self.app.notify(found, markup=False, severity="warning")
        else:
            self.dismiss(name)

    def _filter(self, words: str) -> None:
        """Shows what holds the words; where they are the path of a scenario file, that one."""
        if words.endswith(".toml"):
            self._known[words] = _load(words)
            names = [words]
        else:
            wanted = words.lstrip("/").lower()
            names = [name for name, found in self._known.items() if wanted in _text(name, found).lower()]
            names.sort(key=lambda name: wanted not in name)  # those that are called so come first
        self.query_one(Choices).show_rows({name: self._row(name) for name in names})
        self.show(self.app.scene)

    def _row(self, name: str) -> list[Part]:
        found, runs = self._known[name], name == self._current
        shown = name.rpartition("/")[2] + (" (now)" if runs else "")
        title, tone = (f"✗ {found}", "bad") if isinstance(found, str) else (found.title, "")
        return [("▶ " if runs else "  ", "accent"), (f"{shown:<{NAME_WIDTH}} ", "bold"), (title, tone)]


def _load(name: str) -> Scenario | str:
    from ...core import scenario

    try:
        return scenario.load(name)
    except CvdebugError as error:
        return str(error)


def _text(name: str, found: Scenario | str) -> str:
    return name if isinstance(found, str) else f"{name} {found.title} {found.teaches}"


def _about(found: Scenario | str | None) -> Iterator[Paragraph]:
    """A scenario in full."""
    if found is None:
        yield Paragraph("No scenario holds that. A file of your own is given by its path, ending in .toml.")
        return
    if isinstance(found, str):
        yield Paragraph(found, "warn")
        return
    yield Paragraph(" ".join(found.teaches.split()))
    width = max((len(end.asked) for end in found.expect), default=0)
    for end in found.expect:
        yield Paragraph(_end(end), "", f"{end.asked:<{width}}  ")
    if found.settings:
        yield Paragraph(", ".join(f"{key} {value}" for key, value in found.settings.items()), "dim", "it sets ")


def _end(end: Expectation) -> str:
    """How a run ends with these flags."""
    where = f" in {end.phase}" if end.phase else ""
    what = f": {end.verdict}" if end.verdict else ""
    mark = {0: "✓", 3: "✗"}.get(end.exit_code, "!")
    code = f"(exit code {end.exit_code})".replace(" ", "\N{NO-BREAK SPACE}")
    return f"{mark} {_ENDS.get(end.exit_code, 'ends')}{where}{what} {code}"
