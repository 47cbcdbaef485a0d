"""The app: wiring only. It joins a source of events to the main screen, and keys to what they do.

What is shown is in screens and widgets, what can be done in actions and doing; nothing is computed here.
"""

from __future__ import annotations

import math
import os
import signal
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.app import App
from textual.binding import Binding, BindingType
from textual.driver import Driver
from textual.events import Resize

from ..core import events as ev
from ..core.commands import Command
from ..core.errors import CvdebugError, ExitCode
from .actions import ACTIONS
from .bridge import Bridge, Ended
from .doing import Doing
from .opening import Opening
from .palette import Actions, Palette
from .scene import Panel, Scene, Selection
from .screens.main import MainScreen
from .screens.small import TooSmall, too_small
from .telling import SHOWN_S
from .themes import THEMES, first_theme

if TYPE_CHECKING:
    from rich.console import RenderableType
    from textual.theme import Theme

# How often what is shown is brought up to date.
TICKS_PER_S = 2
# So long a regular tick takes events in at most: a key must not wait for a flood of them.
FOLD_S = 0.15
_THEMES = {theme.name: theme for theme in THEMES}
# How long quitting waits for what was started to be gone; a run's own end takes some milliseconds.
QUIT_S = 10.0


class CvdebugApp(App[int]):
    """The full-screen front end. Its return code is that of the run."""

    TITLE = "cvdebug"
    NOTIFICATION_TIMEOUT = SHOWN_S
    COMMANDS = {Actions}  # noqa: RUF012  (as Textual declares it)
    COMMAND_PALETTE_BINDING = "ctrl+p"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-medium"), (150, "-wide")]  # noqa: RUF012  (as above)
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+c", "do('quit')", show=False, priority=True),
        Binding("ctrl+z", "suspend_process", show=False, priority=True),
        *(Binding(action.key, f"do('{action.id}')", action.label, show=False, id=action.id) for action in ACTIONS),
    ]

    def __init__(
        self,
        opening: Opening,
        *,
        clock: Callable[[], float] = time.time,
        ticks_per_s: float = TICKS_PER_S,
        tour: bool = False,
        driver_class: type[Driver] | None = None,
    ) -> None:
        """With `ticks_per_s` 0 nothing moves by itself: who made the app calls `tick`."""
        # Colours that are to be left out must be the terminal's own: others would be shown as greys.
        super().__init__(driver_class=driver_class, ansi_color=True if "NO_COLOR" in os.environ else None)
        self.opening = opening
        self.next_opening: Opening | None = None  # what begins when that which is shown has ended
        self.tour = tour
        self.clock = clock
        self.bridge = self._bridge(opening)
        self._before: tuple[Opening, Bridge] | None = None
        self.selection = Selection()
        self.paused: Scene | None = None
        self.touched = False  # a person has pressed or clicked something
        self.error: Exception | None = None
        self.ended_by = 0  # the signal that ended it, if any did
        self.doing = Doing(self)
        self._ticks_per_s = ticks_per_s
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = first_theme(no_color=self.no_color)

    @property
    def scene(self) -> Scene:
        """What is shown: the newest there is, or what there was when it was paused."""
        if self.paused is not None:
            return self.paused._replace(selection=self.selection, next_toggle=self.doing.next_toggle)
        return self.live_scene._replace(next_toggle=self.doing.next_toggle)

    @property
    def live_scene(self) -> Scene:
        """The newest there is, whatever is shown."""
        return self.bridge.scene(self.clock(), self.selection)._replace(kind=self.opening.kind)

    def get_default_screen(self) -> MainScreen:
        return MainScreen()

    @property
    def main(self) -> MainScreen:
        """The main screen, whatever lies on top of it."""
        screen = self.screen_stack[0]
        assert isinstance(screen, MainScreen)
        return screen

    def on_ready(self) -> None:
        """The run begins when the first frame is there."""
        self.main.show(self.scene)
        self.call_after_refresh(self.bridge.start)
        self.app_resume_signal.subscribe(self, lambda app: self.repaint())
        if self._ticks_per_s:
            self.set_interval(1 / self._ticks_per_s, partial(self.tick, FOLD_S))
        if self.tour:
            self.doing.do_tour()

    def tick(self, within_s: float = math.inf) -> None:
        """Takes in what has come, as much as fits into that time, and shows it."""
        news = self.bridge.fold(within_s)
        if not self.screen_stack:
            return  # it is being left, and what was ended by that says so
        self.main.show(self.scene)
        for screen in self.screen_stack[1:]:
            if screen.is_mounted and isinstance(screen, Panel):  # one that was opened just now has nothing in it yet
                screen.show(self.scene)
        for event in news:
            self.doing.hear(event)

    def send(self, command: Command) -> None:
        """Asks something of the run."""
        self.bridge.send(command)

    def reopen(self, opening: Opening) -> None:
        """Ends what is shown, and begins anew with something else as soon as that is gone; returns at once."""
        if self.next_opening is None:
            self.next_opening = opening
            self.bridge.cancel()
            if self.bridge.over:
                self._begin(opening)

    def _begin(self, opening: Opening) -> None:
        self._forget_before()
        self._before = self.opening, self.bridge
        self.opening, self.next_opening, self.paused, self.selection = opening, None, None, Selection()
        self.bridge = self._bridge(opening)
        self.bridge.start()
        self.tick()

    def _forget_before(self) -> None:
        if self._before is not None:
            self._before[1].close()
            self._before = None

    async def on_event(self, event: events.Event) -> None:
        if isinstance(event, events.Key | events.MouseDown):
            self.touched = True
        await super().on_event(event)

    def action_do(self, id: str) -> None:
        self.doing.do(id)

    def action_command_palette(self) -> None:
        if not isinstance(self.screen, Palette):
            self.push_screen(Palette(id="--command-palette"))

    def on_ended(self, message: Ended) -> None:
        """What was waited for has ended: the next begins. A source that failed ends the app with its sentence."""
        if message.bridge is not self.bridge:
            return
        self.tick()
        if self.next_opening is not None:
            self._begin(self.next_opening)
        elif isinstance(message.error, CvdebugError) and self._before is not None and not self.bridge.state.started_at:
            self._go_back(message.error)
        elif message.error is not None:
            self.error = message.error
            self.exit()

    def _go_back(self, error: CvdebugError) -> None:
        """What was to be opened next could not be: what was shown before is shown again, with the reason."""
        assert self._before is not None
        self.bridge.close()
        (self.opening, self.bridge), self._before = self._before, None
        self.doing.tell(error)
        self.tick()

    def exit(self, result: int | None = None, return_code: int = 0, message: RenderableType | None = None) -> None:
        """Leaves; what was started is being ended from this moment on."""
        self.next_opening = None
        self.bridge.cancel()
        super().exit(result, return_code, message)

    def end_by(self, number: int) -> None:
        """Leaves because of a signal."""
        self.ended_by = self.ended_by or number
        self.bridge.cancel(signal.Signals(number))
        self.exit()

    def on_resize(self, event: Resize) -> None:
        """Below a certain size a sentence stands in place of everything."""
        covered = isinstance(self.screen, TooSmall)
        if too_small(event.size) and not covered:
            self.push_screen(TooSmall())
        elif covered and not too_small(event.size):
            self.pop_screen()

    def repaint(self) -> None:
        """Draws everything anew, where the terminal has missed something."""
        self.refresh(layout=True)

    def get_theme(self, theme_name: str) -> Theme | None:
        """Textual asks for it at each line that is drawn, and copies all themes to find it."""
        return _THEMES.get(theme_name) or super().get_theme(theme_name)

    @property
    def crash(self) -> Exception | None:
        """The defect that ended the app, if one did. Whoever shows the app says so, when the terminal is sane again."""
        return self._exception

    def _fatal_error(self) -> None:
        self._close_messages_no_wait()

    def _print_error_renderables(self) -> None:
        self._exit_renderables.clear()

    def end(self) -> int:
        """Ends what was started, when the screen is gone; the exit code."""
        self.bridge.stop(QUIT_S)
        self.bridge.fold()
        self.bridge.close()
        self._forget_before()
        finished: ev.RunFinished | None = self.bridge.state.finished
        if isinstance(self.error, CvdebugError):
            return self.error.exit_code
        return finished.exit_code if finished else ExitCode.INTERRUPTED

    def _bridge(self, opening: Opening) -> Bridge:
        return Bridge(opening.open, self.post_message, may_wait=opening.kind == "recording")
