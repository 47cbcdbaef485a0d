"""Shows the app on the terminal, from the first frame to the last word, and gives the run's exit code."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from . import streams, terminal

if TYPE_CHECKING:
    from .app import CvdebugApp
    from .opening import Opening

# How soon after the start what it made is set aside.
SETTLED_S = 1.5
# An end that takes longer than this is said, and need not be waited for.
SOON_S = 0.4

usable = terminal.usable


def show(opening: Opening, *, tour: bool = False, clock: Callable[[], float] = time.time) -> int:
    """Opens the app on `opening`, and shows it until a person quits; the run's exit code, 128+N by signal N.

    `clock` says what time it is in what is shown, in seconds since the epoch: a recording has a time of its own.
    `usable` must have said that there is a terminal. Raises what ended the app, when the terminal is sane again:
    CvdebugError where the source could not be opened or broke off, anything else for a defect.
    """
    gc.disable()  # until the first frame is there
    screen = terminal.Terminal()
    # What is written to the screen by others is kept away before there is one, and until it is left.
    with streams.apart(), terminal.entered(screen, opening.name):
        app = _app(opening, screen, tour=tour, clock=clock)
        _run(app)
    with _unmoved():
        is_over = app.bridge.stop(SOON_S)
    from .farewell import say, say_it_lasts

    with terminal.left_by_signals():
        if not is_over:
            say_it_lasts()
        code = app.end()
        if app.crash is not None:
            raise app.crash
        if app.error is not None:
            raise app.error
        say(app.bridge.state)
    return 128 + app.ended_by if app.ended_by else code


def _app(opening: Opening, screen: terminal.Terminal, *, tour: bool, clock: Callable[[], float]) -> CvdebugApp:
    os.environ.setdefault("ESCDELAY", "20")  # read by Textual when it is imported
    from .app import CvdebugApp
    from .driver import driver_for

    return CvdebugApp(opening, tour=tour, clock=clock, driver_class=driver_for(screen))


def _run(app: CvdebugApp) -> None:
    import asyncio

    async def run() -> None:
        loop = asyncio.get_running_loop()
        heard = [number for number in terminal.ENDING if signal.getsignal(number) != signal.SIG_IGN]  # nohup
        for number in heard:
            loop.add_signal_handler(number, app.end_by, number)
        loop.call_later(SETTLED_S, _set_aside)
        try:
            await app.run_async()
        finally:
            for number in heard:
                loop.remove_signal_handler(number)
                signal.signal(number, signal.SIG_IGN)  # the terminal is being given back
            for number in (signal.SIGTSTP, signal.SIGCONT):
                signal.signal(number, signal.SIG_DFL)

    asyncio.run(run())


def _set_aside() -> None:
    """What was made at the start lives on: it is never looked at again, not even once, as that takes 40 ms."""
    gc.freeze()
    gc.enable()


@contextlib.contextmanager
def _unmoved() -> Iterator[None]:
    """While everything is being ended, a signal that asks for just that changes nothing."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in terminal.ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
