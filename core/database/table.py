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
from ..served import ServedModel
from . import rights
from .connection import Connection, translate
from .index import Storage

_VERSION = 1
_PREFIX = "cvdebug "
_NAME_MAX = 63  # NAMEDATALEN - 1; the server would cut silently

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
"""Name and type, in COPY's order; the vector becomes a halfvec where that is asked, and gets its dimension."""

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

    @property
    def beside_parameters(self) -> sql.Identifier:
        """The same for a statement with parameters, where psycopg reads every %."""
        return sql.Identifier(self.schema.replace("%", "%%"), self.name.replace("%", "%%"))


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
    served: ServedModel | None = None  # what a server embedded with, where one did
    metric: str = ""
    index: str = ""
    storage: Storage = "vector"
    dimensions: int = 0
    rows: int = 0
    replaces: str = ""  # of a table that is still being loaded: the one beside it whose place it is to take


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
    return _read_marker(row[0]) if row else None


def _read_marker(comment: object) -> Marker | None:
    if not comment or not str(comment).startswith(_PREFIX):
        return None
    try:
        return msgspec.json.decode(str(comment)[len(_PREFIX) :], type=Marker)
    except (msgspec.MsgspecError, UnicodeError):
        return None


def half_made(connection: Connection, table: TableName) -> list[str]:
    """The names of this user's tables that a swap was to put in the place of `table`, in the same schema."""
    found = connection.execute(
        "SELECT c.relname, obj_description(c.oid, 'pg_class') FROM pg_class c JOIN pg_namespace n"
        " ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relkind = 'r' AND pg_has_role(c.relowner, 'USAGE')",
        (table.schema,),
    ).fetchall()
    markers = ((str(name), _read_marker(comment)) for name, comment in found)
    return [name for name, marker in markers if marker is not None and marker.replaces == table.name]


def mark(connection: Connection, table: TableName, marker: Marker) -> None:
    """Writes the marker, inside the caller's transaction."""
    comment = _PREFIX + msgspec.json.encode(marker).decode()
    connection.execute(sql.SQL("COMMENT ON TABLE {} IS {}").format(table.identifier, sql.Literal(comment)))


def check(
    connection: Connection, table: TableName, *, dimensions: int = 1024, storage: Storage = "vector"
) -> TableState:
    """Whether the table can be loaded; changes nothing. DatabaseError says what to do when it cannot."""
    try:
        rights.require_writable(connection)
        found = _row(
            connection,
            "SELECT c.oid, c.relkind::text, pg_has_role(c.relowner, 'USAGE'), pg_get_userbyid(c.relowner)"
            " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relname = %s",
            table.schema,
            table.name,
        )
        oid, kind, owned, owner = found or (None, "", True, "")
        marker = _check_ours(connection, table, kind=str(kind), owner="" if owned else str(owner)) if found else None
        rights.require_schema(connection, table.schema)
        minimum = rights.MINIMUM_HALFVEC if storage == "halfvec" else rights.MINIMUM_PGVECTOR
        extension = rights.check_extension(connection, table.schema, minimum=minimum)
        if marker is None:
            return TableState(marker=None, extension=extension)
        _check_columns(connection, table, oid, column_types(dimensions, storage))
        _check_foreign_keys(connection, table, oid)
        _check_inheritance(connection, table, oid)
        _check_row_security(connection, table, oid)
    except psycopg.Error as error:
        raise translate(error) from error
    return TableState(marker=marker, extension=extension)


def _row(connection: Connection, query: str, *values: object) -> tuple[object, ...] | None:
    return connection.execute(query.encode(), values).fetchone()


def _check_ours(connection: Connection, table: TableName, *, kind: str, owner: str) -> Marker:
    """Its marker. `owner` is empty when the table is this user's own, or of a role that it belongs to."""
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
    if owner:
        form = "ALTER TABLE %I.%I OWNER TO %I"
        mend = rights.statement(connection, form, table.schema, table.name, rights.current_user(connection))
        raise DatabaseError(
            f"The table {table} belongs to another role, {owner}",
            hint=f"Let that role or a superuser run: {mend}; or name another table with --table",
        )
    return marker


def _check_columns(connection: Connection, table: TableName, oid: object, needed: list[tuple[str, str]]) -> None:
    rows = connection.execute(
        "SELECT attname, CASE WHEN t.typname IN ('vector', 'halfvec') AND atttypmod > 0"
        " THEN t.typname || '(' || atttypmod || ')'"
        " ELSE format_type(atttypid, atttypmod) END, attnotnull AND NOT atthasdef AND attidentity = ''"
        " FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid"
        " WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped",
        (oid,),
    ).fetchall()
    found = {str(name): str(kind) for name, kind, _ in rows}
    for name, kind in needed:
        if found.get(name) != kind:
            has = f"is {found[name]}" if name in found else "is missing"
            raise DatabaseError(
                f"The column {name} of {table} {has}, where {kind} is needed",
                hint=_mended_column(connection, table, found.get(name, ""), kind),
            )
    if extra := [str(name) for name, _, must in rows if must and name not in dict(needed)]:
        form = "ALTER TABLE %I.%I ALTER COLUMN %I DROP NOT NULL"
        raise DatabaseError(
            f"The column {extra[0]} of {table} must have a value, and a load gives it none",
            hint=f"Run: {rights.statement(connection, form, table.schema, table.name, extra[0])}; or use --table",
        )


def _mended_column(connection: Connection, table: TableName, found: str, needed: str) -> str:
    """What to do about a column of the wrong type."""
    mend = rights.statement(connection, "DROP TABLE %I.%I", table.schema, table.name)
    other, _, dimension = found.partition("(")
    if other in ("vector", "halfvec") and needed.partition("(")[2] == dimension:
        return f"Add --storage {other}; {mend} lets cvdebug make it anew; or name another one with --table"
    return f"{mend} lets cvdebug make it anew, or name another one with --table"


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


def _check_row_security(connection: Connection, table: TableName, oid: object) -> None:
    """Where row security binds the owner too, COPY is refused, and a count may not see every row."""
    row = _row(
        connection,
        "SELECT relrowsecurity AND relforcerowsecurity AND NOT (rolsuper OR rolbypassrls)"
        " FROM pg_class, pg_roles WHERE pg_class.oid = %s AND rolname = current_user",
        oid,
    )
    if row is not None and row[0]:
        mend = rights.statement(connection, "ALTER TABLE %I.%I NO FORCE ROW LEVEL SECURITY", table.schema, table.name)
        raise DatabaseError(
            f"Row security of {table} binds its owner too, so that COPY is refused", hint=f"Run: {mend}"
        )


def column_types(dimensions: int, storage: Storage = "vector") -> list[tuple[str, str]]:
    """Each column with its full type."""
    return [(name, f"{storage}({dimensions})" if kind == "vector" else kind) for name, kind in COLUMNS]


def create(connection: Connection, table: TableName, *, dimensions: int = 1024, storage: Storage = "vector") -> None:
    """Creates extension, schema and table where they are missing, and commits. Call `check` before.

    Rows up to a page stay in one piece, where PostgreSQL would move every vector out of line and compress the text:
    measured at 20,000 rows, COPY is about four times as fast so, and an exact scan three times. The embedding gets no
    statistics: sampling thousands of 4 kB values serves no query.
    """
    try:
        with connection.transaction():
            rights.create_schema(connection, table.schema)
            rights.create_extension(connection, table.schema)
            schema = connection.execute(
                "SELECT extnamespace::regnamespace::text FROM pg_extension WHERE extname = 'vector'"
            ).fetchone()
            vector = sql.SQL(f"{schema[0] if schema else 'public'}.{storage}({dimensions:d})")
            if describe(connection, table) is None:
                _create_table(connection, table, vector)
                mark(connection, table, Marker(dimensions=dimensions, storage=storage))
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
