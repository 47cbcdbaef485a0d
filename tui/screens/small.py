"""What is shown while the terminal is too small for anything else; it goes by itself when there is room again."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.screen import ModalScreen
from textual.widgets import Static

from .steady import Steady

if TYPE_CHECKING:
    from ..app import CvdebugApp

LEAST = Size(60, 16)


def too_small(size: Size) -> bool:
    """Whether the main screen would be of no use."""
    return size.width < LEAST.width or size.height < LEAST.height


class TooSmall(ModalScreen[None], Steady[None]):
    """A sentence. Whatever lies below goes on."""

    app: CvdebugApp

    DEFAULT_CSS = """
    TooSmall { background: $background; align: center middle; }
    TooSmall Static { width: 100%; }
    TooSmall Toast { display: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("q", "app.do('quit')", show=False)]

    def compose(self) -> ComposeResult:
        yield Static(
            f"This terminal is too small: cvdebug needs {LEAST.width} columns and {LEAST.height} lines. "
            "The run goes on; make the window larger, or press q to quit.",
            markup=False,
        )

    def on_screen_resume(self) -> None:
        """It may have grown while something else lay on top."""
        if not too_small(self.app.size):
            self.dismiss()
