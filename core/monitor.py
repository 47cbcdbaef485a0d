"""What the database says while a run needs it: asked about once a second, in a thread of its own, on one connection.

Nobody ever waits for it: who wants to know takes what has come. psycopg is imported in that thread, at the first
question. Secrets in queries are hidden.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import msgspec

from .events import DatabaseSampled
from .model import DatabaseSession
from .secrets import redact

if TYPE_CHECKING:
    from .observe.activity import Activity

EVERY_S = 1.0
# Of more sessions than these the ones that do nothing are left out.
MOST_SESSIONS = 100
# A state that has lasted as long as the time between two answers has not changed; clocks may differ by so much.
SAME_S = 1.0
NOT_NOW = "not asked now: the server is asked while a run stores, indexes and verifies"


class DatabaseMonitor:
    """Asks one server. `dsn` may hold a password."""

    def __init__(self, dsn: str, *, every_s: float = EVERY_S) -> None:
        """Nothing is asked until it is wanted."""
        self._dsn, self._every_s = dsn, every_s
        self._wanted = threading.Event()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._newest: DatabaseSampled | None = None
        self._said: DatabaseSampled | None = None
        self._said_s = 0.0

    def take(self, now_s: float, *, wanted: bool) -> DatabaseSampled | None:
        """What is new since the last call, at a time (seconds, of any clock). `wanted`: go on asking."""
        if not wanted:
            self._wanted.clear()
            self._newest = None
            return self._say(DatabaseSampled(unknown=NOT_NOW), now_s) if self._said is not None else None
        self._wanted.set()
        if self._thread is None:
            self._thread = threading.Thread(target=self._ask, daemon=True, name="database")
            self._thread.start()
        newest, self._newest = self._newest, None
        return self._say(newest, now_s) if newest is not None else None

    def _say(self, sample: DatabaseSampled, now_s: float) -> DatabaseSampled | None:
        if self._said is not None and is_same(self._said, sample, now_s - self._said_s):
            return None
        self._said, self._said_s = sample, now_s
        return sample

    def close(self, deadline_s: float = 0.2) -> None:
        """Asks no more. A question that is under way ends by itself: its time is limited."""
        self._over.set()
        self._wanted.set()
        if self._thread is not None:
            self._thread.join(deadline_s)

    def _ask(self) -> None:
        from .observe.activity import Standing

        standing = Standing(self._dsn)
        try:
            while not self._over.is_set():
                sample = sample_of(standing.read())
                if self._wanted.is_set():
                    self._newest = sample
                else:
                    standing.close()
                self._over.wait(self._every_s)
                self._wanted.wait()
        finally:
            standing.close()


def sample_of(activity: Activity) -> DatabaseSampled:
    """An answer of the server as an event, with secrets hidden, the sessions that do something first."""
    sessions = sorted(activity.sessions, key=lambda session: (session.state == "idle", session.pid))
    return DatabaseSampled(
        sessions=tuple(map(_shown, sessions[:MOST_SESSIONS])),
        progress=activity.progress,
        unknown=redact(activity.unknown),
    )


def _shown(session: DatabaseSession) -> DatabaseSession:
    return msgspec.structs.replace(session, query=redact(session.query), application=redact(session.application))


def is_same(said: DatabaseSampled, now: DatabaseSampled, gap_s: float) -> bool:
    """Whether an answer differs from one `gap_s` before only by the time that has passed."""
    if len(said.sessions) != len(now.sessions) or (said.progress, said.unknown) != (now.progress, now.unknown):
        return False
    return all(_is_same_session(a, b, gap_s) for a, b in zip(said.sessions, now.sessions, strict=True))


def _is_same_session(said: DatabaseSession, now: DatabaseSession, gap_s: float) -> bool:
    aged = abs(said.since_s + gap_s - now.since_s) <= SAME_S
    return aged and msgspec.structs.replace(said, since_s=0.0) == msgspec.structs.replace(now, since_s=0.0)
