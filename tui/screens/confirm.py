"""What asks a person something on top of the main screen: the frame that all such screens share, and a yes or no."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar, TypeVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widget import Widget

from ..text import clean
from ..widgets.key_bar import Hint, KeyBar
from ..widgets.prose import Paragraph, Prose
from ..widgets.rows import Rows
from .steady import Steady

if TYPE_CHECKING:
    from ..app import CvdebugApp
    from ..scene import Scene

Answer = TypeVar("Answer")


class Asking(ModalScreen[Answer], Steady[Answer]):
    """A box with a title, something to read or choose, and its keys. Escape leaves everything as it is.

    Enter comes from whatever has the focus, as `Rows.Chosen`, and ends in `action_confirm`.
    """

    app: CvdebugApp

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "leave", show=False),
        Binding("enter", "confirm", show=False),
    ]
    DEFAULT_CSS = """
    Asking { align: center middle; }
    Asking > Vertical { width: 100; max-width: 96%; height: 22; max-height: 94%; background: $surface;
                        border: round $primary; border-title-style: bold; padding: 0 1; }
    Asking ToastRack { dock: top; align: right top; margin: 0; }
    """

    def __init__(self, title: str, hints: Sequence[Hint]) -> None:
        super().__init__()
        self._title = title
        self._hints = hints

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = Content(clean(self._title))
            yield from self.body()
            yield KeyBar(self._hints)

    def body(self) -> Iterable[Widget]:
        """What stands between the title and the keys."""
        raise NotImplementedError

    def on_mount(self) -> None:
        self.app.clear_notifications()  # they would cover the keys
        self.show(self.app.scene)

    def show(self, scene: Scene) -> None:
        """Shows what there is now; called at each tick."""

    def action_leave(self) -> None:
        self.dismiss()

    def action_confirm(self) -> None:
        """Does what was chosen."""

    def on_rows_chosen(self, message: Rows.Chosen) -> None:
        self.action_confirm()


class ConfirmScreen(Asking[bool]):
    """A question that Enter answers with yes and Escape with no."""

    DEFAULT_CSS = "ConfirmScreen > Vertical { height: 12; }"

    def __init__(self, question: str, reasons: Sequence[Paragraph], *, yes: str) -> None:
        """`reasons` are what a person should know before; `yes` is what Enter does, in words."""
        super().__init__(question, (Hint("enter", yes, "confirm"), Hint("esc", "leave it as it is", "leave")))
        self._reasons = reasons

    def body(self) -> Iterable[Widget]:
        yield Prose(id="reasons")

    def show(self, scene: Scene) -> None:
        self.query_one(Prose).say(self._reasons)

    def action_leave(self) -> None:
        self.dismiss(False)

    def action_confirm(self) -> None:
        self.dismiss(True)
