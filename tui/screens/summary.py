"""What a run came to, on top of the main screen; it can be closed and opened again."""

from __future__ import annotations

from collections.abc import Iterable

from textual.widget import Widget

from ...core.state import RunState
from ..drawing.summary_lines import summary_lines
from ..widgets.key_bar import Hint
from ..widgets.prose import Prose
from .confirm import Asking


class SummaryScreen(Asking[None]):
    """After a fix before and after side by side, else a few lines. What it shows stands still."""

    DEFAULT_CSS = "SummaryScreen > Vertical { height: 16; }"

    def __init__(self, hung: RunState | None, state: RunState) -> None:
        """`hung` is the run as it was when the fix began, None where there was no fix."""
        hints = (Hint("esc", "close", "leave"), Hint("u", "opens it again"))
        super().__init__("What the fix did" if hung else "What the run did", hints)
        self._lines = summary_lines(hung, state)

    def body(self) -> Iterable[Widget]:
        yield Prose(id="summary")

    def on_mount(self) -> None:
        self.query_one(Prose).say(self._lines)

    def action_confirm(self) -> None:
        self.dismiss()
