"""Who waits for whom: the wait-for graph as boxes and arrows, over the whole screen and kept up to date."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.geometry import Size
from textual.screen import ModalScreen
from textual.widgets import Static

from ...core.model import DatabaseSession, Graph
from ..drawing.graph_lines import Drawing, Line, draw
from ..drawing.graph_sessions import with_sessions
from ..drawing.words import culprit_verdict
from ..scene import Scene, Selection
from ..text import clean
from ..widgets.database import Database
from ..widgets.key_bar import Hint, KeyBar
from ..widgets.rows import Key, Part, Rows
from .steady import Steady

if TYPE_CHECKING:
    from ..app import CvdebugApp

_Shown = tuple[Graph | None, tuple[DatabaseSession, ...], dict[int, str], str, Size]


class GraphScreen(ModalScreen[None], Steady[None]):
    """Boxes are processes, with their threads; an arrow leads from who waits to who is waited for."""

    app: CvdebugApp

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,g,q", "dismiss", "close", show=False)]
    CSS = """
    GraphScreen > #graph-story { height: 2; padding: 0 1; text-style: bold; }
    GraphScreen > #graph { height: 1fr; padding: 0 1; border-top: solid $primary; border-title-color: $primary; }
    GraphScreen > #graph-detail { height: 3; padding: 0 1; border-top: solid $panel; color: $text-muted; }
    GraphScreen > KeyBar { height: 1; padding: 0 1; }
    """

    def compose(self) -> ComposeResult:
        yield Static(id="graph-story", markup=False)
        yield Boxes(id="graph")
        yield Static(id="graph-detail", markup=False)
        yield KeyBar([
            Hint("↑ ↓", "move"), Hint("enter", "go there", "go"), Hint("esc", "close", "dismiss"),
        ])  # fmt: skip

    def on_mount(self) -> None:
        self.query_one(Boxes).focus()

    def on_screen_resume(self) -> None:
        self.call_after_refresh(lambda: self.show(self.app.scene))

    def show(self, scene: Scene) -> None:
        """Shows what there is now."""
        boxes = self.query_one(Boxes)
        if boxes.show(scene):
            self.query_one("#graph-story", Static).update(Content(boxes.drawing.story))
            self._tell()

    def on_rows_moved(self, message: Rows.Moved) -> None:
        self._tell()

    def on_resize(self, event: events.Resize) -> None:
        self.call_after_refresh(lambda: self.show(self.app.scene))

    def on_rows_chosen(self, message: Rows.Chosen) -> None:
        self.action_go()

    def action_go(self) -> None:
        """Looks at what the cursor stands on, on the main screen."""
        line = self.query_one(Boxes).line
        spot = line.spot if line else None
        if spot is None:
            return
        main = self.app.main
        if not spot.outside:
            self.dismiss()
            main.action_panel("tree")
            main.select(Selection(spot.pid, spot.tid))
        elif main.query_one(Database).reveal(spot.pid):
            self.dismiss()
            main.action_panel("database")
        else:
            self.app.notify(f"PID {spot.pid} is not in the tree: there is no more to see of it.", markup=False)

    def _tell(self) -> None:
        line = self.query_one(Boxes).line
        says = line.spot.says if line and line.spot else ""
        self.query_one("#graph-detail", Static).update(Content(clean(says)))


class Boxes(Rows):
    """The drawing. The cursor stops where there is somebody to go to."""

    BORDER_TITLE = "Who waits for whom"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.drawing = Drawing("", ())
        self._shown: _Shown | None = None
        self._lines: dict[Key, Line] = {}

    @property
    def line(self) -> Line | None:
        """What the cursor stands on."""
        return self._lines.get(self.cursor)

    def show(self, scene: Scene) -> bool:
        """Draws what there is now; whether anything has changed."""
        state = scene.state
        roles = {pid: process.role for pid, process in state.processes.items() if process.role}
        sessions = state.database.sessions if state.database else ()
        blocked = tuple(session for session in sessions if session.blockers)
        room = Size(self.text_width, self.size.height)
        verdict = culprit_verdict(state)
        hang = f"{verdict.certainty.capitalize()}: {clean(verdict.title)}" if verdict else ""
        shown = (state.graph, _timeless(sessions) if blocked else (), roles, hang, room)
        if shown == self._shown or not room.width:
            return False
        self._shown = shown
        graph = with_sessions(state.graph, sessions) if state.graph and blocked else state.graph
        self.drawing = draw(graph, room.width, roles, height=room.height, hang=hang)
        self._show_lines(self.drawing.lines)
        return True

    def parts(self, key: Key, width: int) -> Iterable[Part]:
        return self._lines[key].parts

    def action_move(self, by: int) -> None:
        stops = [key for key in self.keys if self._lines[key].stop]
        if self.cursor not in stops or abs(by) != 1:
            super().action_move(by)
            return
        place = stops.index(self.cursor) + by
        if 0 <= place < len(stops):
            self.put_cursor(stops[place])
        else:
            self.scroll_to(y=0 if by < 0 else self.max_scroll_y, animate=False, force=True)

    def _show_lines(self, lines: Iterable[Line]) -> None:
        self._lines = _keyed(lines)
        known = self.cursor in self._lines
        self.show_keys(list(self._lines))
        self.touch_all()
        first = next((key for key, line in self._lines.items() if line.spot and line.spot.tid), None)
        if not known and first is not None:
            self.put_cursor(first)
            self.scroll_home(animate=False, force=True)


def _keyed(lines: Iterable[Line]) -> dict[Key, Line]:
    """Lines by what they are about, so that the cursor stays with that."""
    keyed: dict[Key, Line] = {}
    times: dict[Hashable, int] = {}
    for line in lines:
        about = line.spot and (line.spot.pid, line.spot.tid)
        times[about] = times.get(about, 0) + 1
        keyed[about, times[about]] = line
    return keyed


def _timeless(sessions: Iterable[DatabaseSession]) -> tuple[DatabaseSession, ...]:
    """Sessions without what changes at each look."""
    from msgspec.structs import replace

    return tuple(replace(session, since_s=0.0) for session in sessions)
