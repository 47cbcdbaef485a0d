"""The subject's mouth: events onto an inherited pipe, without ever blocking the pipeline.

Only the subject's main thread may call it. When the pipe is full, progress is merged (the newest of each phase wins)
and everything else waits in order; it is written as soon as there is room. It starts no thread: a thread's locks
would be copied, held, into forked workers.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections import deque
from collections.abc import Callable

from ..events import Event, PhaseProgress, encode, stamp

PATIENCE = 10_000  # waiting lines; beyond that the oldest log lines go, never a change of phase
PROGRESS_EVERY_S = 0.05  # twenty a second for a phase is more than an eye can follow


class Emitter:
    """Writes events to `fd`, which must be in non-blocking mode (`Emitter.adopt` sees to it)."""

    def __init__(self, fd: int, *, clock: Callable[[], float] = time.time) -> None:
        self.fd = fd
        self._clock = clock
        self._waiting: deque[tuple[Event, bytes]] = deque()
        self._partial = b""
        self._last_progress: dict[str, float] = {}

    @classmethod
    def adopt(cls, fd: int) -> Emitter:
        """An emitter on an inherited descriptor, which no child inherits any further."""
        os.set_inheritable(fd, False)
        os.set_blocking(fd, False)
        return cls(fd)

    @property
    def backlog(self) -> bool:
        """Whether lines wait for room in the pipe."""
        return bool(self._partial or self._waiting)

    def emit(self, event: Event) -> None:
        """Stamps `event` and writes it, or keeps it until there is room. Never blocks, never raises."""
        event = stamp(event, at=self._clock(), source="subject")
        if isinstance(event, PhaseProgress):
            if event.at - self._last_progress.get(event.phase, 0.0) < PROGRESS_EVERY_S and event.done != event.total:
                return
            self._last_progress[event.phase] = event.at
            self._drop(lambda old: isinstance(old, PhaseProgress) and old.phase == event.phase, all_of_them=True)
        elif len(self._waiting) >= PATIENCE:
            self._drop(lambda old: not hasattr(old, "phase"), all_of_them=False)
        self._waiting.append((event, encode(event)))
        self.flush()

    def flush(self) -> None:
        """Writes as much as the pipe takes now."""
        while self._partial or self._waiting:
            if not self._partial:
                self._partial = self._waiting.popleft()[1]
            try:
                written = os.write(self.fd, self._partial)
            except BlockingIOError:
                return
            except OSError:  # the observer is gone: the guardian ends us in a moment
                self._partial = b""
                self._waiting.clear()
                return
            self._partial = self._partial[written:]

    def close(self) -> None:
        """Closes the pipe; what still waits is lost."""
        with contextlib.suppress(OSError):
            os.close(self.fd)

    def _drop(self, unwanted: Callable[[Event], bool], *, all_of_them: bool) -> None:
        kept: deque[tuple[Event, bytes]] = deque()
        dropped = False
        for item in self._waiting:
            if unwanted(item[0]) and (all_of_them or not dropped):
                dropped = True
            else:
                kept.append(item)
        self._waiting = kept
