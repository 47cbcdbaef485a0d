"""Contextual help: what the panel in focus shows and its own keys, every key of the app, and what the signs mean."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widget import Widget

from ..actions import ACTIONS, Action
from ..keys import cap
from ..scene import Scene
from ..widgets.rows import Lines, Part

KEY_WIDTH = 9
SIGNS = (
    ("✗ dead", "nothing can ever wake it: proven from two looks, not guessed from silence"),
    ("○ waits", "it waits for something that can still come"),
    ("▶ runs", "it is on a processor, or wants to be"),
    ("‖ stopped", "a signal, a debugger or a frozen group holds it"),
    ("· ended", "the first thread of a process that goes on without it"),
)


class HelpScreen(ModalScreen[None]):
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
        lines = [*_about(self._panel), *_actions(self._scene), *_signs()]
        shown = self.query_one(Lines)
        shown.show_lines(lines)
        shown.focus()


def _about(panel: Widget | None) -> Iterator[list[Part]]:
    """What is in focus, in words, and its own keys."""
    if panel is None:
        return
    yield [(str(getattr(panel, "BORDER_TITLE", "") or type(panel).__name__), "accent")]
    for text in _paragraph(getattr(panel, "HELP", "") or panel.__doc__ or ""):
        yield [(f"  {text}", "")]
    for binding in _bindings(panel):
        yield [(f"  {cap(binding.key):<{KEY_WIDTH}}", "bold"), (binding.tooltip or binding.description, "")]
    yield []


def _bindings(panel: Widget) -> Iterable[Binding]:
    """The panel's own keys, those that say what they do."""
    seen = set()
    for kind in type(panel).__mro__:
        for binding in vars(kind).get("BINDINGS", ()):
            if isinstance(binding, Binding) and (binding.tooltip or binding.description) and binding.key not in seen:
                seen.add(binding.key)
                yield binding


def _actions(scene: Scene) -> Iterator[list[Part]]:
    areas: dict[str, list[Action]] = {}
    for action in ACTIONS:
        areas.setdefault(action.area, []).append(action)
    for area, actions in areas.items():
        yield [(area.capitalize(), "accent")]
        for action in actions:
            possible = action.rank(scene) is not None
            yield [
                (f"  {cap(action.key):<{KEY_WIDTH}}", "bold" if possible else "dim"),
                (f"{action.verb}: {action.says[0].lower()}{action.says[1:]}", "" if possible else "dim"),
                ("" if possible else "  (not now)", "dim"),
            ]
        yield []
    yield [("Everywhere", "accent")]
    for key, says in (("1-7", "go to a panel"), ("tab", "the next panel"), ("enter", "open what is under the cursor"),
                      ("esc", "close what lies on top")):  # fmt: skip
        yield [(f"  {key:<{KEY_WIDTH}}", "bold"), (says, "")]
    yield []


def _signs() -> Iterator[list[Part]]:
    yield [("Signs", "accent")]
    for sign, says in SIGNS:
        yield [(f"  {sign:<{KEY_WIDTH + 2}}", "bold"), (says, "")]


def _paragraph(text: str, width: int = 74) -> Iterator[str]:
    """A docstring's first paragraph, or a text, in lines."""
    line = ""
    for word in text.strip().split("\n\n")[0].split():
        if line and len(line) + len(word) >= width:
            yield line
            line = ""
        line = f"{line} {word}".strip()
    if line:
        yield line
