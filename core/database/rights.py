"""What this user may do on this server: a refusal holds the statement that mends it, with the real names in it.

Nothing here changes the database. Statements are put together by the server's own format(), which knows its keywords.
"""

from __future__ import annotations

import re

import psycopg
from psycopg import sql

from ..errors import DatabaseError
from .connection import Connection

MINIMUM_PGVECTOR = (0, 5)  # the first with HNSW
MINIMUM_HALFVEC = (0, 7)

_EXTENSION = """
SELECT e.extversion, n.nspname, has_schema_privilege(n.oid, 'USAGE'), current_database(), current_user
FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'vector'
"""


def statement(connection: Connection, form: str, *names: object) -> str:
    """`form` with each %I replaced by a name, quoted where that is needed."""
    row = connection.execute("SELECT format(%s, VARIADIC %s::text[])", (form, [str(name) for name in names])).fetchone()
    return str(row[0]) if row else form


def current_user(connection: Connection) -> str:
    row = connection.execute("SELECT current_user").fetchone()
    return str(row[0]) if row else ""


def require_writable(connection: Connection) -> None:
    """DatabaseError on a replica, and where this user's transactions may only read."""
    row = connection.execute("SELECT pg_is_in_recovery(), current_setting('transaction_read_only') = 'on'").fetchone()
    replica, read_only = row or (False, False)
    if replica:
        raise DatabaseError(
            "The server is a read-only replica",
            hint="Connect to its primary; with several hosts in the dsn, target_session_attrs=read-write finds it",
        )
    if read_only:
        form = "ALTER ROLE %I SET default_transaction_read_only = off"
        raise DatabaseError(
            "This user's transactions may only read (default_transaction_read_only)",
            hint=f"Run: {statement(connection, form, current_user(connection))}",
        )


def require_schema(connection: Connection, schema: str) -> None:
    """DatabaseError unless tables and indexes can be made in `schema`, or the schema itself."""
    if schema.startswith("pg_") or schema == "information_schema":
        raise DatabaseError(f"The schema {schema} is PostgreSQL's own", hint="Name a table elsewhere with --table")
    row = connection.execute(
        "SELECT has_schema_privilege(oid, 'USAGE'), has_schema_privilege(oid, 'CREATE') FROM pg_namespace"
        " WHERE nspname = %s",
        (schema,),
    ).fetchone()
    if row is None:
        _require_new_schema(connection, schema)
    elif not all(row):
        mend = statement(connection, "GRANT USAGE, CREATE ON SCHEMA %I TO %I", schema, current_user(connection))
        raise DatabaseError(
            f"This user may not create a table or an index in the schema {schema}",
            hint=f"Let its owner run: {mend}; or name a table in a schema of yours with --table",
        )


def _require_new_schema(connection: Connection, schema: str) -> None:
    row = connection.execute("SELECT has_database_privilege(current_database(), 'CREATE')").fetchone()
    if row is None or not row[0]:
        form = "CREATE SCHEMA %1$I; GRANT USAGE, CREATE ON SCHEMA %1$I TO %2$I"
        mend = statement(connection, form, schema, current_user(connection))
        raise DatabaseError(
            f"The schema {schema} does not exist, and this user may not create it",
            hint=f"Let the database's owner run: {mend}; or name a table in a schema of yours with --table",
        )


def check_extension(connection: Connection, schema: str, *, minimum: tuple[int, int]) -> str | None:
    """pgvector's version; None when it is still to be created, which this user can.

    DatabaseError when it is missing, too old, or its schema is closed. `schema` is the table's.
    """
    row = connection.execute(_EXTENSION.encode()).fetchone()
    if row is None:
        _require_new_extension(connection, schema)
        return None
    version, where, usable, database, user = row
    if tuple(int(part) for part in re.findall(r"\d+", str(version))[:2]) < minimum:
        raise DatabaseError(
            f"pgvector {version} is too old, {minimum[0]}.{minimum[1]} or newer is needed",
            hint=f"Let a superuser install a newer one and run in {database}: ALTER EXTENSION vector UPDATE",
        )
    if not usable:
        mend = statement(connection, "GRANT USAGE ON SCHEMA %I TO %I", where, user)
        raise DatabaseError(
            f"pgvector lives in the schema {where}, which this user may not use", hint=f"Let its owner run: {mend}"
        )
    return str(version)


def _require_new_extension(connection: Connection, schema: str) -> None:
    if not connection.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'vector'").fetchone():
        raise DatabaseError(
            "The server has no pgvector",
            hint="Install it there (https://github.com/pgvector/pgvector#installation), or leave --dsn away",
        )
    try:
        # Tried and taken back, as no catalogue tells what a managed service allows.
        with connection.transaction(force_rollback=True):
            create_schema(connection, schema)
            create_extension(connection, schema)
    except psycopg.OperationalError:
        raise
    except psycopg.DatabaseError as error:
        row = connection.execute("SELECT current_database()").fetchone()
        said = error.diag.message_primary or "refused"
        raise DatabaseError(
            f"The database has no extension vector, and this user may not create it ({said})",
            hint=f"Let a superuser run in the database {row[0] if row else ''}: CREATE EXTENSION vector;"
            " or allow it in the settings of the managed service",
        ) from error


def create_schema(connection: Connection, schema: str) -> None:
    """Creates it where it is missing. IF NOT EXISTS would ask for the privilege all the same."""
    if not connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", (schema,)).fetchone():
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))


def create_extension(connection: Connection, schema: str) -> None:
    """Creates it where it is missing: where this user's objects go, or in `schema` if its search_path has no other."""
    row = connection.execute("SELECT current_schema()").fetchone()
    where = sql.SQL(" SCHEMA {}").format(sql.Identifier(schema)) if row is None or row[0] is None else sql.SQL("")
    connection.execute(sql.SQL("CREATE EXTENSION IF NOT EXISTS vector") + where)
