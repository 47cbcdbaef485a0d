"""A table beside the old one, which takes its place when all its rows and its index are there.

The new table is loaded, indexed and committed under a name of its own, while readers read the old one. Then a short
transaction locks the old table, drops it and renames the new one: the only moment that readers wait for, and no longer
than lock_timeout, as the attempt is given up then and made again later. (In one transaction the commit would write
everything to disk with the lock held.) Columns, defaults, constraints, indexes, their names, comments, storage
parameters, owner and privileges are carried over. What cannot be, such as a view, is a reason to refuse.

A new table that a killed run left behind says so in its comment; the next load of the table drops it.
"""

from __future__ import annotations

import contextlib
import secrets

import psycopg
from psycopg import sql

from ..errors import DatabaseError
from .connection import Connection
from .index import VECTOR_INDEXES
from .lockwait import LockWait
from .table import Marker, TableName, half_made, mark

ATTEMPTS = 6
_DROP_TIMEOUT = "5s"
_PAUSE_S = 0.5  # grows by as much each time: readers that waited get their turn

_LOST = """
WITH t AS (SELECT * FROM pg_class WHERE oid = %(oid)s)
SELECT regexp_replace(pg_describe_object(d.classid, d.objid, d.objsubid), '^rule _RETURN on ', '') AS what
FROM pg_depend d, t WHERE d.deptype = 'n' AND NOT (d.classid = 'pg_class'::regclass AND d.objid = t.oid)
  AND NOT (d.classid = 'pg_constraint'::regclass AND d.objid IN (SELECT oid FROM pg_constraint WHERE conrelid = t.oid))
  AND NOT (d.classid = 'pg_attrdef'::regclass AND d.objid IN (SELECT oid FROM pg_attrdef WHERE adrelid = t.oid))
  AND (d.refclassid = 'pg_class'::regclass AND d.refobjid = t.oid OR d.refclassid = 'pg_type'::regclass
    AND d.refobjid IN (SELECT y.oid FROM pg_type y WHERE t.reltype IN (y.oid, y.typelem) AND y.oid <> 0))
UNION SELECT format('trigger %%I', tgname) FROM pg_trigger WHERE tgrelid = %(oid)s AND NOT tgisinternal
UNION SELECT format('foreign key %%I', conname) FROM pg_constraint WHERE conrelid = %(oid)s AND contype = 'f'
UNION SELECT format('rule %%I', rulename) FROM pg_rewrite WHERE ev_class = %(oid)s
UNION SELECT format('policy %%I', polname) FROM pg_policy WHERE polrelid = %(oid)s
UNION SELECT 'row level security' FROM t WHERE relrowsecurity OR relforcerowsecurity
UNION SELECT format('place in the publication %%I', pubname) FROM pg_publication_rel r
  JOIN pg_publication p ON p.oid = r.prpubid WHERE prrelid = %(oid)s
UNION SELECT format('inheritance from %%s', inhparent::regclass) FROM pg_inherits WHERE inhrelid = %(oid)s
UNION SELECT format('statistics %%I', stxname) FROM pg_statistic_ext WHERE stxrelid = %(oid)s
UNION SELECT format('sequence %%I', s.relname) FROM pg_depend d JOIN pg_class s ON s.oid = d.objid
  WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = %(oid)s
  AND s.relkind = 'S'
UNION SELECT format('security label of %%s', provider) FROM pg_seclabel
  WHERE classoid = 'pg_class'::regclass AND objoid = %(oid)s
UNION SELECT 'replica identity' FROM t WHERE relreplident <> 'd'
UNION SELECT 'type' FROM t WHERE reloftype <> 0
ORDER BY 1
"""

_OPTIONS = """
SELECT toast || split_part(option, '=', 1), substr(option, strpos(option, '=') + 1) FROM (
  SELECT '' AS toast, unnest(reloptions) AS option FROM pg_class WHERE oid = %(oid)s
  UNION ALL SELECT 'toast.', unnest(o.reloptions) FROM pg_class c JOIN pg_class o ON o.oid = c.reltoastrelid
  WHERE c.oid = %(oid)s) options
WHERE option NOT LIKE 'parallel_workers=%%'
"""

# What stands behind USING says everything of an index but its name, its table and whether it is a constraint.
_INDEXES = """
SELECT i.relname, obj_description(i.oid, 'pg_class'),
  substring(pg_get_indexdef(i.oid) FROM ' USING .*'), x.indisunique, x.indisprimary, c.contype::text
FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_am a ON a.oid = i.relam
LEFT JOIN pg_constraint c ON c.conindid = i.oid AND c.conrelid = x.indrelid
WHERE x.indrelid = %(oid)s AND NOT a.amname = ANY(%(kinds)s) ORDER BY 3, 4, 5, 6, 1
"""

_VECTOR_INDEXES = """
SELECT i.relname, obj_description(i.oid, 'pg_class') FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
JOIN pg_am a ON a.oid = i.relam WHERE x.indrelid = %(oid)s AND a.amname = ANY(%(kinds)s) ORDER BY 1
"""

_COLUMNS = """
SELECT attname, format_type(atttypid, atttypmod), attnotnull, pg_get_expr(d.adbin, d.adrelid)
FROM pg_attribute LEFT JOIN pg_attrdef d ON d.adrelid = attrelid AND d.adnum = attnum
WHERE attrelid = %(oid)s AND attnum > 0 AND NOT attisdropped ORDER BY attname
"""

_GRANTEE = "CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END"
_OPTION = "CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END"
_PRIVILEGES = f"""
SELECT DISTINCT 1, format('REVOKE ALL ON %%1$s FROM %%2$s', %(new)s::regclass, {_GRANTEE})
FROM pg_class, aclexplode(relacl) WHERE pg_class.oid = %(new)s
UNION SELECT 2, format('GRANT %%s ON %%s TO %%s%%s', privilege_type, %(new)s::regclass, {_GRANTEE}, {_OPTION})
FROM pg_class, aclexplode(coalesce(relacl, acldefault('r', relowner))) WHERE pg_class.oid = %(old)s
UNION SELECT 3, format('GRANT %%s (%%I) ON %%s TO %%s%%s',
  privilege_type, attname, %(new)s::regclass, {_GRANTEE}, {_OPTION})
FROM pg_attribute, aclexplode(attacl) WHERE attrelid = %(old)s AND NOT attisdropped
ORDER BY 1, 2
"""

_CONSTRAINT_COMMENTS = """
SELECT conname, obj_description(oid, 'pg_constraint') FROM pg_constraint
WHERE conrelid = %(oid)s AND obj_description(oid, 'pg_constraint') IS NOT NULL
"""


def require_swappable(connection: Connection, table: TableName) -> None:
    """DatabaseError when something hangs on the table that another one in its place would not have.

    A table that is not there yet is made first, and is fine.
    """
    oid = _oid(connection, table)
    if oid is None:
        return
    lost = [str(what) for (what,) in connection.execute(_LOST.encode(), {"oid": oid}).fetchall()]
    if lost:
        more = f" and {len(lost) - 3} more" if len(lost) > 3 else ""
        raise DatabaseError(
            f"A swap would take from {table}: {', '.join(lost[:3])}{more}",
            hint="--replace truncate keeps the table with all that hangs on it",
        )


def drop_half_made(connection: Connection, table: TableName) -> None:
    """Drops the new tables that killed runs left beside `table`. The caller has the table's lock."""
    for name in half_made(connection, table):
        connection.execute(sql.SQL("DROP TABLE {}").format(TableName(table.schema, name).identifier))


class Swap:
    """Two steps: `begin` in the transaction that loads, `finish` after its commit. `waits` is for the old table."""

    def __init__(self, connection: Connection, table: TableName, waits: LockWait, lock_timeout_ms: int) -> None:
        self._connection = connection
        self._table = table
        self._waits = waits
        self._lock_timeout_ms = lock_timeout_ms
        self._new = TableName(table.schema, f"{_cut(table.name, 40)}_new_{secrets.token_hex(4)}")

    # the table beside it

    def begin(self) -> TableName:
        """Makes the new table, empty and without a vector index; its name."""
        require_swappable(self._connection, self._table)
        old = self._require_oid(self._table)
        # IVFFlat would complain that the table is empty.
        self._execute(sql.SQL("SET LOCAL client_min_messages = error"))
        self._execute(self._creation(old))
        self._execute(sql.SQL("SET LOCAL client_min_messages = notice"))
        mark(self._connection, self._new, Marker(replaces=self._table.name))
        self._give_to_owner(old)
        self._set_options(old)
        new = self._require_oid(self._new)
        self._carry_privileges(old, new)  # default privileges must not show it to more people before its time
        for name, _ in self._vector_indexes(new):
            self._execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(self._table.schema, name)))
        return self._new

    def _creation(self, old: int) -> sql.Composed:
        row = self._connection.execute(
            "SELECT relpersistence = 'u', amname, spcname FROM pg_class c JOIN pg_am a ON a.oid = relam"
            " LEFT JOIN pg_tablespace s ON s.oid = reltablespace WHERE c.oid = %s",
            (old,),
        ).fetchone()
        unlogged, method, tablespace = row or (False, "heap", None)
        place = sql.SQL(" TABLESPACE {}").format(sql.Identifier(str(tablespace))) if tablespace else sql.SQL("")
        return sql.SQL("CREATE {}TABLE {} (LIKE {} INCLUDING ALL) USING {}{}").format(
            sql.SQL("UNLOGGED " if unlogged else ""),
            self._new.identifier,
            self._table.identifier,
            sql.Identifier(str(method)),
            place,
        )

    def _give_to_owner(self, old: int) -> None:
        row = self._connection.execute(
            "SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = %s"
            " AND relowner <> (SELECT oid FROM pg_roles WHERE rolname = current_user)",
            (old,),
        ).fetchone()
        if row is None:
            return
        try:
            self._execute(
                sql.SQL("ALTER TABLE {} OWNER TO {}").format(self._new.identifier, sql.Identifier(str(row[0])))
            )
        except psycopg.errors.InsufficientPrivilege as error:
            raise DatabaseError(
                f"A swap cannot give the new table to {row[0]}, who owns {self._table} ({error.diag.message_primary})",
                hint="--replace truncate keeps the table and its owner",
            ) from error

    def _set_options(self, old: int) -> None:
        """Storage parameters and statistics targets, which LIKE leaves out. They decide how rows are stored."""
        for name, value in self._connection.execute(_OPTIONS.encode(), {"oid": old}).fetchall():
            option = sql.SQL(".").join(map(sql.Identifier, str(name).split(".")))
            self._execute(
                sql.SQL("ALTER TABLE {} SET ({} = {})").format(self._new.identifier, option, sql.Literal(value))
            )
        targets = self._connection.execute(
            "SELECT attname, attstattarget FROM pg_attribute"
            " WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped AND attstattarget >= 0",
            (old,),
        ).fetchall()
        for name, target in targets:
            self._execute(
                sql.SQL("ALTER TABLE {} ALTER COLUMN {} SET STATISTICS {}").format(
                    self._new.identifier, sql.Identifier(str(name)), sql.Literal(target)
                )
            )

    # in its place

    def finish(self, marker: Marker) -> None:
        """Puts the loaded table into the old one's place; tries again while readers do not let it.

        DatabaseError when that was in vain; the new table is then gone again.
        """
        try:
            self._exchange_when_free(marker)
        except BaseException:
            with contextlib.suppress(psycopg.Error):  # the next load will find it
                self._set_local("lock_timeout", _DROP_TIMEOUT)
                self._execute(sql.SQL("DROP TABLE IF EXISTS {}").format(self._new.identifier))
                self._connection.commit()
            raise

    def _exchange_when_free(self, marker: Marker) -> None:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                with self._connection.transaction():
                    self._set_local("lock_timeout", f"{self._lock_timeout_ms}ms")
                    self._set_local("statement_timeout", "0")
                    for table in (self._new, self._table):  # the one that readers wait for last, and at once
                        self._waits.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(table.identifier))
                    self._exchange(marker)
                return
            except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected) as error:
                if attempt == ATTEMPTS:
                    waited = f"{ATTEMPTS} times {self._lock_timeout_ms / 1000:g} s to put the new one in its place"
                    raise self._waits.refusal(waited) from error
            self._waits.pause(attempt * _PAUSE_S)

    def _exchange(self, marker: Marker) -> None:
        """All that is done with the lock held: changes of the catalogue alone."""
        require_swappable(self._connection, self._table)
        old, new = self._require_oid(self._table), self._require_oid(self._new)
        names = self._index_names(old, new)
        comments = self._connection.execute(_CONSTRAINT_COMMENTS.encode(), {"oid": old}).fetchall()
        self._carry_privileges(old, new)
        self._execute(sql.SQL("DROP TABLE {}").format(self._table.identifier))
        self._execute(
            sql.SQL("ALTER TABLE {} RENAME TO {}").format(self._new.identifier, sql.Identifier(self._table.name))
        )
        for now, then in names:
            index = sql.Identifier(self._table.schema, now)
            self._execute(sql.SQL("ALTER INDEX {} RENAME TO {}").format(index, sql.Identifier(then)))
        for name, text in comments:
            self._comment(
                sql.SQL("CONSTRAINT {} ON {}").format(sql.Identifier(str(name)), self._table.identifier), text
            )
        mark(self._connection, self._table, marker)

    def _index_names(self, old: int, new: int) -> list[tuple[str, str]]:
        """Each index of the new table, which gets its comment, with the name that it is to have.

        DatabaseError when the tables differ.
        """
        before, after = (self._indexes(oid) for oid in (old, new))
        if [index[2:] for index in before] != [index[2:] for index in after] or self._columns(old) != self._columns(
            new
        ):
            raise DatabaseError(
                f"Somebody altered {self._table} while the new one was loaded", hint="Load it again, from the spool"
            )
        had, has = self._vector_indexes(old), self._vector_indexes(new)
        had += [(self._free_name(), None) for _ in has[len(had) :]]
        pairs: list[tuple[str, str]] = []
        for now, then in [*zip(after, before, strict=True), *zip(has, had, strict=False)]:
            # Of two alike LIKE may have given each the other's comment.
            self._comment(sql.SQL("INDEX {}").format(sql.Identifier(self._table.schema, str(now[0]))), then[1])
            pairs.append((str(now[0]), str(then[0])))
        return pairs

    def _free_name(self) -> str:
        """As the server would call a table's first vector index, if that is free."""
        base = f"{_cut(self._table.name, 45)}_embedding_idx"
        for name in (base, *(f"{base}{number}" for number in range(1, 100))):
            if _oid(self._connection, TableName(self._table.schema, name)) is None:
                return name
        return f"{base}_{secrets.token_hex(2)}"

    def _carry_privileges(self, old: int, new: int) -> None:
        """What default privileges gave to the new table is taken back, and what the old one grants is granted."""
        for _, statement in self._connection.execute(_PRIVILEGES.encode(), {"old": old, "new": new}).fetchall():
            self._connection.execute(str(statement).encode())

    def _comment(self, of: sql.Composable, text: object) -> None:
        self._execute(sql.SQL("COMMENT ON {} IS {}").format(of, sql.Literal(text)))

    # looks

    def _indexes(self, oid: int) -> list[tuple[object, ...]]:
        values = {"oid": oid, "kinds": list(VECTOR_INDEXES)}
        return self._connection.execute(_INDEXES.encode(), values).fetchall()

    def _columns(self, oid: int) -> list[tuple[object, ...]]:
        return self._connection.execute(_COLUMNS.encode(), {"oid": oid}).fetchall()

    def _vector_indexes(self, oid: int) -> list[tuple[str, object]]:
        values = {"oid": oid, "kinds": list(VECTOR_INDEXES)}
        return [(str(n), text) for n, text in self._connection.execute(_VECTOR_INDEXES.encode(), values).fetchall()]

    def _require_oid(self, table: TableName) -> int:
        oid = _oid(self._connection, table)
        if oid is None:
            raise DatabaseError(f"The table {table} is gone", hint="Somebody dropped it; load it again")
        return oid

    def _execute(self, statement: sql.SQL | sql.Composed) -> None:
        self._connection.execute(statement)

    def _set_local(self, name: str, value: str) -> None:
        self._connection.execute("SELECT set_config(%s, %s, true)", (name, value))


def _oid(connection: Connection, table: TableName) -> int | None:
    row = connection.execute(
        "SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname = %s AND c.relname = %s",
        (table.schema, table.name),
    ).fetchone()
    return int(str(row[0])) if row else None


def _cut(name: str, limit: int) -> str:
    """At most `limit` bytes of a name, whole characters."""
    return name.encode()[:limit].decode(errors="ignore")
