"""Puts a run's events in order: stamps them, folds them into the state, and writes them to the journals."""

from __future__ import annotations

import contextlib
import time

from .events import Event, Source, stamp
from .journal import Journal
from .state import RunState, fold


class Publisher:
    """`state` is the fold of everything that was published."""

    def __init__(self) -> None:
        self.state = RunState()
        self._journals: list[Journal] = []
        self._seq = 0

    def record(self, journal: Journal) -> None:
        """Writes everything from now on to `journal` too."""
        self._journals.append(journal)

    def publish(self, event: Event, source: Source = "session") -> Event:
        """The event as it stands in the stream. One that the subject stamped keeps its time and source."""
        self._seq += 1
        if event.at:
            event = stamp(event, at=event.at, source=event.source, seq=self._seq)
        else:
            event = stamp(event, at=time.time(), source=source, seq=self._seq)
        self.state = fold(self.state, event)
        for journal in self._journals:
            with contextlib.suppress(OSError):  # a full disk ends the record, not the run
                journal.write(event)
        return event

    def close(self) -> None:
        for journal in self._journals:
            journal.close()
