"""PostgreSQL, pgvector and the table: the embedded server, which is started for it, or one of the user's own.

psycopg is imported when a check runs: where it cannot be, only these checks fail. Nothing that lasts is written.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..errors import DatabaseError, UsageError
from . import faults
from .check import Answer, Machine, note, ok, warning, worst_of

if TYPE_CHECKING:
    from ..database.connection import Connection

DEADLINE_S = 20.0  # a connection is given up after 10 s, and the first start makes a data folder
_OLDEST = 14  # pg_stat_progress_copy is new in it, and it is the oldest that was tried
_STATEMENT_MS = 5000
_NOT_REACHED = "not looked at, as the server cannot be reached"


def postgresql(machine: Machine) -> Answer:
    """Connects, and reads the version."""
    from ..database import rights

    with _connected(machine) as connection:
        rights.require_writable(connection)
        info = connection.info
        number = f"{info.server_version // 10_000}.{info.server_version % 10_000}"
        place = "embedded" if machine.settings.dsn is None else f"database {info.dbname} as {info.user}"
    return judged_server(number, place)


def judged_server(number: str, place: str) -> Answer:
    """What follows from a version such as 16.4."""
    answers = [ok(f"PostgreSQL {number}, {place}")]
    if faults.parsed(number)[0] < _OLDEST:
        answers.append(warning(f"older than {_OLDEST}: progress cannot be shown", "Update the server."))
    answers += [warning(faults.told(fault), "Update the server.") for fault in faults.known(number, faults.POSTGRESQL)]
    return worst_of(answers)


def pgvector(machine: Machine) -> Answer:
    """The extension: there or to be had, new enough, and it really answers."""
    from ..database import rights, table

    try:
        with _connected(machine) as connection:
            name = table.TableName.parse(machine.settings.table)
            halves = machine.settings.storage == "halfvec"
            minimum = rights.MINIMUM_HALFVEC if halves else rights.MINIMUM_PGVECTOR
            there = rights.check_extension(connection, name.schema, minimum=minimum) is not None
            number = _tried(connection, name.schema, there=there)
    except _Unreachable:
        return note(_NOT_REACHED)
    return judged_extension(number, there=there, index=machine.settings.index)


def judged_extension(number: str, *, there: bool, index: str) -> Answer:
    """What follows from its version. `there`: it has been created in the database; else a run creates it."""
    answers = [ok(f"pgvector {number}" + ("" if there else ", to be created by the first run"))]
    for fault in faults.known(number, faults.PGVECTOR):
        if fault.kind == index:
            answers.append(warning(faults.told(fault), "Update pgvector, then ALTER EXTENSION vector UPDATE."))
        else:
            answers.append(note(faults.told(fault), f"A fault of {fault.kind} does not concern --index {index}."))
    return worst_of(answers)


def table(machine: Machine) -> Answer:
    """Whether a load into the table would be accepted."""
    from ..database import rights, table

    name = table.TableName.parse(machine.settings.table)
    storage = machine.settings.storage
    try:
        with _connected(machine) as connection:
            try:
                rights.check_extension(connection, name.schema, minimum=rights.MINIMUM_PGVECTOR)
            except DatabaseError:
                return note("not looked at, as pgvector cannot be used")
            state = table.check(connection, name, storage=storage)
    except _Unreachable:
        return note(_NOT_REACHED)
    return ok(f"{name} can be loaded" + ("" if state.exists else "; the first run makes it"))


def _tried(connection: Connection, schema: str, *, there: bool) -> str:
    """pgvector's version, after two vectors were compared; where the extension is not there it is made, and taken back.

    DatabaseError when its library does not work.
    """
    import psycopg
    from psycopg import sql

    from ..database import rights
    from ..database.connection import translate

    try:
        with connection.transaction(force_rollback=True):
            if not there:
                rights.create_schema(connection, schema)
                rights.create_extension(connection, schema)
            row = connection.execute(
                "SELECT extversion, extnamespace::regnamespace::text FROM pg_extension WHERE extname = 'vector'"
            ).fetchone()
            number, where = map(str, row or ("", "public"))
            schema_name = sql.SQL(where)
            connection.execute(sql.SQL("SELECT {0}.vector_norm('[3,4]'::{0}.vector)").format(schema_name))
    except psycopg.Error as error:
        raise translate(error) from error
    return number


class _Unreachable(DatabaseError):
    """No connection was made; the check postgresql says why."""


@contextlib.contextmanager
def _connected(machine: Machine) -> Iterator[Connection]:
    """A connection to the server that a run would use. The embedded one is let go when no other check runs: a child
    that is just being started would hold copies of its locks."""
    from ..database.connection import connect
    from ..database.embedded import EmbeddedServer

    dsn = machine.settings.dsn
    with contextlib.ExitStack() as stack:
        try:
            where = machine.shared.use(EmbeddedServer.acquire).dsn if dsn is None else dsn
            connection = stack.enter_context(connect(where, run="doctor", role="probe", autocommit=True))
        except (DatabaseError, UsageError) as error:
            raise _Unreachable(error.what, hint=error.hint) from error
        connection.execute("SELECT set_config('statement_timeout', %s, false)", (f"{_STATEMENT_MS}ms",))
        yield connection
