"""Wakes a loop that waits in select for several things at once."""

from __future__ import annotations

import contextlib
import os
import threading


class Bell:
    """`fd` is readable once somebody has rung. It may be rung from any thread or signal handler, after `close` too."""

    def __init__(self) -> None:
        self.fd, self._rope = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._lock = threading.RLock()  # a signal handler may ring while this very thread does

    def ring(self) -> None:
        """Wakes the loop; when that is over nothing happens, and no descriptor that came after is written to."""
        with self._lock, contextlib.suppress(OSError):  # it is over, or has been rung often enough
            os.write(self._rope, b".")

    def hush(self) -> None:
        """What was rung for is being done."""
        with contextlib.suppress(BlockingIOError):
            os.read(self.fd, 4096)

    def close(self) -> None:
        """Gives the descriptors back."""
        with self._lock:
            rope, self._rope = self._rope, -1
        os.close(rope)
        os.close(self.fd)
