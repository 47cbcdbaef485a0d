"""Contextual help: what the panel in focus shows and its own keys, every key of the app, and what the signs mean."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widget import Widget

from ..actions import ACTIONS, Action
from ..drawing.lines import BLANK, Line, entry, plain
from ..keys import cap
from ..scene import Scene
from ..widgets.rows import Lines, Rows
from .steady import Steady

KEY_WIDTH = 9
SIGNS = (
    ("✗ dead", "nothing can ever wake it: proven from two looks, not guessed from silence"),
    ("○ waits", "it waits for something that can still come"),
    ("▶ runs", "it is on a processor, or wants to be"),
    ("‖ stopped", "a signal, a debugger or a frozen group holds it"),
    ("· ended", "the first thread of a process that goes on without it"),
)


class HelpScreen(ModalScreen[None], Steady[None]):
    """Scrolls with the arrows; Escape, `?` or `q` closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,q", "dismiss", "close", show=False),
    ]
    CSS = """
    HelpScreen { align: center middle; }
    HelpScreen > Vertical { width: 84; max-width: 96%; height: 88%; background: $surface; border: round $primary;
                            border-title-style: bold; border-subtitle-color: $text-muted; padding: 0 1; }
    """

    def __init__(self, panel: Widget | None, scene: Scene) -> None:
        """`panel` is what had the focus."""
        super().__init__()
        self._panel = panel
        self._scene = scene

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = "Help"
            box.border_subtitle = "↑ ↓ scroll   esc close"
            yield Lines(id="help", cursor=False)

    def on_mount(self) -> None:
        self.query_one(Lines).focus()

    def on_resize(self, event: events.Resize) -> None:
        self.call_after_refresh(self._lay_out)

    def _lay_out(self) -> None:
        shown = self.query_one(Lines)
        if width := shown.scrollable_content_region.width:
            lines = (*_about(self._panel, width), *_actions(self._scene, width), *_signs(width))
            shown.show_lines([line.parts for line in lines])


def _about(panel: Widget | None, width: int) -> Iterator[Line]:
    """What is in focus, in words, and its own keys."""
    if panel is None:
        return
    yield plain((str(getattr(panel, "BORDER_TITLE", "") or type(panel).__name__), "accent"))
    yield from entry(getattr(panel, "HELP", ""), width, lead=("  ", ""))
    for binding in _bindings(panel):
        yield from _key(cap(binding.key), binding.tooltip or binding.description, width)
    yield BLANK


def _key(key: str, says: str, width: int, *, possible: bool = True) -> Iterator[Line]:
    lead = (f"  {key:<{KEY_WIDTH}}", "bold" if possible else "dim")
    yield from entry(says if possible else f"{says} (not now)", width, lead=lead, tone="" if possible else "dim")


def _bindings(panel: Widget) -> Iterable[Binding]:
    """The panel's own keys, those that say what they do."""
    seen = set()
    for kind in (kind for kind in type(panel).__mro__ if issubclass(kind, Rows)):
        for binding in vars(kind).get("BINDINGS", ()):
            if isinstance(binding, Binding) and (binding.tooltip or binding.description) and binding.key not in seen:
                seen.add(binding.key)
                yield binding


def _actions(scene: Scene, width: int) -> Iterator[Line]:
    areas: dict[str, list[Action]] = {}
    for action in ACTIONS:
        areas.setdefault(action.area, []).append(action)
    for area, actions in areas.items():
        yield plain((area.capitalize(), "accent"))
        for action in actions:
            possible = action.rank(scene) is not None
            says = f"{action.verb}: {action.says[0].lower()}{action.says[1:]}"
            yield from _key(cap(action.key), says, width, possible=possible)
        yield BLANK
    yield plain(("Everywhere", "accent"))
    for key, says in (("1-7", "go to a panel"), ("tab", "the next panel"), ("enter", "open what is under the cursor"),
                      ("esc", "close what lies on top")):  # fmt: skip
        yield from _key(key, says, width)
    yield BLANK


def _signs(width: int) -> Iterator[Line]:
    yield plain(("Signs", "accent"))
    for sign, says in SIGNS:
        yield from entry(says, width, lead=(f"  {sign:<{KEY_WIDTH + 2}}", "bold"))
