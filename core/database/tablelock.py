"""Who may load a table: one advisory lock per table, and the end of backends that a killed run left behind.

The lock lives on a connection of its own for the whole run, so that a rolled-back load does not give it up.
"""

from __future__ import annotations

import hashlib
import time
from types import TracebackType

import psycopg

from ..errors import DatabaseError, TableBusy
from .connection import Connection, application_name, backend_pid, connect, translate
from .table import TableName

_TERMINATE_S = 10.0
_POLL_S = 0.05
_TRIES = 3

_HOLDER = """
SELECT l.pid, a.application_name, a.usename, to_char(a.backend_start, 'YYYY-MM-DD HH24:MI:SS TZ')
FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND (l.classid::bigint << 32 | l.objid::bigint) = %s
"""


def advisory_key(table: TableName) -> int:
    """The signed 64-bit key of the table's advisory lock; the same in every cvdebug."""
    digest = hashlib.sha256(f"cvdebug table {table}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


def holder(connection: Connection, table: TableName) -> str | None:
    """Who holds the table's lock: application name, backend and since when; None when nobody does."""
    row = connection.execute(_HOLDER, (advisory_key(table),)).fetchone()
    if row is None:
        return None
    pid, name, user, since = row
    return f"{name or user or 'another role'} (backend {pid}, connected since {since or 'unknown'})"


def require_lock(connection: Connection, table: TableName, run: str) -> None:
    """In a transaction: the lock is this run's own, or is taken until the transaction ends. Else TableBusy."""
    for _ in range(_TRIES):
        row = connection.execute(_HOLDER, (advisory_key(table),)).fetchone()
        if row is not None and row[1] == application_name(run, "lock"):
            return
        if _taken(connection, "pg_try_advisory_xact_lock", table):
            return
    raise _busy(connection, table)


class TableLock:
    """The table's advisory lock, held by a connection of its own until `release` or the end of the process."""

    def __init__(self, connection: Connection, table: TableName) -> None:
        self._connection = connection
        self.table = table

    @classmethod
    def acquire(cls, dsn: str, table: TableName, run: str) -> TableLock:
        """TableBusy when somebody else loads the table: it says who, and since when. DatabaseError behind a pooler that
        gives sessions away."""
        connection = connect(dsn, run=run, role="lock", autocommit=True)
        try:
            _require_own_session(connection, dsn, run)
            # Repeated because whoever had it may leave between the attempt and the look at who it was.
            for _ in range(_TRIES):
                if _taken(connection, "pg_try_advisory_lock", table):
                    return cls(connection, table)
                if holder(connection, table) is not None:
                    break
            raise _busy(connection, table)
        except psycopg.Error as error:
            connection.close()
            raise translate(error) from error
        except BaseException:
            connection.close()
            raise

    def release(self) -> None:
        """Gives the lock back; may be repeated, and after the server has gone."""
        self._connection.close()

    def __enter__(self) -> TableLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _require_own_session(connection: Connection, dsn: str, run: str) -> None:
    """DatabaseError when a pooler gives the session to others between transactions: so would the lock go.

    It is seen as it happens: two clients, both connected, are served by the same process.
    """
    if backend_pid(connection) == connection.info.backend_pid:
        return
    with connect(dsn, run=run, role="pooler", autocommit=True) as other:
        if any(backend_pid(connection) == backend_pid(other) for _ in range(_TRIES)):
            raise DatabaseError(
                "A pooler in transaction mode stands before the server, and a load needs a session of its own",
                hint="Connect to the server itself or to a pool in session mode, often at another port or host name",
            )


def _taken(connection: Connection, function: str, table: TableName) -> bool:
    row = connection.execute(f"SELECT {function}(%s)".encode(), (advisory_key(table),)).fetchone()
    return bool(row and row[0])


def _busy(connection: Connection, table: TableName) -> TableBusy:
    who = holder(connection, table) or "a session that has just ended"
    return TableBusy(
        f"The table {table} is being loaded by {who}", hint="Wait for it to end, or name another table with --table"
    )


def end_orphans(dsn: str, run: str) -> int:
    """Ends every other backend of this very run, and waits until they are gone; returns how many there were.

    DatabaseError when one is still there after 10 s.
    """
    prefix = application_name(run, "")
    with connect(dsn, run=run, role="orphans", autocommit=True) as connection:
        try:
            ended = len(
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE starts_with(application_name, %s) AND pid <> pg_backend_pid() AND usename = current_user"
                    # The workers of a parallel build have their leader's name and end with it.
                    " AND backend_type = 'client backend'",
                    (prefix,),
                ).fetchall()
            )
            _await_end(connection, prefix)
        except psycopg.Error as error:
            raise translate(error) from error
    return ended


def end_backend(connection: Connection, pid: int, name: str) -> None:
    """Ends one backend if it still has this application name, and waits until it is gone."""
    connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = %s AND application_name = %s", (pid, name)
    )
    _await_end(connection, name, pid=pid)


def _await_end(connection: Connection, prefix: str, *, pid: int | None = None) -> None:
    deadline = time.monotonic() + _TERMINATE_S
    query = (
        "SELECT count(*) FROM pg_stat_activity WHERE starts_with(application_name, %s)"
        " AND pid <> pg_backend_pid() AND (%s::int IS NULL OR pid = %s::int)"
    )
    while (row := connection.execute(query, (prefix, pid, pid)).fetchone()) and row[0]:
        if time.monotonic() > deadline:
            raise DatabaseError(
                f"{row[0]} backend(s) named {prefix} did not end in {_TERMINATE_S:.0f} s",
                hint="See pg_stat_activity; a superuser can end them with pg_terminate_backend",
            )
        time.sleep(_POLL_S)
