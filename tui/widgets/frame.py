"""What stands around a panel: a title line with the number of its key, which shows where the keys go.

The titles are those that the panels give themselves; two panels that share a place share a title line.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from rich.cells import cell_len
from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widget import Widget

from .drawn import Drawn
from .rows import Part

if TYPE_CHECKING:
    from ..app import CvdebugApp


class Heading(NamedTuple):
    """A panel in a title line: `front` when it is the one that is seen there."""

    number: int
    id: str
    title: str
    front: bool


class Line(NamedTuple):
    """A whole title line; `focused` when the keys go to its panel."""

    headings: tuple[Heading, ...]
    subtitle: str
    focused: bool


class Title(Drawn[Line], can_focus=False):
    """One line. A heavy line and a reversed title say that the panel has the keys."""

    app: CvdebugApp

    COMPONENT_CLASSES: ClassVar[set[str]] = {"rows--line", "rows--focused", "rows--current"}
    DEFAULT_CSS = """
    Title { height: 1; }
    Title > .rows--line { color: $text-muted; }
    Title > .rows--focused { color: $primary; text-style: bold; }
    Title > .rows--current { color: $primary; text-style: bold reverse; }
    """

    def draw(self, row: Line, width: int) -> Iterable[Part]:
        stroke, tone = ("━", "focused") if row.focused else ("─", "line")
        yield stroke, tone
        room = width - 1
        for heading, text in _texts(row):
            front = heading.front
            yield text, ("current" if row.focused else "bold") if front else "dim"
            room -= cell_len(text)
        end = f" {row.subtitle} {stroke}" if row.subtitle and len(row.subtitle) + 4 <= room else ""
        yield stroke * max(0, room - cell_len(end)), tone
        yield end, tone

    def on_click(self, event: events.Click) -> None:
        x = event.x - 1
        for heading, text in _texts(self.rows[0]):
            if x < cell_len(text) or heading is self.rows[0].headings[-1]:
                self.app.main.action_panel(heading.id)
                return
            x -= cell_len(text)


def _texts(row: Line) -> list[tuple[Heading, str]]:
    """What is said of each panel; where there are several, the one in front is marked."""
    several = len(row.headings) > 1
    return [
        (heading, f" {'▸ ' if several and heading.front else ''}{heading.number} {heading.title} ")
        for heading in row.headings
    ]


class Frame(Vertical):
    """A title line above one panel, or above several of which one is in front."""

    DEFAULT_CSS = """
    Frame { width: 1fr; height: 1fr; }
    Frame > .-back { display: none; }
    Frame > Rows { padding: 0 1; }
    """

    def __init__(self, *panels: tuple[int, Widget], id: str | None = None) -> None:
        """Each panel with the number of its key; the last one is in front."""
        super().__init__(id=id)
        self.panels = tuple(panel for _, panel in panels)
        self._numbers: Sequence[int] = [number for number, _ in panels]
        self._title = Title()
        for panel in self.panels[:-1]:
            panel.add_class("-back")

    def compose(self) -> ComposeResult:
        yield self._title
        yield from self.panels

    @property
    def front(self) -> Widget:
        """The panel that is seen here."""
        return next(panel for panel in self.panels if not panel.has_class("-back"))

    def bring(self, panel: Widget) -> None:
        """Puts this one of its panels in front."""
        for other in self.panels:
            other.set_class(other is not panel, "-back")

    def show_title(self, *, focused: bool, hint: str = "") -> None:
        """Shows the titles as they are now, and at their right what the panel says and `hint`."""
        headings = tuple(
            Heading(number, panel.id or "", _plain(panel.border_title), panel is self.front)
            for number, panel in zip(self._numbers, self.panels, strict=True)
        )
        said = [text for text in (_plain(self.front.border_subtitle), hint) if text]
        self._title.show_rows([Line(headings, " · ".join(said), focused)])


@lru_cache(64)
def _plain(title: str | None) -> str:
    """A panel keeps its title as markup."""
    return Content.from_markup(title).plain if title else ""
