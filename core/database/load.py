"""The load: one transaction that replaces all rows and their index, or leaves the old ones as they were.

TRUNCATE, DROP INDEX, COPY, CREATE INDEX, COMMIT. What readers see: all old rows or all new ones, never some of both and
never an empty table. TRUNCATE takes an ACCESS EXCLUSIVE lock until the end, so a reader who comes meanwhile waits, and
then sees the new rows (after a rollback the old ones). A REPEATABLE READ reader who has read the table before the load
keeps the load waiting until it ends, and sees the old rows throughout. One who has not, but whose snapshot is older
than the commit, would see no rows at all, as TRUNCATE is not MVCC-safe; COPY FREEZE shows it the new ones.

With a swap (see swap.py) the same goes into a new table, and readers wait for its renaming alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import psycopg
from psycopg import sql

from ..errors import ConnectionLost, DatabaseError
from ..model import Phase
from .connection import Connection, application_name, backend_pid, connect, prepare_vectors, translate
from .index import IndexPlan, Replace
from .lockwait import LockWait
from .swap import Swap, drop_half_made
from .table import Marker, TableName, column_types, mark
from .tablelock import end_backend, require_lock
from .vectors import fast_vectors
from .watched import notices_into, run_watched
from .watcher import Watcher

LOCK_TIMEOUT_MS = 10_000
MAX_RETRIES = 2
_ROWS_PER_LOOK = 256
_PROGRESS_S = 0.1
_RECONNECT_S = 20.0
_RECONNECT_PAUSE_S = 0.25

Progress = Callable[[Phase, int, int, str], None]
"""Called with the phase, rows done, rows in all, and a detail; always in the thread that loads."""


class Row(NamedTuple):
    """One chunk. `embedding` is float32 of the table's dimension, L2-normalised."""

    id: int
    source: str
    ordinal: int
    text: str
    start_char: int
    end_char: int
    token_count: int
    embedding: npt.NDArray[np.float32]


class LoadResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a load did. `notices` are the server's own words during it; `retries` counts transactions begun anew."""

    rows: int
    copy_s: float
    index_s: float
    total_s: float
    notices: tuple[str, ...]
    retries: int = 0


def load_with_retry(
    dsn: str,
    table: TableName,
    rows: Callable[[], Iterable[Row]],
    *,
    run: str,
    total: int,
    plan: IndexPlan,
    marker: Marker,
    progress: Progress,
    on_retry: Callable[[int, ConnectionLost], None],
    replace: Replace = "truncate",
    lock_timeout_ms: int = LOCK_TIMEOUT_MS,
) -> LoadResult:
    """`load` on a connection of its own; a lost connection begins the whole transaction anew, at most twice.

    `rows` gives a fresh iterator each time. `on_retry` hears the number of the retry and why.
    """
    connection = connect(dsn, run=run, role="load")
    attempt = 0
    while True:
        backend = 0
        try:
            backend = _backend_of(connection)
            done = load(
                connection, table, rows(), dsn=dsn, run=run, total=total, plan=plan, marker=marker,
                progress=progress, replace=replace, lock_timeout_ms=lock_timeout_ms,
            )  # fmt: skip
            return msgspec.structs.replace(done, retries=attempt)
        except ConnectionLost as error:
            attempt += 1
            if attempt > MAX_RETRIES:
                raise
            on_retry(attempt, error)
        finally:
            connection.close()
        connection = _reconnect(dsn, run, backend)


def _backend_of(connection: Connection) -> int:
    try:
        return backend_pid(connection)
    except psycopg.Error as error:
        raise translate(error) from error


def _reconnect(dsn: str, run: str, backend: int) -> Connection:
    """A new connection, and the old backend ended: where only the network broke it still holds the table."""
    deadline = time.monotonic() + _RECONNECT_S
    while True:
        try:
            connection = connect(dsn, run=run, role="load")
        except DatabaseError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_RECONNECT_PAUSE_S)
            continue
        try:
            end_backend(connection, backend, application_name(run, "load"))
            connection.commit()
        except psycopg.Error as error:
            connection.close()
            raise translate(error) from error
        return connection


def load(
    connection: Connection,
    table: TableName,
    rows: Iterable[Row],
    *,
    dsn: str,
    run: str,
    total: int,
    plan: IndexPlan,
    marker: Marker,
    progress: Progress,
    replace: Replace = "truncate",
    lock_timeout_ms: int = LOCK_TIMEOUT_MS,
) -> LoadResult:
    """Replaces the table's rows and index in one transaction of `connection` (not in autocommit, idle).

    With `replace` "swap" they go into a table beside it, which a second, short transaction puts in its place.
    `dsn` and `run` are for a second connection that watches. Raises ConnectionLost, TableBusy (another run has the
    table's lock), or DatabaseError: no lock on the table within `lock_timeout_ms` (it says who has it), fewer or
    more rows than `total`, or whatever the server refuses. The old rows are then still there.
    """
    began = time.monotonic()
    notices: list[str] = []
    try:
        prepare_vectors(connection)
        fast_vectors(connection)
        with notices_into(connection, notices), Watcher(dsn, run, connection) as watcher:
            limits = _Limits(run, lock_timeout_ms)
            loading = _Loading(connection, table, plan, progress, watcher, total, notices, limits)
            full = msgspec.structs.replace(
                marker, rows=total, index=plan.kind, metric=plan.metric, storage=plan.storage
            )
            swap = loading.swap() if replace == "swap" else None
            with connection.transaction():
                loading.prepare()
                if swap is None:
                    loading.clear()
                else:
                    loading.target = swap.begin()
                copy_s = loading.copy(rows)
                index_s = loading.build_index()
                if swap is None:
                    mark(connection, table, full)
            if swap is not None:
                swap.finish(full)
    except psycopg.Error as error:
        raise translate(error) from error
    return LoadResult(
        rows=total,
        copy_s=copy_s,
        index_s=index_s,
        total_s=time.monotonic() - began,
        notices=tuple(notices),
    )


class _Limits(NamedTuple):
    """Whose load it is, and how long it waits for a lock; 0: for ever."""

    run: str
    lock_timeout_ms: int


class _Loading:
    """The steps inside the transaction, in their order. `target` is the table that they fill."""

    def __init__(
        self,
        connection: Connection,
        table: TableName,
        plan: IndexPlan,
        progress: Progress,
        watcher: Watcher,
        total: int,
        notices: list[str],
        limits: _Limits,
    ) -> None:
        self.target = table
        self._connection = connection
        self._table = table
        self._plan = plan
        self._progress = progress
        self._watcher = watcher
        self._total = total
        self._notices = notices
        self._limits = limits

    def prepare(self) -> None:
        """Limits of this transaction, and the right to load this table."""
        self._set_local("lock_timeout", f"{self._limits.lock_timeout_ms}ms")
        # A timeout that somebody set for interactive use would cancel a healthy COPY or CREATE INDEX.
        self._set_local("statement_timeout", "0")
        if self._connection.info.server_version >= 170_000:
            self._set_local("transaction_timeout", "0")
        require_lock(self._connection, self._table, self._limits.run)
        drop_half_made(self._connection, self._table)

    def swap(self) -> Swap:
        """The way to fill another table, and to put it into this one's place."""
        waits = self._lock_wait(lambda said: self._progress(Phase.INDEX, self._total, self._total, said))
        return Swap(self._connection, self._table, waits, self._limits.lock_timeout_ms)

    def _lock_wait(self, say: Callable[[str], None]) -> LockWait:
        limited = self._limits.lock_timeout_ms > 0
        return LockWait(self._connection, self._table, self._watcher, limited=limited, say=say)

    def clear(self) -> None:
        """Empties the table and drops its vector indexes: COPY into a standing one is two hundred times slower."""
        waits = self._lock_wait(lambda said: self._progress(Phase.STORE, 0, self._total, said))
        try:
            # ONLY: a table that inherits from this one is not ours.
            waits.execute(sql.SQL("TRUNCATE ONLY {}").format(self._table.identifier))
        except psycopg.errors.LockNotAvailable as error:
            raise waits.refusal("long enough") from error
        for index in vector_indexes(self._connection, self._table):
            self._connection.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(self._table.schema, index)))

    def copy(self, rows: Iterable[Row]) -> float:
        """COPY BINARY; seconds. DatabaseError when the rows are not `total` in number."""
        began = time.monotonic()
        statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY, FREEZE)").format(
            self.target.identifier, sql.SQL(", ").join(map(sql.Identifier, Row._fields))
        )
        with self._connection.cursor() as cursor, cursor.copy(statement) as copy:
            copy.set_types([kind.partition("(")[0] for _, kind in column_types(0, self._plan.storage)])
            done = self._write(copy, rows)
        if done != self._total:
            raise DatabaseError(f"{done} rows came to be stored, but {self._total} were announced")
        self._progress(Phase.STORE, done, self._total, "")
        return time.monotonic() - began

    def _write(self, copy: psycopg.Copy, rows: Iterable[Row]) -> int:
        """Writes the rows and says now and then how far it is; their number."""
        looked = time.monotonic()
        write, done = copy.write_row, 0
        for row in rows:
            try:
                write(row)
            except UnicodeEncodeError as error:
                raise DatabaseError(
                    f"The text of chunk {row.id} of {row.source!r} cannot be stored ({error.reason})"
                ) from error
            done += 1
            if done % _ROWS_PER_LOOK == 0 and (now := time.monotonic()) - looked >= _PROGRESS_S:
                looked = now
                self._progress(Phase.STORE, done, self._total, "")
        return done

    def build_index(self) -> float:
        """CREATE INDEX in as many processes as planned; seconds."""
        if self._plan.kind == "none":
            self._progress(Phase.INDEX, self._total, self._total, "no index was asked for")
            return 0.0
        began = time.monotonic()
        self._progress(Phase.INDEX, 0, self._total, self._detail("starting"))
        try:
            self._build()
        except psycopg.Error as error:
            raise _unbuilt(error) from error
        self._progress(Phase.INDEX, self._total, self._total, self._detail("done"))
        return time.monotonic() - began

    def _build(self) -> None:
        self._set_local("maintenance_work_mem", f"{self._plan.maintenance_work_mem_mb}MB")
        try:
            with self._connection.transaction():
                self._create_index(self._plan.parallel_workers)
        except psycopg.errors.DiskFull as error:
            # Docker gives a server 64 MB of /dev/shm, where a parallel build puts its graph.
            if "shared memory" not in str(error) or not self._plan.parallel_workers:
                raise
            self._notices.append(f"{error.diag.message_primary}; the index was built by one process instead")
            self._create_index(0)

    def _create_index(self, workers: int) -> None:
        # The planner sees a tiny heap, as vectors are stored out of line, and would build with one process.
        option = f"SET (parallel_workers = {workers:d})"
        self._connection.execute(sql.SQL("ALTER TABLE {} {}").format(self.target.identifier, sql.SQL(option)))
        self._set_local("max_parallel_maintenance_workers", str(workers))
        run_watched(self._connection, create_index(self.target, self._plan), self._say_how_far)

    def _say_how_far(self) -> None:
        if found := self._watcher.index_progress():
            phase, done = found
            self._progress(Phase.INDEX, min(done, self._total), self._total, self._detail(phase))

    def _detail(self, words: str) -> str:
        return f"{words}; {self._notices[-1]}" if self._notices else words

    def _set_local(self, name: str, value: str) -> None:
        self._connection.execute("SELECT set_config(%s, %s, true)", (name, value))


def _unbuilt(error: psycopg.Error) -> DatabaseError:
    """Why there is no index; a lost connection stays one."""
    failure = translate(error)
    if isinstance(failure, ConnectionLost):
        return failure
    words = failure.what.removeprefix("The database refused: ")
    hint = failure.hint
    if "memory required" in words:
        hint = "Raise --maintenance-work-mem-mb, or lower --lists"
    return DatabaseError(f"The index could not be built, and the table stays as it was: {words}", hint=hint)


def create_index(table: TableName, plan: IndexPlan) -> sql.Composed:
    """The CREATE INDEX statement of a plan; the server names the index, as no other name can clash."""
    options = sql.SQL(", ").join(
        sql.SQL("{} = {}").format(sql.Identifier(name), sql.Literal(value)) for name, value in plan.parameters.items()
    )
    return sql.SQL("CREATE INDEX ON {} USING {} (embedding {}) WITH ({})").format(
        table.identifier, sql.Identifier(plan.kind), sql.Identifier(plan.opclass), options
    )


def vector_indexes(connection: Connection, table: TableName) -> list[str]:
    """The names of the table's HNSW and IVFFlat indexes."""
    found = connection.execute(
        "SELECT i.relname FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_am a ON a.oid = i.relam"
        " JOIN pg_class t ON t.oid = x.indrelid JOIN pg_namespace n ON n.oid = t.relnamespace"
        " WHERE n.nspname = %s AND t.relname = %s AND a.amname IN ('hnsw', 'ivfflat') ORDER BY 1",
        (table.schema, table.name),
    ).fetchall()
    return [str(name) for (name,) in found]
