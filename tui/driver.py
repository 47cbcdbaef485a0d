"""Textual's driver for terminals, with four differences: keys and quitting answer at once, a terminal that nobody
reads holds nothing up, one that goes away ends the app, and being stopped and continued, by whomever, is borne.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import sys
import threading
import time
from codecs import getincrementaldecoder
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from textual._xterm_parser import XTermParser
from textual.drivers.linux_driver import LinuxDriver
from textual.events import Resize
from textual.message import Message
from textual.messages import InBandWindowResize

from .terminal import ENTER, LEAVE, Terminal

if TYPE_CHECKING:
    from .app import CvdebugApp

# What may wait for the terminal, in characters, before frames are left out; a whole screen in colour has about 20,000.
BACKLOG = 200_000
# How long leaving waits for a slow terminal to take what still has to be said.
LEAVE_S = 0.25
# How soon a writer whose terminal takes nothing sees that it is no longer waited for.
LOOK_S = 0.05
# How soon a lone Escape is told from the beginning of a sequence; between keys nothing has to be looked at.
ESCAPE_S, IDLE_S = 0.02, 5.0
CLOSELY_S = 0.3
# Symbols for terminals that know only an 8-bit alphabet.
_LOOK_ALIKE = {
    "-": "─━▔", "|": "│┃‖", "+": "┌┐└┘├┤┬┴┼╭╮╰╯", ">": "▶→", "<": "←", "v": "✓↓", "^": "↑", "x": "✗×", "o": "○",
    ".": "·…", "#": "█▓▆▇", "=": "▄▅▒", "_": "▁▂▃░", '"': "“”", "'": "‘’",
}  # fmt: skip
_PLAIN = str.maketrans({symbol: plain for plain, symbols in _LOOK_ALIKE.items() for symbol in symbols})


class Writer:
    """Writes in a thread of its own. While the terminal takes nothing, what is given is left out rather than kept."""

    def __init__(self, terminal: Terminal, encoding: str, caught_up: Callable[[], None]) -> None:
        """`caught_up` is called, in the thread, when something was left out and there is room again."""
        self._terminal, self._encoding, self._caught_up = terminal, encoding, caught_up
        self._waiting: deque[str] = deque()
        self._backlog = 0
        self._lost = self._closing = self._hurried = False
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._run, daemon=True, name="terminal")
        self._thread.start()

    def write(self, text: str) -> None:
        """Never waits."""
        with self._news:
            if self._backlog > BACKLOG or self._lost:
                self._lost = True
                return
            self._waiting.append(text)
            self._backlog += len(text)
            self._news.notify()

    def close(self, last: str) -> bool:
        """Writes what waits, as far as the terminal takes it soon, and then `last`; whether it took that."""
        with self._news:
            self._closing = True
            self._news.notify()
        self._thread.join(LEAVE_S)
        with self._news:
            self._hurried = True
        self._thread.join(LEAVE_S)
        # Whoever is still in the middle of writing can only be waited for by waiting for the terminal.
        return not self._thread.is_alive() and self._terminal.say_last(last.encode(self._encoding, "replace"))

    def _run(self) -> None:
        while True:
            with self._news:
                while not self._waiting and not self._closing:
                    self._news.wait()
                text = "".join(self._waiting)
                self._waiting.clear()
                if not text or (self._closing and self._lost):
                    return
            self._put(text.encode(self._encoding, "replace"))
            with self._news:
                self._backlog = max(0, self._backlog - len(text))
                again = self._lost and not self._waiting
                self._lost = self._lost and not again
            if again and not self._closing:
                self._caught_up()

    def _put(self, data: bytes) -> None:
        """Writes it, in pieces; it is broken off when leaving cannot wait for it."""
        with contextlib.suppress(OSError):  # the terminal is gone; that is said where keys are read
            while data and not self._hurried:
                data = data[self._terminal.take(data[:4096], LOOK_S) :]


class Driver(LinuxDriver):
    """Draws on `terminal`, which has been entered already."""

    terminal: ClassVar[Terminal]
    _app: CvdebugApp

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.fileno = self.terminal.fd
        self.input_tty = True
        self._size = self.terminal.size  # the app's own guess would be what COLUMNS and LINES say
        self._writer: Writer | None = None
        self._leaving: list[str] | None = None
        self._away = False  # left in order to come back
        self._loop_here = asyncio.get_running_loop()
        self._bell_in, self._bell_out = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        encoding = (sys.__stdout__.encoding if sys.__stdout__ else "") or "utf-8"
        self._encoding = encoding
        self._narrow = "utf" not in encoding.lower()

    def start_application_mode(self) -> None:
        self._wait_for_foreground()
        repaint = self._app.repaint
        self._writer = Writer(self.terminal, self._encoding, lambda: _from_thread(self._loop_here, repaint))
        super().start_application_mode()  # type: ignore[no-untyped-call]
        self.attrs_before = self.terminal.before  # whoever has the terminal while the app is stopped gets it as it was

    def _wait_for_foreground(self) -> None:
        """Stops again for as long as the shell has continued us in the background."""
        with contextlib.suppress(OSError):  # not our controlling terminal: nobody else has it
            while os.tcgetpgrp(self.terminal.fd) != os.getpgrp():
                os.kill(os.getpid(), signal.SIGSTOP)

    def _sigtstp_application(self, *_: object) -> None:
        _from_thread(self._loop_here, self._stop)  # not in the middle of whatever is being done

    def _sigcont_application(self, *_: object) -> None:
        _from_thread(self._loop_here, self._continue)

    def _stop(self) -> None:
        """Leaves the screen and stops, where there is a shell that could continue us: the system sees to that."""
        if self._writer is None:
            return  # it has been left
        self.suspend_application_mode()
        self._away = True
        for number in (signal.SIGTSTP, signal.SIGCONT):
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)
        self._continue()
        signal.signal(signal.SIGTSTP, self._sigtstp_application)
        signal.signal(signal.SIGCONT, self._sigcont_application)

    def _continue(self) -> None:
        """Takes the screen again, and from the start: whoever had it meanwhile may have left it in any state."""
        if self._writer is not None:  # stopped without being asked
            self.suspend_application_mode()
            self._away = True
        if self._away:
            self._away, self._must_signal_resume = False, True
            self.resume_application_mode()

    def stop_application_mode(self) -> None:
        self._leaving = []
        super().stop_application_mode()

    def write(self, data: str) -> None:
        if data == ENTER:
            if self.terminal.entered:
                return  # once is enough: it would clear what is in sight
            self.terminal.entered = True
        if self._leaving is not None:
            self._leaving.append(data)
        elif self._writer is not None:
            self._writer.write(data.translate(_PLAIN) if self._narrow else data)

    def close(self) -> None:
        super().close()
        if self._writer is not None:
            last = "\x18\x1b[?2026l\x1b[0m" + "".join(self._leaving or ())
            taken = self._writer.close(last)
            self.terminal.entered = not taken or LEAVE not in last
            self._writer, self._leaving = None, None

    def disable_input(self) -> None:
        os.write(self._bell_out, b".")
        super().disable_input()
        with contextlib.suppress(BlockingIOError):
            os.read(self._bell_in, 64)

    def _get_terminal_size(self) -> tuple[int, int]:
        return self.terminal.size

    def _query_in_band_window_resize(self) -> None:
        """The size comes from the system alone: of what is typed or pasted nothing is believed."""

    def process_message(self, message: Message) -> None:
        if not isinstance(message, Resize | InBandWindowResize):
            super().process_message(message)

    def run_input_thread(self) -> None:
        """Reads keys until the app ends, or the terminal does."""
        parser, decode = XTermParser(self._debug), getincrementaldecoder("utf-8")("replace").decode
        closely_until_s = 0.0
        while not self.exit_event.is_set():
            wait_s = ESCAPE_S if time.monotonic() < closely_until_s else IDLE_S
            ready, _, _ = select.select([self.fileno, self._bell_in], [], [], wait_s)
            if self.fileno in ready:
                data = self._read()
                if not data:
                    _from_thread(self._loop, lambda: self._app.end_by(signal.SIGHUP))
                    return
                closely_until_s = time.monotonic() + CLOSELY_S
                for message in parser.feed(decode(data)):
                    self.process_message(message)
            for message in parser.tick():
                self.process_message(message)

    def _read(self) -> bytes:
        try:
            return os.read(self.fileno, 4096)
        except OSError:
            return b""


def _from_thread(loop: asyncio.AbstractEventLoop, what: Callable[[], object]) -> None:
    with contextlib.suppress(RuntimeError):  # the app is over
        loop.call_soon_threadsafe(what)


def driver_for(terminal: Terminal) -> type[Driver]:
    """The driver class of one terminal: Textual makes the object."""
    return type("TerminalDriver", (Driver,), {"terminal": terminal})
