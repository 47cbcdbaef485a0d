"""What a scenario breaks between the subject and the workers that it forks: a lock, or a connection, is inherited.

The hang that comes of it is a real one: nothing here waits for ever by itself. A fork that inherits nothing meets none
of it, so a fix, a resumption, and the other ways to start a worker do without.
"""

from __future__ import annotations

import logging
import sys
import threading
from typing import TextIO

from .spec import SubjectSpec

LOG = logging.getLogger("cvdebug.scenario")


class Trouble:
    """None at all: the methods say when a scenario's own would strike."""

    def before_fork(self) -> None:
        """In the subject, before it starts its workers."""

    def after_fork(self, workers: int) -> None:
        """In the subject, once all its workers have been started."""

    def greet(self) -> None:
        """In a worker, before its first order."""

    def obey(self, verb: str, role: str) -> None:
        """In a worker, whenever it has been told to `embed` or `count`."""


class LogLock(Trouble):
    """The workers are forked while a thread of the subject writes a log record, and log one themselves later."""

    def __init__(self) -> None:
        self._handler = SlowHandler()
        self._thread = threading.Thread(target=LOG.info, args=("the workers start",), name="heartbeat", daemon=True)
        LOG.propagate = False
        LOG.setLevel(logging.INFO)
        LOG.addHandler(self._handler)

    def before_fork(self) -> None:
        self._thread.start()
        self._handler.busy.wait()

    def after_fork(self, workers: int) -> None:
        self._handler.ready.set()
        self._thread.join()

    def obey(self, verb: str, role: str) -> None:
        if verb == "count":
            LOG.info("%s has embedded its texts and counts their tokens", role)


class SlowHandler(logging.StreamHandler[TextIO]):
    """Writes to standard output, and keeps a lock of its own until the sink is `ready`, as one far away would be."""

    def __init__(self) -> None:
        super().__init__(sys.stdout)
        self.busy, self.ready = threading.Event(), threading.Event()
        self._sink = threading.Lock()

    def emit(self, record: logging.LogRecord) -> None:
        with self._sink:
            super().emit(record)
            self.busy.set()
            self.ready.wait()


def of(spec: SubjectSpec) -> Trouble:
    """The trouble of a scenario in its first attempt. Raises DatabaseError when a connection cannot be made."""
    if spec.strategy is None and spec.settings.start_method == "fork":
        if spec.settings.fault == "log-lock":
            return LogLock()
        if spec.settings.fault == "shared-connection":
            from .shared import SharedConnection

            return SharedConnection(spec)
    return Trouble()
