"""The second pair of eyes of a load: what the server says of our own backend while it is busy.

A connection of its own, opened at the first look. It must never make a load fail: when it cannot look, it says nothing.
"""

from __future__ import annotations

import psycopg

from ..errors import CvdebugError
from .connection import Connection, backend_pid, connect

_BLOCKERS = """
SELECT a.pid, a.application_name, a.usename, a.state, to_char(a.xact_start, 'HH24:MI:SS')
FROM unnest(pg_blocking_pids(%s)) AS b(pid) LEFT JOIN pg_stat_activity a ON a.pid = b.pid LIMIT 1
"""
_INDEX = "SELECT phase, tuples_done FROM pg_stat_progress_create_index WHERE pid = %s"


class Watcher:
    """Looks at the backend of `connection` from another connection, named `cvdebug:<run>:progress`."""

    def __init__(self, dsn: str, run: str, connection: Connection) -> None:
        self._dsn, self._run = dsn, run
        self._pid = backend_pid(connection)
        self._eyes: Connection | None = None
        self._blind = False

    def __enter__(self) -> Watcher:
        return self

    def __exit__(self, *_: object) -> None:
        if self._eyes is not None:
            self._eyes.close()

    def blocked_by(self) -> str:
        """Who keeps the backend from a lock it waits for; empty when nobody does."""
        row = self._look(_BLOCKERS)
        if row is None:
            return ""
        pid, name, user, state, since = row
        who = f"{name or user or 'another session'} (backend {pid}"
        if not state:
            return f"{who}, of which this user may not see more)"
        return f"{who}, {state}, in its transaction since {since or 'unknown'})"

    def index_progress(self) -> tuple[str, int] | None:
        """The phase of CREATE INDEX and the rows it has taken in; None when it has not begun or is over."""
        row = self._look(_INDEX)
        return (str(row[0]), int(str(row[1] or 0))) if row else None

    def _look(self, query: str) -> tuple[object, ...] | None:
        if self._blind:
            return None
        try:
            if self._eyes is None:
                self._eyes = connect(self._dsn, run=self._run, role="progress", autocommit=True)
            return self._eyes.execute(query.encode(), (self._pid,)).fetchone()
        except (CvdebugError, psycopg.Error):
            self._blind = True
            return None
