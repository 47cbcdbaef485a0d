"""Listens to a tree that is followed, as the app does."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from cvdebug.core import events as ev
from cvdebug.core.commands import Cancel, Command
from cvdebug.core.following import Following
from cvdebug.core.state import RunState, fold
from cvdebug.core.supervise.captured import Captured

DEADLINE_S = 20.0
E = TypeVar("E", bound=ev.Event)


class Listener:
    """Iterates a source in a thread of its own, as the app does; `state` is the fold of what was waited for."""

    def __init__(self, live: Following) -> None:
        self.live = live
        self.heard: list[ev.Event] = []
        self.state = RunState()
        self._events: queue.SimpleQueue[ev.Event | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        try:
            for event in self.live.events():
                self._events.put(event)
        finally:
            self._events.put(None)

    @property
    def status(self) -> str:
        return self.state.status

    def until(self, kind: type[E], what: Callable[[E], object] = lambda event: True) -> E:
        """The next event of this kind for which `what` is true."""
        end_s = time.monotonic() + DEADLINE_S
        while True:
            event = self._events.get(timeout=max(0.01, end_s - time.monotonic()))
            assert event is not None, f"it is over; heard: {[type(each).__name__ for each in self.heard]}"
            self.heard.append(event)
            self.state = fold(self.state, event)
            if isinstance(event, kind) and what(event):
                return event

    def send(self, command: Command) -> None:
        self.live.send(command)

    def leave(self) -> ev.RunFinished:
        """Leaves; how that ended."""
        self.send(Cancel())
        return self.end()

    def end(self) -> ev.RunFinished:
        finished = self.until(ev.RunFinished)
        self._thread.join(DEADLINE_S)
        assert not self._thread.is_alive()
        return finished


@contextmanager
def followed(pid: int, record: Path | None = None) -> Iterator[Listener]:
    listener = Listener(Following(pid, record=record))
    try:
        yield listener
    finally:
        listener.send(Cancel())


@contextmanager
def captured(*command: str) -> Iterator[Listener]:
    runs = Captured(command)
    listener = Listener(Following(runs.pid, command=runs))
    try:
        yield listener
    finally:
        runs.close()


def hangs(event: ev.VerdictReached) -> bool:
    return event.certainty in ("proven", "certain", "likely")
