"""The names of the panels, where there is only room for one of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from textual import events

from ..drawing.words import culprit_verdict
from ..scene import Scene
from .drawn import Drawn
from .rows import Part

if TYPE_CHECKING:
    from ..app import CvdebugApp

SHORT = {"database": "db", "summary": "sum"}


class Tab(NamedTuple):
    """A panel's key and name, and whether it is the one in sight, or has something that should be seen."""

    number: int
    id: str
    name: str
    current: bool
    marked: bool


class Tabs(Drawn[tuple[Tab, ...]], can_focus=False):
    """One line; a click or the number's key brings a panel to the front. A verdict of a hang is marked."""

    app: CvdebugApp

    COMPONENT_CLASSES: ClassVar[set[str]] = {"rows--current"}
    DEFAULT_CSS = """
    Tabs { height: 1; display: none; }
    Tabs > .rows--current { color: $primary; text-style: bold reverse; }
    """

    def __init__(self, panels: Sequence[str], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._panels = panels

    def show(self, scene: Scene) -> None:
        """Shows what there is now."""
        hang = culprit_verdict(scene.state) is not None
        current = self.app.main.current
        tabs = (
            Tab(
                number,
                id,
                "summary" if id == "phases" and scene.followed else id,
                id == current,
                hang and id == "verdict",
            )
            for number, id in enumerate(self._panels, 1)
        )
        self.show_rows([tuple(tabs)])

    def draw(self, row: tuple[Tab, ...], width: int) -> Iterable[Part]:
        for text, tab in _laid_out(row, width):
            tone = "current" if tab.current else "bad" if tab.marked else ""
            yield text, tone
            yield " ", ""

    def on_click(self, event: events.Click) -> None:
        x = event.x
        for text, tab in _laid_out(self.rows[0], self.size.width):
            if 0 <= x <= len(text):
                self.app.main.action_panel(tab.id)
                return
            x -= len(text) + 1


def _laid_out(row: Sequence[Tab], width: int) -> list[tuple[str, Tab]]:
    """The text of each tab; where there is no room, closer together and the longest name shorter."""
    for pad in (" ", ""):
        tabs = []
        for tab in row:
            name = tab.name if pad else SHORT.get(tab.name, tab.name)
            tabs.append((f"{pad}{tab.number} {name}{' ✗' if tab.marked else ''}{pad}", tab))
        if sum(len(text) + 1 for text, _ in tabs) <= width + 1:
            break
    return tabs
