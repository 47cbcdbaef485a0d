"""The tour: a card at the bottom that points at one panel after the other, while the run goes on behind it.

Every key of the app works as without it, so that the story can be played and not only read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from ..actions import ACTIONS
from ..drawing.tour_steps import STEPS
from ..widgets.rows import Rows
from .main import BESIDE
from .steady import Steady

if TYPE_CHECKING:
    from ..app import CvdebugApp

POINTED = "-pointed"
_TAKEN = ("quit", "palette")  # these keys close the tour first


class TourScreen(ModalScreen[None], Steady[None]):
    """One card; → and ← go through the steps, Escape ends the tour."""

    app: CvdebugApp

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,space", "step(1)", "next", show=False),
        Binding("left,backspace", "step(-1)", "back", show=False),
        Binding("escape", "leave", "end the tour", show=False),
        Binding("up", "move(-1)", "row above", show=False),
        Binding("down", "move(1)", "row below", show=False),
        Binding("enter", "choose", "open what the row leads to", show=False),
        *(
            Binding(action.key, f"app.do('{action.id}')", show=False)
            for action in ACTIONS
            if action.id not in _TAKEN and action.id != "help"
        ),
        Binding("q", "app.do('quit')", show=False),
    ]
    CSS = f"""
    TourScreen {{ align: center bottom; background: transparent; }}
    TourScreen > Vertical {{ width: 100%; height: 7; margin-bottom: 1; padding: 0 1; background: $panel;
                            border: heavy $warning; border-title-style: bold; border-subtitle-color: $text; }}
    TourScreen #text {{ height: 4; }}
    TourScreen #then {{ height: 1; color: $text-success; text-style: bold; }}
    .{POINTED} > Title > .rows--focused, .{POINTED} > Title > .rows--line {{ color: $warning; text-style: bold; }}
    .{POINTED} > Title > .rows--current {{ color: $warning; text-style: bold reverse; }}
    #top.{POINTED} {{ background: $warning 30%; }}
    """

    def __init__(self) -> None:
        super().__init__(classes=BESIDE)
        self._number = 0

    def compose(self) -> ComposeResult:
        with Vertical(id="card"):
            yield Static(id="text", markup=False)
            yield Static(id="then", markup=False)

    def on_mount(self) -> None:
        self._show()
        self.set_interval(0.5, self._show_progress)

    def action_step(self, by: int) -> None:
        """The next card, or the one before; after the last one the tour is over."""
        if self._number + by >= len(STEPS):
            self.action_leave()
            return
        self._number = max(0, self._number + by)
        self._show()

    def action_move(self, by: int) -> None:
        """Moves in the panel that is pointed at, as without the tour."""
        if isinstance(panel := self.app.main.focused, Rows):
            panel.action_move(by)

    def action_choose(self) -> None:
        """Opens what the row under the panel's cursor leads to; where there is none, goes on."""
        panel = self.app.main.focused
        if isinstance(panel, Rows) and panel.cursor is not None:
            panel.action_choose()
        else:
            self.action_step(1)

    def action_leave(self) -> None:
        self._point("")
        self.dismiss()

    def _show(self) -> None:
        step = STEPS[self._number]
        card = self.query_one("#card")
        card.border_title = Content(f"{self._number + 1}/{len(STEPS)}  {step.title}")
        last = self._number + 1 == len(STEPS)
        card.border_subtitle = Content(f"→ {'end' if last else 'next'}   ← back   esc leave the tour")
        self.query_one("#text", Static).update(Content(step.text))
        self._point(step.panel)
        self._show_progress()

    def _show_progress(self) -> None:
        step = STEPS[self._number]
        done = step.done(self.app.scene.state)
        self.query_one("#then", Static).update(Content(f"✓ {step.then}  → goes on" if done and step.then else ""))

    def _point(self, id: str) -> None:
        main = self.app.main
        for part in main.query("#top, #panels > *").results():
            part.set_class(part.id in (id, f"frame-{id}"), POINTED)
        if id in main.PANELS:
            main.action_panel(id)
