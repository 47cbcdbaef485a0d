"""What a PostgreSQL server says about its sessions, who blocks whom, and the progress of COPY and CREATE INDEX.

On a connection of its own, outside of transactions, read-only and with short time limits, so that it can be nobody's
blocker and waits for nobody. It must never make a look fail: what could not be asked is said in a sentence.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import msgspec

from ..errors import CvdebugError
from ..model import DatabaseSession, DescriptorKind, Progress, TreeSnapshot
from . import sockets

if TYPE_CHECKING:
    import psycopg

    _Connection = psycopg.Connection[tuple[object, ...]]
    _Row = tuple[object, ...]

_T = TypeVar("_T")

APPLICATION = "cvdebug-observer"
_CONNECT_TIMEOUT_S = 2
_LIMITS = {"statement_timeout": "2s", "lock_timeout": "100ms", "default_transaction_read_only": "on"}
_QUERY_CHARS = 200

_SESSIONS = """
SELECT a.pid, a.usename, a.datname, a.application_name, a.state, a.wait_event_type || ':' || a.wait_event,
  extract(epoch FROM clock_timestamp() - a.state_change)::float8, left(a.query, 1000), a.client_port,
  CASE WHEN a.wait_event_type = 'Lock' THEN pg_blocking_pids(a.pid) END,
  (SELECT string_agg(l.mode || ' on ' || l.locktype || coalesce(' ' || l.relation::regclass::text, ''), ', ')
     FROM pg_locks l WHERE l.pid = a.pid AND NOT l.granted)
FROM pg_stat_activity a
WHERE a.backend_type IN ('client backend', 'autovacuum worker') AND a.pid <> pg_backend_pid()
"""
_PORT = 8
_INDEXES = """
SELECT p.pid, p.command, p.phase, p.blocks_done, p.blocks_total, p.tuples_done, p.tuples_total, p.current_locker_pid,
  (SELECT max(c.atttypmod) FROM pg_attribute c JOIN pg_type t ON t.oid = c.atttypid
     WHERE c.attrelid = p.relid AND t.typname = 'vector')
FROM pg_stat_progress_create_index p
"""
_COPIES = """
SELECT p.pid, p.command || ' ' || p.type, p.bytes_processed, p.bytes_total, p.tuples_processed
FROM pg_stat_progress_copy p
"""
_MEMORY = "SELECT setting::bigint FROM pg_settings WHERE name = 'maintenance_work_mem'"
# What stands between quotes may be somebody's secret.
_QUOTED = re.compile(r"'[^']*(?:'|$)|\$(\w*)\$.*?(?:\$\1\$|$)", re.DOTALL)


class Activity(msgspec.Struct, frozen=True, kw_only=True):
    """Two readings of a server, `gap_s` apart: `sessions` and `progress` of the second, `earlier` of the first.

    `maintenance_memory_kb` is maintenance_work_mem as a new session gets it, 0 when not known. `unknown` says why the
    server could not be asked; everything else is then empty.
    """

    gap_s: float = 0.0
    sessions: tuple[DatabaseSession, ...] = ()
    progress: tuple[Progress, ...] = ()
    earlier: tuple[Progress, ...] = ()
    maintenance_memory_kb: int = 0
    unknown: str = ""


class Standing:
    """Readings of a server on one connection that is kept, for who asks again and again. Used by one thread."""

    def __init__(self, dsn: str) -> None:
        """Connects at the first reading."""
        self._dsn = dsn
        self._connection: _Connection | None = None

    def read(self) -> Activity:
        """The sessions of others and the progress of now, without their clients. It says why, when not to be had."""
        try:
            if self._connection is None:
                self._connection = _connect(self._dsn)
            rows = self._connection.execute(_SESSIONS).fetchall()
            sessions = (parse_session(row, {}) for row in rows)
            others = tuple(session for session in sessions if session.application != APPLICATION)
            return Activity(sessions=others, progress=_progress(self._connection))
        except Exception as error:  # noqa: BLE001  (psycopg's errors have no name where it could not be imported)
            self.close()
            return Activity(unknown=_reason(error))

    def close(self) -> None:
        """Gives the connection back; the next reading makes a new one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class Watch:
    """Two readings of a server, each on a connection of its own that can never be the blocker and is closed at once."""

    def __init__(self, dsn: str, first: TreeSnapshot | None = None) -> None:
        """The first reading. With `first` the sessions that serve its tree over TCP are known."""
        self._dsn = dsn
        self._first = first
        self._at_s = time.monotonic()
        earlier = self._read(_progress)
        self._unknown = earlier if isinstance(earlier, str) else ""
        self._earlier: tuple[Progress, ...] = () if isinstance(earlier, str) else earlier

    def finish(self) -> Activity:
        """The second reading. It says why, when the server could not be asked."""
        if self._unknown:
            return Activity(unknown=self._unknown)
        found = self._read(self._activity)
        return Activity(unknown=found) if isinstance(found, str) else found

    def _read(self, ask: Callable[[_Connection], _T]) -> _T | str:
        """What the server answers, or why it does not."""
        try:
            with _connect(self._dsn) as connection:
                return ask(connection)
        except Exception as error:  # noqa: BLE001  (psycopg's errors have no name where it could not be imported)
            return _reason(error)

    def _activity(self, connection: _Connection) -> Activity:
        rows = connection.execute(_SESSIONS).fetchall()
        by_tcp = self._first is not None and any(_number(row[_PORT]) > 0 for row in rows)
        clients = _clients(self._first, connection.info.port) if self._first is not None and by_tcp else {}
        row = connection.execute(_MEMORY).fetchone()
        return Activity(
            gap_s=time.monotonic() - self._at_s,
            sessions=tuple(parse_session(each, clients) for each in rows),
            progress=_progress(connection),
            earlier=self._earlier,
            maintenance_memory_kb=_number(row[0]) if row else 0,
        )


def parse_session(row: _Row, clients: dict[int, tuple[int, ...]]) -> DatabaseSession:
    """A row of the server; whatever a user may not see is empty. `clients` are processes by their port."""
    pid, user, database, application, state, wait, since_s, query, port, blockers, lock = row
    return DatabaseSession(
        pid=_number(pid),
        user=_text(user),
        database=_text(database),
        application=_text(application),
        state=_text(state),
        wait=_text(wait),
        since_s=since_s if isinstance(since_s, float) else 0.0,
        query=without_literals(_text(query))[:_QUERY_CHARS],
        blockers=tuple(_number(each) for each in blockers) if isinstance(blockers, list) else (),
        lock=_text(lock),
        client_pids=clients.get(_number(port), ()),
    )


def without_literals(query: str) -> str:
    """A statement in one line, with `'...'` for whatever stood between quotes."""
    return " ".join(_QUOTED.sub("'...'", query).split())


def parse_index(row: _Row) -> Progress:
    """A row of pg_stat_progress_create_index."""
    pid, command, phase, blocks, all_blocks, rows, all_rows, locker, dimensions = row
    in_blocks = bool(_number(all_blocks))
    return Progress(
        pid=_number(pid),
        command=_text(command),
        phase=_text(phase),
        done=_number(blocks if in_blocks else rows),
        total=_number(all_blocks if in_blocks else all_rows),
        unit="blocks" if in_blocks else "rows",
        locker=_number(locker),
        rows=_number(rows),
        dimensions=max(0, _number(dimensions)),
    )


def parse_copy(row: _Row) -> Progress:
    """A row of pg_stat_progress_copy."""
    pid, command, done, total, rows = row
    return Progress(
        pid=_number(pid),
        command=_text(command),
        phase="",
        done=_number(done),
        total=_number(total),
        unit="bytes",
        rows=_number(rows),
    )


def _connect(dsn: str) -> _Connection:
    import psycopg  # imported here: looking must work without it
    from psycopg.conninfo import make_conninfo

    from ..database.dsn import parse

    fixed: dict[str, str | int] = {"application_name": APPLICATION, "connect_timeout": _CONNECT_TIMEOUT_S}
    connection = psycopg.connect(make_conninfo("", **{**parse(dsn), **fixed}), autocommit=True, prepare_threshold=None)
    try:
        for name, value in _LIMITS.items():
            connection.execute("SELECT set_config(%s, %s, false)", (name, value))
    except BaseException:
        connection.close()
        raise
    return connection


def _progress(connection: _Connection) -> tuple[Progress, ...]:
    indexes = [parse_index(row) for row in connection.execute(_INDEXES).fetchall()]
    if connection.info.server_version < 140_000:  # pg_stat_progress_copy is new in 14
        return tuple(indexes)
    return (*indexes, *(parse_copy(row) for row in connection.execute(_COPIES).fetchall()))


def _clients(first: TreeSnapshot, server_port: int) -> dict[int, tuple[int, ...]]:
    """The processes of the tree by the local port of their connection to the server."""
    holders: dict[int, set[int]] = {}
    for pid, items in first.descriptors.items():
        for item in items:
            if item.kind is DescriptorKind.SOCKET:
                holders.setdefault(item.inode, set()).add(pid)
    rows = [row for row in sockets.tcp_sockets() if row.remote.port == server_port and row.inode in holders]
    return {row.local.port: tuple(sorted(holders[row.inode])) for row in rows}


def _reason(error: Exception) -> str:
    """In words, and without the DSN: libpq quotes what it did not understand, which may be a password."""
    if isinstance(error, CvdebugError):
        return f"{error.what}. {error.hint}".strip()
    if isinstance(error, ImportError):
        return f"psycopg cannot be imported: {error}"
    state = getattr(error, "sqlstate", None)
    said = getattr(getattr(error, "diag", None), "message_primary", None)
    what = str(said) if said else next(iter(str(error).splitlines()), "") or type(error).__name__
    return f"the server refused ({state}): {what}" if state else f"the server cannot be reached: {what}"


def _text(value: object) -> str:
    return "" if value is None else str(value).replace("\0", "")


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0
