"""A command on a bare pty: its bytes as they come, with the time of each; nobody reads unless told to."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any

from tests.integration.driver import Command

DEADLINE_S = 30.0
# What a terminal answers when it is asked whether it can hold updates back.
QUESTION, ANSWER = b"\x1b[?2026$p", b"\x1b[?2026;2$y"
CVDEBUG = (sys.executable, "-P", "-m", "cvdebug.tui")
SMALL = ("--cvs", "40")
# What a terminal is told when the app leaves it: second screen, mouse, focus, paste and keys off, the cursor on.
LEFT = (b"\x1b[?1049l", b"\x1b[?1003l", b"\x1b[?1000l", b"\x1b[?1006l", b"\x1b[?2004l", b"\x1b[<u", b"\x1b[?25h")
ENTERED = b"\x1b[?1049h"


class Raw:
    """`output` is everything that was read; `began_s` is when the command was started (monotonic seconds)."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], *, size: tuple[int, int] = (120, 40)
    ) -> None:
        self.output = b""
        self._master, slave = pty.openpty()
        self._slave = slave  # kept open, so that it can be asked for its modes when all is over
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("4H", size[1], size[0], 0, 0))
        self.modes_before = self.modes
        self.began_s = time.monotonic()
        self.process = subprocess.Popen(
            ["setsid", "--ctty", *command], stdin=slave, stdout=slave, stderr=slave, env=dict(environment)
        )

    def __enter__(self) -> Raw:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()
        for fd in (self._master, self._slave):
            if fd >= 0:
                os.close(fd)

    @property
    def modes(self) -> list[Any]:
        """The terminal's modes, as stty shows them."""
        return termios.tcgetattr(self._slave)

    def resize(self, columns: int, lines: int) -> None:
        """The kernel tells the command, as it does when a window changes."""
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("4H", lines, columns, 0, 0))

    def hang_up(self) -> None:
        """The terminal goes away."""
        for fd in (self._master, self._slave):
            os.close(fd)
        self._master = self._slave = -1

    def send(self, keys: bytes) -> float:
        """Types keys; when that was."""
        os.write(self._master, keys)
        return time.monotonic()

    def until(self, condition: Callable[[], object], deadline_s: float = DEADLINE_S) -> float:
        """Reads until `condition` holds; when that was. The condition is looked at whenever something came."""
        end_s = time.monotonic() + deadline_s
        while not condition():
            assert time.monotonic() < end_s, f"it did not come true; the last that was read: {self.output[-2000:]!r}"
            self.read(0.02)
        return time.monotonic()

    def expect(self, *words: bytes, deadline_s: float = DEADLINE_S) -> float:
        """Reads until all the words have come; when that was."""
        return self.until(lambda: all(word in self.output for word in words), deadline_s)

    def ended(self, deadline_s: float = DEADLINE_S) -> int:
        """Reads to the end of the command; its exit code."""
        self.until(lambda: self.process.poll() is not None, deadline_s)
        while self.read(0.0):
            pass
        assert self.process.returncode is not None
        return self.process.returncode

    def sip(self, count: int) -> bool:
        """Reads no more than so many bytes of what is there."""
        return self.read(0.0, most=count)

    def read(self, wait_s: float, *, most: int = 65536) -> bool:
        """Reads what is there within that time; whether there was something."""
        if not select.select([self._master], [], [], wait_s)[0]:
            return False
        piece = os.read(self._master, most)
        self.output += piece
        if QUESTION in piece:
            self.send(ANSWER)
        return True


def opened(command: Command, *arguments: str, program: Sequence[str] = CVDEBUG) -> Raw:
    return Raw([*program, "run", *SMALL, *arguments], command.environment)


def assert_sane(raw: Raw) -> None:
    """The terminal is as it was found."""
    assert raw.modes == raw.modes_before
    for mode in LEFT:
        assert mode in raw.output, mode
    assert raw.output.rindex(b"\x1b[?1049l") > raw.output.rindex(ENTERED)
    assert b"Traceback" not in raw.output
