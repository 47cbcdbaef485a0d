"""Puts a run's events in order: stamps them, folds them into the state, and writes them to the journals."""

from __future__ import annotations

import time

from .events import Event, Source, stamp
from .journal import Journal
from .state import RunState, fold


class Publisher:
    """`state` is the fold of everything that was published; `trouble` says why a journal is not whole, if so."""

    def __init__(self) -> None:
        self.state = RunState()
        self.trouble = ""
        self._journals: list[Journal] = []
        self._seq = 0

    def record(self, journal: Journal) -> None:
        """Writes everything from now on to `journal` too, and goes on counting where it ends."""
        self._journals.append(journal)
        self._seq = max(self._seq, journal.last_seq)

    def publish(self, event: Event, source: Source = "session") -> Event:
        """The event as it stands in the stream. One that the subject stamped keeps its time and source."""
        self._seq += 1
        if event.at:
            event = stamp(event, at=event.at, source=event.source, seq=self._seq)
        else:
            event = stamp(event, at=time.time(), source=source, seq=self._seq)
        self.state = fold(self.state, event)
        for journal in list(self._journals):
            self._write(journal, event)
        return event

    def _write(self, journal: Journal, event: Event) -> None:
        try:
            journal.write(event)
        except OSError as error:  # a full disk ends the record, not the run
            self.trouble = f"The record of this run is not whole ({error.strerror})"
            journal.close()
            self._journals.remove(journal)

    def close(self) -> None:
        """Nothing that is published later is written any more."""
        while self._journals:
            self._journals.pop().close()
