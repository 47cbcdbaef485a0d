"""The main screen: top line, panels and footer. Wide it is a grid, narrow a deck of which one panel is seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.containers import Container
from textual.screen import Screen

from ..scene import Panel, Scene, Selection
from ..widgets.charts import Charts
from ..widgets.database import Database
from ..widgets.footer import KeysFooter
from ..widgets.log import LogView
from ..widgets.phases import Phases
from ..widgets.stack import StackView
from ..widgets.tabs import Tabs
from ..widgets.top_line import TopLine
from ..widgets.tree import Tree
from ..widgets.verdict import VerdictView

if TYPE_CHECKING:
    from ..app import CvdebugApp


class MainScreen(Screen[None]):
    """Gives each scene to its panels, and keeps the selection the same in all of them."""

    app: CvdebugApp

    CSS = """
    #panels { layout: grid; grid-size: 2; grid-columns: 3fr 2fr; grid-rows: 10 1fr 12; }
    #panels > * { border-top: solid $panel; border-title-color: $primary; padding: 0 1; }
    #panels > *:focus { border-top: solid $primary; border-title-style: bold; }
    .-narrow #panels { layout: vertical; }
    .-narrow #panels > * { display: none; height: 1fr; }
    .-narrow #panels > .-current { display: block; }
    .-medium #panels > .-corner, .-wide #panels > .-corner { display: none; }
    .-medium #panels > .-corner.-front, .-wide #panels > .-corner.-front { display: block; }
    """
    # The panels in the order of their keys; those in the corner share one place.
    PANELS: ClassVar[tuple[str, ...]] = ("phases", "charts", "tree", "verdict", "stack", "database", "log")
    CORNER: ClassVar[tuple[str, ...]] = ("database", "log")
    BINDINGS: ClassVar = [(str(number), f"panel('{id}')", id) for number, id in enumerate(PANELS, 1)]

    def compose(self) -> ComposeResult:
        yield TopLine(id="top")
        yield Tabs(self.PANELS, id="tabs")
        with Container(id="panels"):
            yield Phases(id="phases", classes="-current")
            yield Charts(id="charts")
            yield Tree(id="tree")
            yield VerdictView(id="verdict")
            yield StackView(id="stack")
            yield Database(id="database", classes="-corner")
            yield LogView(id="log", classes="-corner -front")
        yield KeysFooter(id="footer")

    def show(self, scene: Scene) -> None:
        """Shows what there is now."""
        for panel in self.query("#top, #tabs, #panels > *, #footer").results():
            if panel.display:
                _panel(panel).show(scene)

    def action_panel(self, id: str) -> None:
        """Brings a panel to the front, and the keys to it."""
        chosen = self.query_one(f"#{id}")
        for panel in self.query("#panels > *").results():
            panel.set_class(panel is chosen, "-current")
            if id in self.CORNER and panel.id in self.CORNER:
                panel.set_class(panel is chosen, "-front")
        self.show(self.app.scene)
        chosen.focus()

    def select(self, selection: Selection) -> None:
        """Looks at a process or thread, in every panel."""
        self.app.selection = selection
        self.query_one(Tree).reveal(selection)
        self.show(self.app.scene)

    def on_selected(self, message: Tree.Selected) -> None:
        if message.selection != self.app.selection:
            self.app.selection = message.selection
            self.show(self.app.scene)


def _panel(widget: object) -> Panel:
    assert hasattr(widget, "show")
    return widget
