"""The terminal that the app is given: entered before anything heavy is imported, and given back as it was found.

What is drawn by hand here is the first thing that a person sees; the app paints over it. Whatever happens in between,
leaving the block makes the terminal sane. Only the standard library: this must start in a millisecond.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import termios
from collections.abc import Iterator, Mapping
from types import FrameType

ENTER, LEAVE = "\x1b[?1049h", "\x1b[?1049l"
# What the app may have changed: updates held back, mouse, focus, paste, sizes in band, keys, wrapping, the cursor.
_OFF = (
    "\x18\x1b[?2026l\x1b[?1000l\x1b[?1003l\x1b[?1015l\x1b[?1006l\x1b[?1016l\x1b[?1004l\x1b[?2004l\x1b[?2048l\x1b[<u"
    "\x1b[0m\x1b[?7h" + LEAVE + "\x1b[?25h"
)
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_STALLED_S = 0.2


def usable(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether there is a person at a terminal on which the app can be shown."""
    streams = (sys.stdin, sys.stdout, sys.stderr)
    return environment.get("TERM", "") not in ("", "dumb") and all(map(_is_terminal, streams))


def _is_terminal(stream: object) -> bool:
    try:
        return os.isatty(stream.fileno())  # type: ignore[attr-defined]
    except (AttributeError, OSError, ValueError):
        return False


class Terminal:
    """The terminal of standard error, by descriptors of its own. `entered`: its second screen is in sight; `before`:
    its modes as they were found."""

    def __init__(self) -> None:
        self.fd = os.dup(2)
        self._out = _never_waiting(self.fd)
        self.entered = False
        self.before = termios.tcgetattr(self.fd)

    @property
    def size(self) -> tuple[int, int]:
        """Columns and lines."""
        with contextlib.suppress(OSError):
            columns, lines = os.get_terminal_size(self.fd)
            if columns and lines:
                return columns, lines
        return 80, 24

    def enter(self, name: str) -> None:
        """Goes to the second screen and draws the frame of what is coming, without echo of what is typed meanwhile.

        Ctrl-Z waits for the app, which can leave the screen before it stops.
        """
        attributes = termios.tcgetattr(self.fd)
        attributes[3] &= ~(termios.ECHO | termios.ICANON)
        attributes[6][termios.VSUSP] = b"\0"
        termios.tcsetattr(self.fd, termios.TCSANOW, attributes)
        self.entered = True
        self.write(ENTER + "\x1b[?25l" + _frame(name, *self.size))

    def close(self) -> None:
        """Gives the terminal back as it was found, whoever left it how."""
        if self.entered:
            self.say_last(_OFF.encode())
            self.entered = False
        with contextlib.suppress(termios.error, OSError):
            termios.tcsetattr(self.fd, termios.TCSANOW, self.before)
        for fd in {self.fd, self._out}:
            with contextlib.suppress(OSError):
                os.close(fd)

    def write(self, text: str) -> None:
        """Writes a little, unless nobody reads."""
        with contextlib.suppress(OSError):
            self.take(text.encode("ascii", "replace"), _STALLED_S)

    def take(self, data: bytes, within_s: float) -> int:
        """Writes as much as there is soon room for; how many bytes that were. Raises OSError for one that is gone."""
        if not writable(self._out, within_s):
            return 0
        try:
            return os.write(self._out, data)
        except BlockingIOError:  # somebody else was quicker
            return 0

    def say_last(self, data: bytes) -> bool:
        """Writes something short that must come through: what the terminal has not taken is thrown away to make room.

        Whether it was taken. Nobody else may be writing.
        """
        with contextlib.suppress(OSError, termios.error):
            if self.take(data, _STALLED_S) == len(data):
                return True
            termios.tcflush(self.fd, termios.TCOFLUSH)
            return self.take(data, _STALLED_S) == len(data)
        return False


def _never_waiting(fd: int) -> int:
    """The terminal of `fd`, opened anew so that writing there never waits: a thread in the middle of a write to a
    terminal that nobody reads cannot be woken, and keeps out all others. (The flag on `fd` itself would be the shell's
    too.) `fd` itself where that cannot be."""
    with contextlib.suppress(OSError):
        own = "/dev/tty" if _controls_us(fd) else os.ttyname(fd)
        return os.open(own, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    return fd


def _controls_us(fd: int) -> bool:
    """Whether it is our controlling terminal, which may be opened even where its own name may not, as after su."""
    try:
        return bool(os.tcgetpgrp(fd))
    except OSError:
        return False


def writable(fd: int, within_s: float = _STALLED_S) -> bool:
    """Whether something can be written soon; a terminal that nobody reads takes nothing."""
    import select

    try:
        return bool(select.select([], [fd], [], within_s)[1])
    except (OSError, ValueError):
        return False


def _frame(name: str, columns: int, lines: int) -> str:
    """The top line and the last as the app will have them; letters only, as nothing is known of the terminal yet."""
    shown = "".join(c if c.isascii() and c.isprintable() else "?" for c in name)[: max(0, columns - 24)]
    bold, key, plain = "\x1b[1;7m", "\x1b[7m", "\x1b[0m"
    return f"\x1b[H\x1b[2J{bold}   starting         {plain}  {shown}\x1b[{lines};1H{key} q {plain} quit"


@contextlib.contextmanager
def entered(terminal: Terminal, name: str) -> Iterator[None]:
    """Enters the terminal; sane again at the end of the block, at a signal too."""
    with left_by_signals():
        try:
            terminal.enter(name)
            yield
        finally:
            terminal.close()


@contextlib.contextmanager
def left_by_signals() -> Iterator[None]:
    """A signal that asks for the end leaves the block with exit code 128+N."""

    def end(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, end) for number in ENDING if signal.getsignal(number) != signal.SIG_IGN}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
