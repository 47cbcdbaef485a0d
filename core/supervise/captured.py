"""Runs a command below a guardian, without a terminal: its input is empty, and its output is read line by line.

A thread of its own always reads, so that the command never waits for whoever shows its lines; what comes faster than
it is asked for is counted and let go. When cvdebug ends, whatever way, the command ends with everything below it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Sequence

from ..observe import proc
from .command import refusal
from .guarded import END_DEADLINE_S, Guarded
from .signals import send

LINE_BYTES = 4000  # longer lines come in pieces
# What is kept between two calls of `lines`: as bytes, and as lines.
KEPT_BYTES, KEPT_LINES = 1 << 16, 1_000
# A flood is slowed down to a pipe's fill in so many seconds, or reading it would take a core.
_PIPE_BYTES, _PAUSE_S = 1 << 18, 0.01


class Captured:
    """A command that runs from the moment of construction. `close` ends it, with everything below it.

    `pid` is the command's. Raises NotStarted.
    """

    def __init__(self, arguments: Sequence[str]) -> None:
        self.arguments = tuple(arguments)
        self._output, output = os.pipe()
        with contextlib.suppress(OSError):  # a limit of the system: a smaller pipe does as well
            fcntl.fcntl(self._output, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self._guarded = Guarded(arguments, stdin=subprocess.DEVNULL, output=output)
        os.close(output)
        self._guardian = self._guarded.process
        self.pid = self._guarded.pid()
        if self.pid <= 0:
            self.close()
            os.close(self._output)
            number = -self.pid or errno.ECHILD
            raise refusal(arguments[0], OSError(number, os.strerror(number)))
        found = proc.snapshot([self.pid]).get(self.pid)
        self._start_ticks = found.start_ticks if found else 0
        self._chunks: deque[bytes] = deque()
        self._held_bytes = 0
        self._left_out = 0
        self._partial = b""
        self._lock = threading.Lock()
        self._reader = threading.Thread(target=self._read, daemon=True, name="output")
        self._reader.start()

    @property
    def exit_code(self) -> int | None:
        """As a shell gives it, 128+N after signal N, when all of the tree is gone; None while it lives."""
        code = self._guardian.poll()
        return code if code is None or code >= 0 else 128 - code

    def wait(self) -> int:
        """Waits until all of the tree is gone, as it will be when the command has ended; the exit code."""
        self._guardian.wait()
        return self.exit_code or 0

    def lines(self, *, last: bool = False) -> tuple[list[str], int]:
        """The lines that came since the last call, and how many others had to be left out; with `last` also one that
        has no end yet. Bytes that are no text are replaced."""
        if last:
            self._reader.join(END_DEADLINE_S)
        with self._lock:
            data, left_out = b"".join(self._chunks), self._left_out
            self._chunks.clear()
            self._held_bytes = self._left_out = 0
        *whole, self._partial = ((b"" if left_out else self._partial) + data).split(b"\n")
        if last or len(self._partial) > LINE_BYTES:
            whole += [self._partial] if self._partial else []
            self._partial = b""
        shown = [_last_written(line) for line in whole[-KEPT_LINES:]]
        pieces = [line[at : at + LINE_BYTES] for line in shown for at in range(0, max(1, len(line)), LINE_BYTES)]
        return [piece.decode(errors="replace") for piece in pieces], left_out + len(whole) - len(shown)

    def end(self, by: signal.Signals, *, grace_s: float) -> int:
        """Asks the command to end, and after `grace_s` ends whatever is left of its tree; the exit code."""
        if self._guardian.poll() is None:
            send(self.pid, self._start_ticks, by)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._guardian.wait(grace_s)
        self.close()
        return self.exit_code or 0

    def close(self) -> None:
        """Ends the whole tree and waits until the last of it is gone. May be called more than once."""
        self._guarded.end()

    def _read(self) -> None:
        """Reads until nobody can write any more."""
        while data := os.read(self._output, _PIPE_BYTES):
            with self._lock:
                self._chunks.append(data)
                self._held_bytes += len(data)
                while (too_many := self._held_bytes - KEPT_BYTES) > 0:
                    oldest = self._chunks.popleft()
                    gone, kept = oldest[:too_many], oldest[too_many:]
                    self._left_out += gone.count(b"\n")
                    self._held_bytes -= len(gone)
                    if kept:
                        self._chunks.appendleft(kept)
            if len(data) >= _PIPE_BYTES // 4:
                time.sleep(_PAUSE_S)
        os.close(self._output)


def _last_written(line: bytes) -> bytes:
    """What a terminal would show of a line that was written over, as progress bars do."""
    return line.rstrip(b"\r").rpartition(b"\r")[2]
