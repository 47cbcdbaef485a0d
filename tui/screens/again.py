"""Asks before a run begins anew: with which toggle, and what of the present run would end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widget import Widget

from ...core.model import Phase
from ...core.state import RunState
from ..drawing.words import hung
from ..scene import Scene
from ..widgets.key_bar import Hint
from ..widgets.prose import Paragraph, Prose
from .confirm import Asking

_MEANS = {
    "on": "The tokenizer uses threads of its own; with workers by fork that is the classic deadlock.",
    "off": "The tokenizer works on one core, and no batch call waits for threads.",
    "unset": "The library decides: it goes serial by itself in a forked worker.",
}


class AgainScreen(Asking[bool]):
    """Enter ends what runs and begins anew, Escape keeps it; `p` turns the toggle for the next run."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("p", "turn", show=False)]
    DEFAULT_CSS = "AgainScreen > Vertical { height: 13; }"

    def __init__(self, scenario: str | None = None) -> None:
        """`scenario` is another one than that which runs."""
        hints = (
            Hint("enter", "yes, run", "confirm"),
            Hint("esc", "later", "leave"),
            Hint("p", "change the toggle", "turn"),
        )
        super().__init__(f"Run {scenario}" if scenario else "Run again", hints)
        self._scenario = scenario

    def body(self) -> Iterable[Widget]:
        yield Prose(id="again")

    def show(self, scene: Scene) -> None:
        state, toggle = self.app.bridge.state, self.app.doing.next_toggle
        self.query_one(Prose).say([*_question(self._scenario, toggle), *at_stake(state)])

    def action_turn(self) -> None:
        self.app.doing.turn_toggle()
        self.show(self.app.scene)

    def action_leave(self) -> None:
        self.dismiss(False)

    def action_confirm(self) -> None:
        self.dismiss(True)


def _question(scenario: str | None, toggle: str) -> Iterator[Paragraph]:
    what = f"Run {scenario}" if scenario else "Run again"
    yield Paragraph(f"{what} with TOKENIZERS_PARALLELISM {toggle}?" if toggle else f"{what}?", "bold")
    if toggle:
        yield Paragraph(_MEANS[toggle], "dim")


def in_progress(state: RunState) -> bool:
    """Whether a run goes on, or a hang is held."""
    return state.finished is None and bool(state.started_at)


def at_stake(state: RunState) -> Iterator[Paragraph]:
    """What would end, and what is kept of it."""
    if not in_progress(state):
        return
    yield Paragraph("")
    what = "the hung run, which is held," if hung(state) else "the run in progress"
    yield Paragraph(f"This ends {what} and all its processes.", "warn")
    if state.phases[Phase.LOAD].status not in ("done", "kept"):
        yield Paragraph("It has computed nothing yet, so nothing is lost.")
        return
    embedded = state.phases[Phase.EMBED]
    yield Paragraph(
        f"Its spool is kept, with {embedded.done:,}{f' of {embedded.total:,}' if embedded.total else ''} vectors: "
        f"cvdebug resume {state.run} finishes it."
    )
