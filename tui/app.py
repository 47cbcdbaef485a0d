"""The app: wiring only. It joins a source of events to the main screen, and keys to what they do.

What is shown is in screens and widgets, what can be done in actions and doing; nothing is computed here.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import ClassVar

from textual.app import App
from textual.binding import Binding, BindingType

from ..core import events as ev
from ..core.commands import Command
from ..core.errors import CvdebugError, ExitCode
from .actions import ACTIONS
from .bridge import Bridge, Ended
from .doing import Doing
from .opening import Opening
from .scene import Scene, Selection
from .screens.main import MainScreen
from .themes import THEMES, first_theme

# How often what is shown is brought up to date.
TICKS_PER_S = 4
# How long quitting waits for what was started to be gone; a run's own end takes some milliseconds.
QUIT_S = 10.0


class CvdebugApp(App[int]):
    """The full-screen front end. Its return code is that of the run."""

    TITLE = "cvdebug"
    ENABLE_COMMAND_PALETTE = False  # ours is made from the registry
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-medium"), (150, "-wide")]
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+c", "do('quit')", show=False, priority=True),
        *(Binding(action.key, f"do('{action.id}')", action.label, show=False, id=action.id) for action in ACTIONS),
    ]

    def __init__(
        self,
        opening: Opening,
        *,
        clock: Callable[[], float] = time.time,
        ticks_per_s: float = TICKS_PER_S,
        tour: bool = False,
    ) -> None:
        """With `ticks_per_s` 0 nothing moves by itself: who made the app calls `tick`."""
        super().__init__()
        self.opening = opening
        self.tour = tour
        self.clock = clock
        self.bridge = self._bridge(opening)
        self.selection = Selection()
        self.paused: Scene | None = None
        self.error: Exception | None = None
        self.doing = Doing(self)
        self._ticks_per_s = ticks_per_s
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = first_theme()

    @property
    def scene(self) -> Scene:
        """What is shown: the newest there is, or what there was when it was paused."""
        if self.paused is not None:
            return self.paused._replace(selection=self.selection)
        return self.bridge.scene(self.clock(), self.selection)

    def get_default_screen(self) -> MainScreen:
        return MainScreen()

    @property
    def main(self) -> MainScreen:
        """The main screen, whatever lies on top of it."""
        screen = self.screen_stack[0]
        assert isinstance(screen, MainScreen)
        return screen

    def on_ready(self) -> None:
        """The first frame is there: now the run may begin."""
        self.bridge.start()
        if self._ticks_per_s:
            self.set_interval(1 / self._ticks_per_s, self.tick)

    def tick(self) -> None:
        """Takes in what has come, and shows it."""
        news = self.bridge.fold()
        self.main.show(self.scene)
        for event in news:
            self.doing.hear(event)

    def send(self, command: Command) -> None:
        """Asks something of the run."""
        self.bridge.send(command)

    def reopen(self, opening: Opening) -> None:
        """Ends what is shown, and begins anew with something else."""
        self.bridge.stop(QUIT_S)
        self.opening, self.paused, self.selection = opening, None, Selection()
        self.bridge = self._bridge(opening)
        self.bridge.start()

    def action_do(self, id: str) -> None:
        self.doing.do(id)

    def on_ended(self, message: Ended) -> None:
        """A source that could not be opened, or broke off, ends the app with its sentence."""
        if message.bridge is self.bridge and message.error is not None:
            self.error = message.error
            self.exit()

    def end(self) -> int:
        """Ends what was started, when the screen is gone; the exit code."""
        self.bridge.stop(QUIT_S)
        self.bridge.fold()
        finished: ev.RunFinished | None = self.bridge.state.finished
        if isinstance(self.error, CvdebugError):
            return self.error.exit_code
        return finished.exit_code if finished else ExitCode.INTERRUPTED

    def _bridge(self, opening: Opening) -> Bridge:
        return Bridge(opening.open, self.post_message)
