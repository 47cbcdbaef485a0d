"""The table that a load fills: its name, its marker, whether it may be touched.

cvdebug truncates only tables that it made, which their comment says. Checking changes nothing in the database.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import msgspec
import psycopg
from psycopg import sql

from ..errors import DatabaseError, UsageError
from .connection import Connection, translate

_VERSION = 1
_PREFIX = "cvdebug "
_NAME_MAX = 63  # NAMEDATALEN - 1; the server would cut silently
_MINIMUM_PGVECTOR = (0, 5)  # the first with HNSW

COLUMNS: tuple[tuple[str, str], ...] = (
    ("id", "bigint"),
    ("source", "text"),
    ("ordinal", "integer"),
    ("text", "text"),
    ("start_char", "integer"),
    ("end_char", "integer"),
    ("token_count", "integer"),
    ("embedding", "vector"),
)
"""Name and type, in COPY's order; the vector's dimension is added."""

_IDENTIFIER = re.compile(r'"(?:[^"\0]|"")+"|[A-Za-z_\u0080-\U0010ffff][\w$]*')


@dataclass(frozen=True, slots=True)
class TableName:
    """A table by schema and name, as the catalogue spells them."""

    schema: str = "cvdebug"
    name: str = "chunks"

    @classmethod
    def parse(cls, text: str) -> TableName:
        """`SCHEMA.NAME` as in SQL: without quotes it is folded to lower case. UsageError when it is anything else."""
        parts, rest = [], text.strip()
        while match := _IDENTIFIER.match(rest):
            parts.append(_unquoted(match.group()))
            rest = rest[match.end() :]
            if not rest.startswith("."):
                break
            rest = rest[1:]
        if len(parts) == 1 and rest == "" and not text.strip().endswith("."):
            raise UsageError(
                f"The table {text!r} is named without its schema",
                hint=f"Write SCHEMA.NAME, such as public.{text.strip()}",
            )
        if len(parts) != 2 or rest or text.strip().endswith("."):
            raise UsageError(f"{text!r} is not the name of a table", hint="Write SCHEMA.NAME, such as cvdebug.chunks")
        for part in parts:
            if len(part.encode()) > _NAME_MAX:
                raise UsageError(f"The name {part!r} is longer than {_NAME_MAX} bytes", hint="Choose a shorter one")
        return cls(*parts)

    def __str__(self) -> str:
        return ".".join(_quoted(part) for part in (self.schema, self.name))

    @property
    def identifier(self) -> sql.Identifier:
        return sql.Identifier(self.schema, self.name)


def _unquoted(identifier: str) -> str:
    return identifier[1:-1].replace('""', '"') if identifier.startswith('"') else identifier.lower()


def _quoted(name: str) -> str:
    return name if re.fullmatch(r"[a-z_][a-z0-9_]*", name) else '"' + name.replace('"', '""') + '"'


class Marker(msgspec.Struct, frozen=True, kw_only=True):
    """What a table made by cvdebug says of itself in its comment; empty until it is loaded."""

    version: int = _VERSION
    run: str = ""
    embedder: str = ""
    tokenizer: str = ""
    metric: str = ""
    index: str = ""
    dimensions: int = 0
    rows: int = 0


@dataclass(frozen=True, slots=True)
class TableState:
    """What `check` found. `marker` is None exactly when the table does not exist yet."""

    marker: Marker | None
    extension: str | None  # pgvector's version, None when it is still to be created

    @property
    def exists(self) -> bool:
        return self.marker is not None


def describe(connection: Connection, table: TableName) -> Marker | None:
    """The table's marker; None when there is no such table or cvdebug did not make it."""
    row = _row(
        connection,
        "SELECT obj_description(c.oid, 'pg_class') FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname = %s AND c.relname = %s",
        table.schema,
        table.name,
    )
    comment = str(row[0]) if row and row[0] else ""
    if not comment.startswith(_PREFIX):
        return None
    try:
        return msgspec.json.decode(comment[len(_PREFIX) :], type=Marker)
    except (msgspec.MsgspecError, UnicodeError):
        return None


def mark(connection: Connection, table: TableName, marker: Marker) -> None:
    """Writes the marker, inside the caller's transaction."""
    comment = _PREFIX + msgspec.json.encode(marker).decode()
    connection.execute(sql.SQL("COMMENT ON TABLE {} IS {}").format(table.identifier, sql.Literal(comment)))


def check(connection: Connection, table: TableName, *, dimensions: int = 1024) -> TableState:
    """Whether the table can be loaded; changes nothing. DatabaseError says what to do when it cannot."""
    try:
        extension = _check_extension(connection)
        found = _row(
            connection,
            "SELECT c.oid, c.relkind::text, pg_has_role(c.relowner, 'USAGE') FROM pg_class c"
            " JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relname = %s",
            table.schema,
            table.name,
        )
        if found is None:
            _check_creatable(connection, table)
            return TableState(marker=None, extension=extension)
        oid, kind, owned = found
        marker = _check_ours(connection, table, kind=str(kind), owned=bool(owned))
        _check_columns(connection, table, oid, dimensions)
        _check_foreign_keys(connection, table, oid)
        _check_inheritance(connection, table, oid)
    except psycopg.Error as error:
        raise translate(error) from error
    return TableState(marker=marker, extension=extension)


def _row(connection: Connection, query: str, *values: object) -> tuple[object, ...] | None:
    return connection.execute(query.encode(), values).fetchone()


def _check_extension(connection: Connection) -> str | None:
    row = _row(connection, "SELECT extversion FROM pg_extension WHERE extname = 'vector'")
    if row is None:
        _check_extension_creatable(connection)
        return None
    version = str(row[0])
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    if numbers < _MINIMUM_PGVECTOR:
        raise DatabaseError(
            f"pgvector {version} is too old, 0.5 or newer is needed",
            hint="Let a superuser install a newer one and run: ALTER EXTENSION vector UPDATE",
        )
    return version


def _check_extension_creatable(connection: Connection) -> None:
    row = _row(
        connection,
        "SELECT NOT v.superuser OR (v.trusted AND has_database_privilege(current_database(), 'CREATE'))"
        " OR (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)"
        " FROM pg_available_extensions e"
        " JOIN pg_available_extension_versions v ON v.name = e.name AND v.version = e.default_version"
        " WHERE e.name = 'vector'",
    )
    if row is None:
        raise DatabaseError("The server has no pgvector", hint="Install it on the server, or leave --dsn away")
    if not row[0]:
        raise DatabaseError(
            "The database has no extension vector, and this user may not create it",
            hint="Let a superuser run: CREATE EXTENSION vector",
        )


def _check_creatable(connection: Connection, table: TableName) -> None:
    row = _row(
        connection,
        "SELECT has_schema_privilege(oid, 'CREATE') FROM pg_namespace WHERE nspname = %s",
        table.schema,
    )
    if row is not None and not row[0]:
        raise DatabaseError(
            f"This user may not create a table in the schema {_quoted(table.schema)}",
            hint=f"Let its owner run: GRANT CREATE ON SCHEMA {_quoted(table.schema)} TO the_user_of_the_dsn",
        )
    database = _row(connection, "SELECT has_database_privilege(current_database(), 'CREATE'), current_database()")
    if row is None and database is not None and not database[0]:
        raise DatabaseError(
            f"The schema {_quoted(table.schema)} does not exist, and this user may not create it",
            hint=f"Let the database's owner run: CREATE SCHEMA {_quoted(table.schema)}",
        )


def _check_ours(connection: Connection, table: TableName, *, kind: str, owned: bool) -> Marker:
    if kind != "r":
        raise DatabaseError(f"{table} is not an ordinary table", hint="Name another one with --table")
    marker = describe(connection, table)
    if marker is None:
        raise DatabaseError(
            f"The table {table} was not made by cvdebug, which would empty it",
            hint="Name another one with --table; cvdebug makes it",
        )
    if marker.version > _VERSION:
        raise DatabaseError(f"The table {table} was made by a newer cvdebug", hint="Update cvdebug, or use --table")
    if not owned:
        raise DatabaseError(f"The table {table} belongs to another role", hint="Name another one with --table")
    return marker


def _check_columns(connection: Connection, table: TableName, oid: object, dimensions: int) -> None:
    rows = connection.execute(
        "SELECT attname, CASE WHEN t.typname = 'vector' THEN 'vector(' || atttypmod || ')'"
        " ELSE format_type(atttypid, atttypmod) END, attnotnull AND NOT atthasdef AND attidentity = ''"
        " FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid"
        " WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped",
        (oid,),
    ).fetchall()
    found = {str(name): str(kind) for name, kind, _ in rows}
    for name, kind in column_types(dimensions):
        if found.get(name) != kind:
            has = f"is {found[name]}" if name in found else "is missing"
            raise DatabaseError(
                f"The column {name} of {table} {has}, where {kind} is needed",
                hint=f"DROP TABLE {table} lets cvdebug make it anew, or name another one with --table",
            )
    known = {name for name, _ in COLUMNS}
    if extra := [str(name) for name, _, must in rows if must and name not in known]:
        raise DatabaseError(
            f"The column {extra[0]} of {table} must have a value, and a load gives it none",
            hint=f"ALTER TABLE {table} ALTER COLUMN {_quoted(extra[0])} DROP NOT NULL, or use --table",
        )


def _check_foreign_keys(connection: Connection, table: TableName, oid: object) -> None:
    row = _row(
        connection,
        "SELECT conname, conrelid::regclass::text FROM pg_constraint"
        " WHERE contype = 'f' AND confrelid = %s AND conrelid <> confrelid",
        oid,
    )
    if row is not None:
        raise DatabaseError(
            f"The foreign key {row[0]} of {row[1]} refers to {table}, so that it cannot be emptied",
            hint=f"ALTER TABLE {row[1]} DROP CONSTRAINT {_quoted(str(row[0]))}, or use --table",
        )


def _check_inheritance(connection: Connection, table: TableName, oid: object) -> None:
    """A table that inherits would show its rows among ours."""
    row = _row(connection, "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = %s", oid)
    if row is not None:
        raise DatabaseError(
            f"The table {row[0]} inherits from {table}, and its rows would stand among the loaded ones",
            hint=f"ALTER TABLE {row[0]} NO INHERIT {table}, or use --table",
        )


def column_types(dimensions: int) -> list[tuple[str, str]]:
    """Each column with its full type."""
    return [(name, f"vector({dimensions})" if kind == "vector" else kind) for name, kind in COLUMNS]


def create(connection: Connection, table: TableName, *, dimensions: int = 1024) -> None:
    """Creates extension, schema and table where they are missing, and commits. Call `check` before.

    Rows up to a page stay in one piece, where PostgreSQL would move every vector out of line and compress the text:
    measured at 20,000 rows, COPY is about four times as fast so, and an exact scan three times. The embedding gets no
    statistics: sampling thousands of 4 kB values serves no query.
    """
    try:
        with connection.transaction():
            connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
            schema = connection.execute(
                "SELECT extnamespace::regnamespace::text FROM pg_extension WHERE extname = 'vector'"
            ).fetchone()
            types = sql.SQL(f"{schema[0] if schema else 'public'}.vector({dimensions:d})")
            if not _row(connection, "SELECT 1 FROM pg_namespace WHERE nspname = %s", table.schema):
                connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(table.schema)))
            if describe(connection, table) is None:
                _create_table(connection, table, types)
                mark(connection, table, Marker(dimensions=dimensions))
        if not connection.autocommit:
            connection.commit()
    except psycopg.Error as error:
        raise translate(error) from error


def _create_table(connection: Connection, table: TableName, vector: sql.SQL) -> None:
    columns = sql.SQL(", ").join(
        sql.SQL("{} {} NOT NULL").format(sql.Identifier(name), vector if kind == "vector" else sql.SQL(kind))
        for name, kind in COLUMNS
    )
    # 8160 bytes is the most that the option takes with pages of 8 kB.
    create = sql.SQL("CREATE TABLE {} ({}, PRIMARY KEY (id)) WITH (toast_tuple_target = 8160)")
    connection.execute(create.format(table.identifier, columns))
    connection.execute(sql.SQL("ALTER TABLE {} ALTER COLUMN embedding SET STATISTICS 0").format(table.identifier))
