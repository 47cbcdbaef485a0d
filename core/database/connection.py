"""Connections to PostgreSQL, and its errors in sentences.

Every connection says whose it is (`cvdebug:<run>:<role>`), never hangs while connecting, and notices a dead peer.
No PG* variable leaks into a connection whose dsn was given, but those that name files, and no password into a message.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import psycopg
from pgvector.psycopg import register_vector
from psycopg import sql
from psycopg.conninfo import make_conninfo

from ..errors import ConnectionLost, DatabaseError
from ..libpq import FROM_ENVIRONMENT, meddling
from .dsn import parse, redact, without_password

__all__ = [
    "Connection",
    "application_name",
    "backend_pid",
    "connect",
    "prepare_vectors",
    "redact",
    "translate",
    "without_password",
]

Connection = psycopg.Connection[tuple[object, ...]]

_CONNECT_TIMEOUT_S = 10
# A peer that is gone is noticed within about a minute, on top of TCP only.
_KEEPALIVES = {"keepalives": 1, "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
# NAMEDATALEN - 1: the server cuts longer names, and two runs must not become one.
_NAME_MAX = 63
# What psycopg logs beside the errors that it raises would only be noise on the terminal.
logging.getLogger("psycopg").addHandler(logging.NullHandler())
# One connects at a time, as the variables of another's moment must not come or go in between.
_environment = threading.Lock()


def application_name(run: str, role: str) -> str:
    """`cvdebug:<run>:<role>`. ValueError when the server would cut it or the run's end could not be told."""
    name = f"cvdebug:{run}:{role}"
    if ":" in run or not name.isascii() or len(name) > _NAME_MAX:
        raise ValueError(f"{name!r} is no name for a connection")
    return name


def connect(
    dsn: str, *, run: str, role: str, autocommit: bool = False, lock_timeout_ms: int | None = None
) -> Connection:
    """A connection to `dsn` (`env`: as the PG* variables say).

    UsageError when the dsn makes no sense, ConnectionLost or DatabaseError when nobody answers or lets us in.
    """
    parameters = parse(dsn)
    secret = parameters.get("password", "")
    fixed: dict[str, str | int | None] = {
        "application_name": application_name(run, role),
        "connect_timeout": _CONNECT_TIMEOUT_S,
        # Whatever the database is encoded in: the server converts, and says of which row it cannot.
        "client_encoding": "utf8",
    }
    with _environment, nullcontext() if dsn == FROM_ENVIRONMENT else _without_pg_variables():
        try:
            conninfo = make_conninfo("", **{**_KEEPALIVES, **parameters, **fixed})
            connection = psycopg.connect(conninfo, autocommit=True, prepare_threshold=None)
        except psycopg.Error as error:
            raise _refused(error, secret) from None
    try:
        _settle(connection, lock_timeout_ms)
        connection.autocommit = autocommit
        # Whatever a role's default is: what a lock was waited for must be seen once it is had.
        connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
    except psycopg.Error as error:
        connection.close()
        raise translate(error) from error
    return connection


@contextmanager
def _without_pg_variables() -> Iterator[None]:
    """libpq reads PGSERVICE and others even where a dsn says everything: they are gone while it connects."""
    hidden = meddling()
    try:
        for name in hidden:
            del os.environ[name]
        yield
    finally:
        os.environ.update(hidden)


def _settle(connection: Connection, lock_timeout_ms: int | None) -> None:
    """Session settings; those that an older server or its platform does not know are left out."""
    wanted = {"client_connection_check_interval": "1s", "idle_session_timeout": "0"}
    if connection.info.server_version >= 140_000:
        for name, value in wanted.items():
            try:
                connection.execute("SELECT set_config(%s, %s, false)", (name, value))
            except (psycopg.NotSupportedError, psycopg.DataError, psycopg.ProgrammingError):
                continue
    if lock_timeout_ms is not None:
        connection.execute("SELECT set_config('lock_timeout', %s, false)", (f"{lock_timeout_ms}ms",))


def backend_pid(connection: Connection) -> int:
    """The PID of the server's process for this connection, which is idle and is left so.

    What libpq has heard at connecting is a pooler's invention where there is one in between.
    """
    row = connection.execute("SELECT pg_backend_pid()").fetchone()
    if not connection.autocommit:
        connection.commit()
    return int(str(row[0])) if row else 0


def prepare_vectors(connection: Connection) -> None:
    """Makes vectors known to the connection, wherever the extension is installed. Call it outside a transaction.

    The search path becomes the extension's schema alone, so that no other schema can slip in an operator of its own.
    DatabaseError when the extension is missing.
    """
    row = connection.execute(
        "SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'vector'"
    ).fetchone()
    if row is None:
        raise DatabaseError("The database has no extension vector", hint="Let a superuser run: CREATE EXTENSION vector")
    connection.execute(sql.SQL("SET search_path TO {}").format(sql.Identifier(str(row[0]))))
    register_vector(connection)
    if not connection.autocommit:
        connection.commit()


# The first sign that the words have counts.
_REFUSALS = {
    "server does not support SSL": "Turn ssl on there, or lower sslmode in the dsn to prefer",
    "certificate verify failed": "Name the file of the authority that signed it: sslrootcert=FILE in the dsn",
    "root certificate file": "Name the authority's file in the dsn: sslrootcert=FILE, or sslrootcert=system",
    "does not match host name": "Give the host by the name that the certificate has, or sslmode=verify-ca",
    "no encryption": "Add sslmode=require to the dsn: the server lets this user in over TLS, if at all",
    "pg_hba.conf": "Let its administrator add a line for this user, database and address to pg_hba.conf",
    "password": "Check user and password, or ~/.pgpass (PGPASSFILE)",
    "not permitted to log in": "Let a superuser run ALTER ROLE ... LOGIN for that role",
    "permission denied for database": "Let the database's owner run GRANT CONNECT ON DATABASE ... TO that user",
    "definition of service": "Look at ~/.pg_service.conf, or at the file that PGSERVICEFILE names",
    "does not exist": "Create it, or name another one in the dsn",
    "refused": "Is the server running, and does it listen there?",
    "No such file": "Is the server running?",
    "translate host": "Check the host's name",
    "timeout": "Is the host reachable from here?",
    "too many connections for role": "Close others of this role, or run ALTER ROLE ... CONNECTION LIMIT",
    "too many": "Close other connections, or raise max_connections",
    "connection slots": "Close other connections, or raise max_connections",
}


def _refused(error: psycopg.Error, secret: str) -> DatabaseError:
    """Why a connection was not made. libpq repeats the whole story for each address: its first line says it."""
    words = str(error).strip()
    words = words.replace(secret, "***") if secret else words
    first = next((line.strip() for line in words.splitlines() if line.strip()), "no reason given").rstrip(".")
    hint = next((advice for sign, advice in _REFUSALS.items() if sign in first), "")
    return DatabaseError(f"The database cannot be reached: {first}", hint=hint)


_GONE = ("08", "57P01", "57P02", "57P03", "57P05")
_ADVICE = {
    "55P03": "Somebody holds a lock on the table: end that session, or try again later",
    "57014": "The server cancelled the statement: somebody asked for it, or a timeout is set",
    "53100": "The server's disk is full: free some space",
    "53200": "The server has not enough memory: lower --maintenance-work-mem-mb",
    "22P05": "Use a database in UTF8: CREATE DATABASE name ENCODING 'UTF8' TEMPLATE template0",
    "42501": "Ask the owner for the privilege, or use a table of your own with --table",
    "25006": "The server is a read-only replica: connect to its primary",
}


def translate(error: psycopg.Error) -> DatabaseError:
    """The error as one of ours: ConnectionLost when trying the transaction again may help, else DatabaseError."""
    state = error.sqlstate or ""
    words = (error.diag.message_primary or str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
    unsaid = not state and isinstance(error, psycopg.OperationalError)
    if state.startswith(_GONE) or unsaid:
        return ConnectionLost(f"The connection to the database was lost ({words})", hint="Is the server still up?")
    # For a row that COPY could not take it names the line and the column.
    where = f" ({error.diag.context.splitlines()[0]})" if state.startswith("22") and error.diag.context else ""
    return DatabaseError(f"The database refused: {words}{where}", hint=_ADVICE.get(state, ""))
