"""Why it hangs: the whole page on the class of the verdict, with a drawing of this run; or all classes to read in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.screen import ModalScreen

from ..drawing.explain_lines import classes, page
from ..drawing.lines import Line
from ..drawing.targets import Opens, Target
from ..drawing.verdict_lines import ranked
from ..scene import Scene
from ..text import clean
from ..widgets.key_bar import Hint, KeyBar
from ..widgets.linked import Linked
from .steady import Steady

if TYPE_CHECKING:
    from ...core.diagnose.card import Card
    from ..app import CvdebugApp


class ExplainScreen(ModalScreen[None], Steady[None]):
    """Opens on one class, or on the list of all. Escape goes back to where a person came from."""

    app: CvdebugApp

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,backspace", "back", "back", show=False),
        Binding("a", "list", "all classes", show=False),
        Binding("e,q", "dismiss", "close", show=False),
    ]
    CSS = """
    ExplainScreen { align: center middle; }
    ExplainScreen > Vertical { width: 110; max-width: 96%; height: 94%; background: $surface; border: round $primary;
                               border-title-style: bold; padding: 0 1; }
    ExplainScreen KeyBar { height: 1; }
    """

    def __init__(self, cards: Mapping[str, Card], slug: str, scene: Scene) -> None:
        """`slug` is "" for the list. What is said of the run is as it is in `scene`: a page to read does not move."""
        super().__init__()
        self._page = Page(cards, slug, scene)
        self._from_list = not slug

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            yield self._page
            yield KeyBar([
                Hint("↑ ↓", "read"), Hint("enter", "open, go there"), Hint("a", "all classes", "list"),
                Hint("esc", "back", "back"),
            ])  # fmt: skip
        box.border_title = self._title

    def on_mount(self) -> None:
        self._page.focus()
        self.call_after_refresh(self._page.lay_out)

    def on_page_opened(self) -> None:
        self._from_list = True
        self.query_one(Vertical).border_title = self._title

    def action_back(self) -> None:
        if self._page.slug and self._from_list:
            self.action_list()
        else:
            self.dismiss()

    def action_list(self) -> None:
        self._page.turn("")
        self.query_one(Vertical).border_title = self._title

    @property
    def _title(self) -> Content:
        return Content(
            f"Explain: {clean(self._page.slug)}" if self._page.slug else "Explain: every class that is known"
        )


class Page(Linked):
    """One class, or the list of all."""

    class Opened(Message):
        """A class was chosen from the list."""

    def __init__(self, cards: Mapping[str, Card], slug: str, scene: Scene) -> None:
        super().__init__()
        self.slug = slug
        self._cards = cards
        self._scene = scene
        self._drawn: tuple[str, int] | None = None
        self._page_lines: Sequence[Line] = ()

    def laid_out(self, scene: Scene, width: int) -> Sequence[Line]:
        if self._drawn != (self.slug, width):
            self._drawn, self._page_lines = (self.slug, width), tuple(self._drawing(scene, width))
        return self._page_lines

    def turn(self, slug: str) -> None:
        """Shows another class; "" is the list, on the line of the class that was left."""
        left, self.slug = self.slug, slug
        self.lay_out()
        if not slug:
            self.put_cursor(next((at for at, line in enumerate(self._page_lines) if line.targets == (Opens(left),)), 0))
        else:
            self.to_top()

    def open_page(self, slug: str) -> None:
        self.turn(slug)
        self.post_message(self.Opened())

    def follow(self, target: Target) -> None:
        if not isinstance(target, Opens):
            self.screen.dismiss()
        super().follow(target)

    def _drawing(self, scene: Scene, width: int) -> Iterable[Line]:
        said = {verdict.slug: verdict for verdict in ranked(scene.state)}
        if not self.slug:
            return classes(self._cards.values(), said, width)
        return page(self._cards[self.slug], said.get(self.slug), scene.state, width)
