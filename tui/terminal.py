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
    """The terminal of standard error, by a descriptor of its own. `entered`: its second screen is in sight; `before`:
    its modes as they were found."""

    def __init__(self) -> None:
        self.fd = os.dup(2)
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
            if not writable(self.fd):
                self.flush_output()
            self.write(_OFF)
            self.entered = False
        with contextlib.suppress(termios.error, OSError):
            termios.tcsetattr(self.fd, termios.TCSANOW, self.before)
        with contextlib.suppress(OSError):
            os.close(self.fd)

    def write(self, text: str) -> None:
        """Writes a little, unless nobody reads."""
        with contextlib.suppress(OSError):
            if writable(self.fd):
                os.write(self.fd, text.encode("ascii", "replace"))

    def flush_output(self) -> None:
        """Throws away what the terminal has not taken, so that a last word finds room."""
        with contextlib.suppress(termios.error):
            termios.tcflush(self.fd, termios.TCOFLUSH)


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
def entered(name: str) -> Iterator[Terminal]:
    """The terminal, entered; sane again at the end of the block, at a signal too."""
    terminal = Terminal()

    def end(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, end) for number in ENDING if signal.getsignal(number) != signal.SIG_IGN}
    try:
        terminal.enter(name)
        yield terminal
    finally:
        terminal.close()
        for number, handler in before.items():
            signal.signal(number, handler)
