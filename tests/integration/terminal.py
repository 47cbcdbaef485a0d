"""A real terminal for tests: a shell with job control on a pty, typed into and read from."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time
from types import TracebackType

DEADLINE_S = 20.0
PROMPT = "shell> "


class Shell:
    """An interactive bash on a pty of its own. What it started is gone when it is left."""

    def __init__(self, **environment: str) -> None:
        self._pid, self._fd = pty.fork()
        if self._pid == 0:
            changed = {**os.environ, "PS1": PROMPT, "HISTFILE": "/dev/null", "TERM": "dumb", **environment}
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("4H", 50, 2000, 0, 0))  # so that no echo is wrapped
            os.execvpe("bash", ["bash", "--norc", "--noprofile", "-i"], changed)
        self._unread = b""

    def __enter__(self) -> Shell:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.kill(self._pid, signal.SIGKILL)
        os.close(self._fd)  # hangs up on whatever is still there
        os.waitpid(self._pid, 0)

    def type(self, text: str) -> None:
        """Types a line, or keys."""
        os.write(self._fd, text.encode())

    def run(self, line: str) -> None:
        """Waits for the prompt, types a command and waits for its echo, so that `expect` sees what comes after."""
        self.expect(PROMPT)
        self.type(line + "\n")
        self.expect(line[-20:] + "\r\n")

    def expect(self, text: str) -> str:
        """Reads until `text` comes; everything up to it."""
        wanted, end_s = text.encode(), time.monotonic() + DEADLINE_S
        while wanted not in self._unread:
            ready, _, _ = select.select([self._fd], [], [], max(0.0, end_s - time.monotonic()))
            assert ready, f"{text!r} did not come; there was {self._unread!r}"
            self._unread += os.read(self._fd, 65536)
        found, _, self._unread = self._unread.partition(wanted)
        return found.decode(errors="replace")
