"""The main screen: top line, panels and footer. Where there is room it is a grid, else one panel is seen at a time.

With room it changes its shape once in a run: when a hang has its verdict, phases and verdict get more of it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Container
from textual.theme import Theme
from textual.widget import Widget

from ..drawing.words import culprit_verdict, hung
from ..scene import Panel, Scene, Selection
from ..themes import PROJECTOR
from ..widgets.charts import Charts
from ..widgets.database import Database
from ..widgets.footer import KeysFooter
from ..widgets.frame import Frame
from ..widgets.log import LogView
from ..widgets.phases import Phases
from ..widgets.stack import StackView
from ..widgets.tabs import Tabs
from ..widgets.top_line import TopLine
from ..widgets.tree import Tree
from ..widgets.verdict import VerdictView
from .steady import Steady

if TYPE_CHECKING:
    from ..app import CvdebugApp

# A grid needs so many columns and rows.
GRID = (100, 32)
# From this width on a hang leaves the charts where they are.
WIDE = 150
# The class of a screen that lies on top and leaves the panels in sight.
BESIDE = "-beside"


class MainScreen(Steady[None]):
    """Gives each scene to its panels, and keeps the selection the same in all of them.

    Its classes say its shape: `-single` one panel is seen, `-tabs` because there is no room, `-hung` a hang has its
    verdict, `-projector` few panels.
    """

    app: CvdebugApp

    AUTO_FOCUS = ""
    SCOPED_CSS = False
    # Textual loads the CSS of a screen only when that is pushed; this one never is.
    DEFAULT_CSS = """
    #panels { layout: grid; grid-size: 2; grid-columns: 3fr 2fr; grid-rows: 9 3fr 2fr; grid-gutter: 0 1; }
    .-hung.-medium #panels { grid-columns: 1fr 1fr; }
    .-hung.-medium #frame-phases { column-span: 2; }
    .-projector #panels { grid-columns: 1fr 1fr; grid-rows: 9 1fr; }
    .-projector #frame-phases { column-span: 2; }
    .-single #panels { layout: vertical; }
    .-tabs Tabs { display: block; }
    .-tabs Title > .rows--current { text-style: bold; }
    """
    # The panels in the order of their keys; the last two share a place.
    PANELS: ClassVar[tuple[str, ...]] = ("phases", "charts", "tree", "verdict", "stack", "database", "log")
    BINDINGS: ClassVar = [
        *((str(number), f"panel('{id}')", id) for number, id in enumerate(PANELS, 1)),
        ("tab", "cycle(1)", "next panel"),
        ("shift+tab", "cycle(-1)", "panel before"),
        ("escape", "unzoom", "all panels"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.current = "phases"
        self._zoomed = False
        self._shown: object = None  # the history of the source that was shown last
        panels: dict[str, Widget] = {
            "phases": Phases(id="phases"), "charts": Charts(id="charts"), "tree": Tree(id="tree"),
            "verdict": VerdictView(id="verdict"), "stack": StackView(id="stack"),
            "database": Database(id="database"), "log": LogView(id="log"),
        }  # fmt: skip
        numbered = {id: (number, panels[id]) for number, id in enumerate(self.PANELS, 1)}
        corner = Frame(numbered["database"], numbered["log"], id="frame-corner")
        frames = [Frame(numbered[id], id=f"frame-{id}") for id in self.PANELS[:-2]]
        self._panels = panels
        self._frames = {**dict(zip(self.PANELS, frames, strict=False)), "database": corner, "log": corner}
        self._around = (TopLine(id="top"), Tabs(self.PANELS, id="tabs"), KeysFooter(id="footer"))

    def compose(self) -> ComposeResult:
        top, tabs, footer = self._around
        yield top
        yield tabs
        yield Container(*dict.fromkeys(self._frames.values()), id="panels")
        yield footer

    def on_mount(self) -> None:
        self.app.theme_changed_signal.subscribe(self, self._wear)
        self._wear(self.app.current_theme)

    # showing

    def show(self, scene: Scene) -> None:
        """Shows what there is now."""
        self._change_shape(scene)
        for part in self._around:
            if part.display:
                part.show(scene)
        for id, panel in self._panels.items():
            if self._in_sight(id) or id == "tree":  # the tree chooses what is looked at first
                _panel(panel).show(scene)
        self._show_titles()

    def _change_shape(self, scene: Scene) -> None:
        if scene.history is not self._shown:
            if self._shown is None and not self.has_class("-single"):
                self.current = "tree"  # its cursor says what is looked at
            self._shown = scene.history
            self.remove_class("-hung")
            self._reshape()
        if not self.has_class("-hung") and hung(scene.state) and culprit_verdict(scene.state):
            self.add_class("-hung")
            self._reshape()
            if self.has_class("-tabs") and not self.app.touched:
                self._bring("verdict")
        if self.focused is None:
            self._focus_current()

    def _show_titles(self) -> None:
        hint = "o or Esc: all panels" if self._zoomed and not self.has_class("-tabs") else ""
        for frame in dict.fromkeys(self._frames.values()):
            if frame.display:
                frame.show_title(focused=self.focused is not None and frame in self.focused.ancestors, hint=hint)

    def _in_sight(self, id: str) -> bool:
        frame = self._frames[id]
        return frame.display and frame.front is self._panels[id]

    def sees(self, id: str) -> bool:
        """Whether a person has this panel before the eyes: what stands there need not be said."""
        on_top = self.app.screen
        return (on_top is self or on_top.has_class(BESIDE)) and self._in_sight(id)

    def on_screen_suspend(self) -> None:
        """Something lies on top now; notes would cover its keys."""
        self.app.clear_notifications()

    # shape

    def on_resize(self, event: events.Resize) -> None:
        self._reshape()
        self._show_soon()

    def _show_soon(self) -> None:
        """What has come into sight has nothing in it yet."""
        self.call_after_refresh(lambda: self.show(self.app.scene))

    def _reshape(self) -> None:
        """Gives the screen the classes that its size and the zoom ask for."""
        width, height = self.app.size
        tabs = width < GRID[0] or height < GRID[1]
        self.set_class(tabs, "-tabs")
        self.set_class(tabs or self._zoomed, "-single")
        current = self._frames[self.current]
        current.bring(self._panels[self.current])
        for id, frame in self._frames.items():
            frame.display = frame is current if self.has_class("-single") else id not in self._without_place()

    def _without_place(self) -> Collection[str]:
        """The panels for which the grid has no place now."""
        if self.has_class("-projector"):
            return ("charts", "stack", "database", "log")
        return ("charts",) if self.has_class("-hung") and self.app.size.width < WIDE else ()

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        if event.widget is not self.focused:
            return  # the focus has gone on since
        for id, panel in self._panels.items():
            if event.widget is panel or panel in event.widget.ancestors:
                self.current = id
                self._reshape()
        self._show_titles()

    def _wear(self, theme: Theme) -> None:
        self.set_class(theme.name == PROJECTOR, "-projector")
        self._reshape()
        self._show_soon()

    # going from panel to panel

    def action_panel(self, id: str) -> None:
        """Brings a panel to the front, and the keys to it; one that has no place now is shown alone."""
        self._bring(id)
        self.show(self.app.scene)

    def action_cycle(self, by: int) -> None:
        """Goes to the next panel in sight, or to the next of all where one is seen at a time."""
        single = self.has_class("-single")
        ids = [id for id in self.PANELS if single or id == self.current or self._in_sight(id)]
        self.action_panel(ids[(ids.index(self.current) + by) % len(ids)])

    def zoom(self) -> None:
        """Shows the panel that has the keys alone, or all of them again."""
        self._zoomed = not self._zoomed
        self._reshape()
        self._show_soon()

    def action_unzoom(self) -> None:
        if self._zoomed:
            self.zoom()

    def _bring(self, id: str) -> None:
        self.current = id
        self._reshape()
        if not self._frames[id].display:
            self._zoomed = True
            self._reshape()
        self._focus_current()

    def _focus_current(self) -> None:
        panel = self._panels[self.current]
        within = [panel, *panel.query("*").results()]
        if (first := next((widget for widget in within if widget.can_focus), None)) is not None:
            self.set_focus(first)  # at once: the next key may have been pressed already

    # one selection

    def select(self, selection: Selection) -> None:
        """Looks at a process or thread, in every panel; where one is seen at a time, in one that shows it."""
        if self.has_class("-single") and self.current not in ("tree", "stack"):
            self._bring("tree")
        self.app.selection = selection
        self.query_one(Tree).reveal(selection)
        self.show(self.app.scene)

    @on(Tree.Selected)
    def _look_at(self, message: Tree.Selected) -> None:
        if message.selection != self.app.selection:
            self.app.selection = message.selection
            self.show(self.app.scene)


def _panel(widget: object) -> Panel:
    assert hasattr(widget, "show")
    return widget
