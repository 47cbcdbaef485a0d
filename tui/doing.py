"""What each action does: the app's verbs, one method each, called by key, palette, footer and mouse alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from textual.screen import Screen

from ..core import events as ev
from ..core.commands import Dump
from ..core.errors import CvdebugError
from ..core.state import RunState
from .actions import ACTIONS, Action
from .drawing.verdict_lines import ranked
from .scene import Scene
from .telling import Telling
from .text import clean
from .themes import next_theme
from .widgets.stack import StackView
from .widgets.verdict import VerdictView

if TYPE_CHECKING:
    from .app import CvdebugApp


Answer = TypeVar("Answer")
TOGGLE = ("off", "on", "unset")
NO_SELECTION = "Select a process first, in the tree: 3 goes there."
# A note with paths in it takes longer to read.
SHOWN_LONG_S = 8.0


class Doing:
    """Carries out actions on one app. `next_toggle` is TOKENIZERS_PARALLELISM for the next run, "" for as it was."""

    def __init__(self, app: CvdebugApp) -> None:
        self._app = app
        self._telling = Telling(app)
        self._quitting = False
        self.next_toggle = ""

    def do(self, id: str) -> None:
        """Carries out the action of the registry with this `id`, or says why it makes no sense now.

        That is decided by the run itself, not by what a paused screen shows.
        """
        action = next(action for action in ACTIONS if action.id == id)
        live = self._app.live_scene
        if action.rank(live) is None:
            self._telling.say(self._why_not(action, live))
        else:
            getattr(self, f"do_{id}")()

    def hear(self, event: ev.Event) -> None:
        """Says at once, whatever is in sight, what a person should not miss."""
        self._telling.hear(event)
        over = isinstance(event, ev.RunFinished) and event.outcome == "completed" and self._telling.is_news(event)
        if over and self._state.hung is not None and self._app.screen is self._app.main:
            self.do_summary()

    def do_quit(self) -> None:
        if not self._quitting:
            self._quitting = True
            self._app.exit()

    def do_fix(self) -> None:
        from .screens.fix import FixScreen

        self._open(FixScreen(followed=self._app.live_scene.followed))

    def do_summary(self) -> None:
        from .screens.summary import SummaryScreen

        self._open(SummaryScreen(self._state.hung, self._state))

    def do_toggle(self) -> None:
        self.turn_toggle()
        if self._can_repeat():
            self._ask_again()

    def turn_toggle(self) -> None:
        """The next position for the next run: off, on, unset."""
        state = self._state
        now = self.next_toggle or str(state.settings.get("parallelism", "")) or state.parallelism
        self.next_toggle = TOGGLE[(TOGGLE.index(now) + 1) % len(TOGGLE)] if now in TOGGLE else TOGGLE[0]
        self._app.tick()

    def do_again(self) -> None:
        from .screens.again import in_progress

        if not self._can_repeat():
            return
        if in_progress(self._state):
            self._ask_again()
        else:
            self._run_again()

    def do_scenarios(self) -> None:
        from .screens.scenarios import ScenariosScreen

        if self._can_repeat():
            self._open(ScenariosScreen(self._state.scenario), self._run_scenario)

    def do_kill(self) -> None:
        from .screens.kill import KillScreen

        process = self._state.processes.get(self._app.selection.pid)
        if process is None:
            self._telling.say(NO_SELECTION)
        else:
            self._open(KillScreen(process))

    def _open(self, screen: Screen[Answer], then: Callable[[Answer | None], None] | None = None) -> None:
        """Puts a screen on top, unless one of its kind is there: the palette can be called from any of them."""
        if not any(type(other) is type(screen) for other in self._app.screen_stack):
            self._app.push_screen(screen, then)

    @property
    def _state(self) -> RunState:
        return self._app.bridge.state

    def _why_not(self, action: Action, scene: Scene) -> str:
        if scene.kind == "recording" and action.id != "summary":
            return "This is a recording: it can be looked at, but nothing runs that could be changed."
        if action.id != "fix":
            return action.otherwise
        from .drawing.fix_lines import nothing_to_fix

        return nothing_to_fix(self._state)

    def _can_repeat(self) -> bool:
        """Whether another run can begin here; if not, says why."""
        if self._app.next_opening is not None:
            self._telling.say("The old run is still ending; the new one begins as soon as it is gone.")
            return False
        if self._app.opening.kind != "run":
            self._telling.say("This is not a run that can be started again from here: cvdebug run starts one.")
            return False
        return True

    def _run_scenario(self, name: str | None) -> None:
        from .screens.again import in_progress

        if name is None:
            return
        if in_progress(self._state):
            self._ask_again(name)
        else:
            self._run_again(name)

    def _ask_again(self, scenario: str | None = None) -> None:
        from .screens.again import AgainScreen

        self._open(AgainScreen(scenario), lambda yes: self._run_again(scenario) if yes else None)

    def _run_again(self, scenario: str | None = None) -> None:
        flags = {"parallelism": self.next_toggle} if self.next_toggle else {}
        try:
            opening = self._app.opening.again(scenario=scenario, flags=flags)
        except CvdebugError as error:
            self._telling.say(str(error), severity="warning")
            return
        self.next_toggle = ""
        if not self._app.bridge.over:
            self._telling.say("Ending the old run…")
        self._app.reopen(opening)

    def tell(self, error: CvdebugError) -> None:
        """Says what went wrong, where the app goes on all the same."""
        self._telling.say(str(error), severity="error")

    def do_pause(self) -> None:
        self._app.paused = None if self._app.paused else self._app.scene._replace(paused=True)
        self._app.tick()

    def do_zoom(self) -> None:
        self._app.main.zoom()

    def do_theme(self) -> None:
        self._app.theme = next_theme(self._app.theme)
        self._app.notify(f"Theme: {self._app.theme}", markup=False, timeout=2)

    def do_dump(self) -> None:
        """Reads the stacks of the process whose stack is shown."""
        self._dump(native=False)

    def do_native(self) -> None:
        """The same with native frames, when a person agrees to what it costs."""
        from .drawing.stack_lines import shown_thread
        from .screens.native import NativeScreen

        process = self._state.processes.get(shown_thread(self._app.scene)[0])
        if process is None:
            self._telling.say(NO_SELECTION)
            return
        self._app.push_screen(NativeScreen(process), lambda yes: self._dump(native=True) if yes else None)

    def _dump(self, *, native: bool) -> None:
        from .drawing.stack_lines import shown_thread

        pid = shown_thread(self._app.scene)[0]
        if pid not in self._state.processes:
            self._telling.say(NO_SELECTION)
            return
        self._app.send(Dump(pid, native=native))
        self._stack_in_sight()

    def do_frames(self) -> None:
        self._stack_in_sight().show_all()

    def do_names(self) -> None:
        self._stack_in_sight().show_raw()

    def _stack_in_sight(self) -> StackView:
        """The Stack panel, brought to the front where one panel is seen at a time."""
        if self._app.main.has_class("-single"):
            self._app.main.action_panel("stack")
        return self._app.main.query_one(StackView)

    def do_explain(self) -> None:
        """The page on the verdict that is shown in full, or without one the list of all classes."""
        from ..core.diagnose.rules import RULES
        from .screens.explain import ExplainScreen

        scene, cards = self._app.scene, {slug: rule.CARD for slug, rule in RULES.items()}
        said = [verdict.slug for verdict in ranked(scene.state)]
        slug = next((each for each in (self._app.main.query_one(VerdictView).slug, *said) if each in cards), "")
        self._app.push_screen(ExplainScreen(cards, slug, scene))

    def do_help(self) -> None:
        """Help; to somebody who has never seen the app, the tour."""
        from . import first_time
        from .screens.help import HelpScreen

        if self._app.opening.kind == "run" and first_time.is_first():
            self.do_tour()
            return

        self._app.push_screen(HelpScreen(self._app.main.focused, self._app.scene))

    def do_palette(self) -> None:
        self._app.action_command_palette()

    def do_copy(self) -> None:
        from .leaving import text_of, to_clipboard

        panel = self._app.screen.focused
        if text := text_of(panel):
            to_clipboard(self._app, text)
            self._app.notify(f"Copied {len(text.splitlines())} lines.", markup=False)
        else:
            self._app.notify("Nothing to copy here: choose a panel with 1 to 7.", markup=False)

    def do_export(self) -> None:
        from .leaving import export_run

        def tell(said: str) -> None:
            self._app.notify(clean(said), markup=False, timeout=SHOWN_LONG_S)

        export_run(self._app, tell)

    def do_tour(self) -> None:
        from . import first_time
        from .screens.tour import TourScreen

        first_time.remember()
        self._app.push_screen(TourScreen())

    def do_graph(self) -> None:
        from .screens.graph import GraphScreen

        self._app.push_screen(GraphScreen())

    def do_filter(self) -> None:
        """Opens the search of the panel in focus, or else the filter of the tree."""
        panel = self._app.main.focused
        if not hasattr(panel, "open_filter"):
            self._app.main.action_panel("tree")
            panel = self._app.main.focused
        if panel is not None and hasattr(panel, "open_filter"):
            panel.open_filter()
