"""--replace swap: the new table takes the old one's place whole, and nobody waits for more than the renaming."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from cvdebug.core import events as ev
from cvdebug.core.database import swap
from cvdebug.core.database.binaries import installed
from cvdebug.core.database.connection import connect
from cvdebug.core.database.load import MAX_RETRIES, load_with_retry
from cvdebug.core.database.search import nearest
from cvdebug.core.database.table import Marker, TableName, describe, half_made
from cvdebug.core.database.tablelock import TableLock
from cvdebug.core.database.verify import verify
from cvdebug.core.errors import ConnectionLost, DatabaseError, TableBusy
from cvdebug.core.model import Phase
from psycopg import sql

from .db_rows import TABLE, TOKENS, ask, load_rows, make_plan, make_rows, make_table, silent
from .driver import Command, until
from .test_database_load import COUNT_BY_SOURCE, reading, terminate_load

LEFT = "SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relname LIKE 'chunks\\_new%%'"


def old_table(dsn: str, rows: int = 40) -> None:
    make_table(dsn)
    load_rows(dsn, make_rows(rows, source="old"))


def run_sql(dsn: str, statements: str) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute(statements.encode())


def load_new(dsn: str, rows: int = 60, *, hear: Callable[[Phase, str], None], lock_timeout_ms: int = 300) -> None:
    """Swaps `rows` in; `hear` is told each phase with its detail."""
    load_with_retry(
        dsn, TABLE, lambda: make_rows(rows, source="new"), run="tests", total=rows, plan=make_plan(rows),
        marker=Marker(run="tests"), progress=lambda phase, done, total, detail: hear(phase, detail),
        on_retry=lambda number, why: None, replace="swap", lock_timeout_ms=lock_timeout_ms,
    )  # fmt: skip


def assert_untouched(dsn: str, rows: int = 40) -> None:
    assert ask(dsn, COUNT_BY_SOURCE) == [("old", rows)]
    assert ask(dsn, LEFT) == [(0,)]


def test_rows_and_index_are_the_new_ones(database: str) -> None:
    old_table(database)
    before = ask(database, "SELECT 'cvdebug.chunks'::regclass::oid::bigint")
    load_rows(database, make_rows(300, source="new"), replace="swap")
    assert ask(database, "SELECT 'cvdebug.chunks'::regclass::oid::bigint") != before
    assert ask(database, COUNT_BY_SOURCE) == [("new", 300)]
    with connect(database, run="tests", role="verify") as connection:
        found = verify(connection, TABLE, make_plan(300), expected_rows=300, expected_tokens=300 * TOKENS, queries=4)
        marker = describe(connection, TABLE)
    assert found.index_name == "chunks_embedding_idx"
    assert marker is not None
    assert (marker.rows, marker.replaces) == (300, "")
    assert ask(database, LEFT) == [(0,)]


def structure(dsn: str) -> str:
    """What pg_dump says of the table, without the comment that tells of its load."""
    program = installed() / "bin" / "pg_dump"
    dumped = subprocess.run(
        [program, "--schema-only", "--table=cvdebug.chunks", dsn], capture_output=True, text=True, check=True
    ).stdout
    changing = ("\\restrict", "\\unrestrict", "COMMENT ON TABLE")
    return "\n".join(line for line in dumped.splitlines() if not line.startswith(changing))


def test_whatever_pg_dump_says_of_the_table_is_carried_over(database: str) -> None:
    make_table(database)
    number = database.split("/test_")[1].split("?")[0]
    owner, reader = f"owner_{number}", f'"reader {number}"'
    run_sql(database, f"CREATE ROLE {owner}; CREATE ROLE {reader}; GRANT CREATE, USAGE ON SCHEMA cvdebug TO {owner}")
    try:
        run_sql(
            database,
            """
            ALTER TABLE cvdebug.chunks ADD COLUMN doomed int, ADD COLUMN note text DEFAULT 'none' CHECK (note <> ''),
                ADD COLUMN twice int GENERATED ALWAYS AS (ordinal * 2) STORED;
            ALTER TABLE cvdebug.chunks DROP COLUMN doomed;
            ALTER TABLE cvdebug.chunks ADD CONSTRAINT positive CHECK (token_count > 0);
            ALTER TABLE cvdebug.chunks RENAME CONSTRAINT chunks_pkey TO "the key";
            CREATE INDEX "by source" ON cvdebug.chunks (source, lower(text) DESC) WHERE ordinal > 0;
            CREATE INDEX again ON cvdebug.chunks (source, lower(text) DESC) WHERE ordinal > 0;
            ALTER TABLE cvdebug.chunks ADD CONSTRAINT places UNIQUE (source, ordinal);
            ALTER TABLE cvdebug.chunks SET (fillfactor = 90, autovacuum_enabled = false,
                toast.autovacuum_enabled = false);
            ALTER TABLE cvdebug.chunks ALTER COLUMN source SET STATISTICS 500, ALTER COLUMN text SET STORAGE EXTERNAL;
            COMMENT ON COLUMN cvdebug.chunks.source IS 'whose';
            COMMENT ON CONSTRAINT "the key" ON cvdebug.chunks IS 'number';
            COMMENT ON CONSTRAINT positive ON cvdebug.chunks IS 'never empty';
            COMMENT ON INDEX cvdebug."by source" IS 'for reports';
            """,
        )
        load_rows(database, make_rows(30))
        run_sql(
            database,
            f"""
            ALTER INDEX cvdebug.chunks_embedding_idx RENAME TO "My Vectors";
            COMMENT ON INDEX cvdebug."My Vectors" IS 'theirs';
            ALTER TABLE cvdebug.chunks OWNER TO {owner};
            GRANT SELECT ON cvdebug.chunks TO {reader} WITH GRANT OPTION;
            GRANT UPDATE (note), SELECT (id) ON cvdebug.chunks TO {reader};
            GRANT SELECT ON cvdebug.chunks TO PUBLIC;
            REVOKE DELETE ON cvdebug.chunks FROM {owner};
            ALTER DEFAULT PRIVILEGES IN SCHEMA cvdebug GRANT ALL ON TABLES TO {reader};
            """,
        )
        before = structure(database)
        for word in ("My Vectors", "the key", "GRANT UPDATE(note)", "fillfactor", "places", "never empty", "again"):
            assert word in before
        load_rows(database, make_rows(30), replace="swap")
        assert structure(database) == before
    finally:
        run_sql(database, f"DROP OWNED BY {owner}, {reader}; DROP ROLE {owner}, {reader}")


def test_readers_do_not_wait_while_it_loads_and_indexes(database: str) -> None:
    old_table(database)
    looks: list[tuple[Phase, object]] = []

    def look(phase: Phase, detail: str) -> None:
        with psycopg.connect(database, autocommit=True) as reader:
            reader.execute("SET lock_timeout = '50ms'")
            looks.append((phase, reader.execute(COUNT_BY_SOURCE.encode()).fetchall()))

    load_new(database, 1500, hear=look)
    assert {phase for phase, _ in looks} == {Phase.STORE, Phase.INDEX}
    assert all(seen == [("old", 40)] for _, seen in looks)
    assert ask(database, COUNT_BY_SOURCE) == [("new", 1500)]


def test_readers_never_see_a_mixture_nor_nothing(database: str) -> None:
    sizes = {"a": 300, "b": 400, "c": 500}
    loads = {source: make_rows(size, source=source) for source, size in sizes.items()}
    make_table(database)
    load_rows(database, loads["a"])
    with reading(database) as readers:
        for source in ("b", "c", "a", "b"):
            load_rows(database, loads[source], replace="swap")
    whole = [{source: size} for source, size in sizes.items()]
    for reader in readers:
        assert reader.error is None
        assert reader.looks
        assert all(look in whole for transaction in reader.looks for look in transaction)


def test_a_rename_that_a_reader_denies_is_tried_again(database: str) -> None:
    """And nobody reads the new table before its time whom the old one does not let read it."""
    old_table(database)
    run_sql(database, "ALTER DEFAULT PRIVILEGES IN SCHEMA cvdebug GRANT SELECT ON TABLES TO PUBLIC")
    public = "SELECT count(*) FROM pg_class, aclexplode(relacl) WHERE relname LIKE 'chunks%%' AND grantee = 0"
    waits: list[str] = []
    with psycopg.connect(database, application_name="long report") as reader:
        reader.execute("SELECT count(*) FROM cvdebug.chunks")

        def hear(phase: Phase, detail: str) -> None:
            if "waits for" in detail:
                waits.append(detail)
                assert ask(database, LEFT) == [(1,)]
                assert ask(database, public) == [(0,)]
                if len(waits) == 3:
                    reader.rollback()

        load_new(database, hear=hear, lock_timeout_ms=400)
    assert "long report" in waits[0]
    assert ask(database, COUNT_BY_SOURCE) == [("new", 60)]
    assert ask(database, LEFT) == [(0,)]


def test_somebody_who_reads_the_new_table_too_soon_keeps_no_reader_waiting(database: str) -> None:
    old_table(database)
    waits: list[str] = []
    with (
        psycopg.connect(database, application_name="long report") as reader,
        psycopg.connect(database, application_name="backup") as backup,
    ):
        reader.execute("SELECT count(*) FROM cvdebug.chunks")

        def lock_new() -> None:
            with connect(database, run="tests", role="ask") as connection:
                (name,) = half_made(connection, TABLE)
            backup.execute(sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(sql.Identifier("cvdebug", name)))

        queued = threading.Thread(target=lock_new)

        def hear(phase: Phase, detail: str) -> None:
            if "waits for long report" in detail and not waits:
                queued.start()  # it has its turn when this attempt is given up
                waits.append(detail)
            elif "waits for backup" in detail and len(waits) == 1:
                waits.append(detail)
                assert ask(database, COUNT_BY_SOURCE) == [("old", 40)]
                reader.rollback()
                queued.join()
                backup.rollback()

        load_new(database, hear=hear, lock_timeout_ms=1000)
    assert len(waits) == 2
    assert ask(database, COUNT_BY_SOURCE) == [("new", 60)]


def test_a_rename_in_vain_names_who_denies_it_and_leaves_nothing(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(swap, "_PAUSE_S", 0.01)
    old_table(database)
    with psycopg.connect(database, application_name="long report") as reader:
        reader.execute("SELECT count(*) FROM cvdebug.chunks")
        with pytest.raises(DatabaseError, match=r"locked by long report.*6 times 0\.3 s"):
            load_new(database, hear=lambda phase, detail: None)
    assert_untouched(database)


def test_what_a_killed_run_left_beside_the_table_is_dropped_by_the_next(database: str) -> None:
    old_table(database)
    ended: list[int] = []
    with psycopg.connect(database) as reader:
        reader.execute("SELECT count(*) FROM cvdebug.chunks")

        def hear(phase: Phase, detail: str) -> None:
            if "waits for" in detail:
                assert ask(database, LEFT) == [(1,)]
                ended.append(terminate_load(database))

        with pytest.raises(ConnectionLost):
            load_new(database, hear=hear, lock_timeout_ms=5000)
    assert ended == [1] * (MAX_RETRIES + 1)
    with connect(database, run="tests", role="ask") as connection:
        assert len(half_made(connection, TABLE)) == 1
    assert ask(database, COUNT_BY_SOURCE) == [("old", 40)]
    load_rows(database, make_rows(50, source="old"))
    assert_untouched(database, 50)


@pytest.mark.parametrize("level", ["read committed", "repeatable read"])
def test_a_table_altered_meanwhile_is_not_replaced(database: str, level: str) -> None:
    old_table(database)
    name = database.split("/")[3].split("?")[0]
    run_sql(database, f"ALTER DATABASE {name} SET default_transaction_isolation = '{level}'")
    with psycopg.connect(database) as other:
        other.execute("SELECT count(*) FROM cvdebug.chunks")

        def hear(phase: Phase, detail: str) -> None:
            if "waits for" in detail:
                other.execute("ALTER TABLE cvdebug.chunks ADD COLUMN mine int")
                other.commit()

        with pytest.raises(DatabaseError, match="Somebody altered"):
            load_new(database, hear=hear, lock_timeout_ms=5000)
    assert_untouched(database)


@pytest.mark.parametrize(
    ("hung", "words"),
    [
        ("CREATE VIEW v AS SELECT id FROM cvdebug.chunks", "view v"),
        ("CREATE MATERIALIZED VIEW m AS SELECT id FROM cvdebug.chunks", "materialized view m"),
        ("CREATE FUNCTION f() RETURNS bigint BEGIN ATOMIC SELECT count(*) FROM cvdebug.chunks; END", r"function f\(\)"),
        ("CREATE TABLE t (c cvdebug.chunks)", "column c of table"),
        ("CREATE TABLE t (c cvdebug.chunks[])", "column c of table"),
        (
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
            " CREATE TRIGGER tell AFTER INSERT ON cvdebug.chunks EXECUTE FUNCTION f()", "trigger tell",
        ),
        (
            "CREATE TABLE o (id int PRIMARY KEY); ALTER TABLE cvdebug.chunks ADD COLUMN o int DEFAULT NULL"
            " CONSTRAINT to_o REFERENCES o", "foreign key to_o",
        ),
        ("CREATE POLICY p ON cvdebug.chunks", "policy p"),
        ("ALTER TABLE cvdebug.chunks ENABLE ROW LEVEL SECURITY", "row level security"),
        ("CREATE RULE r AS ON DELETE TO cvdebug.chunks DO INSTEAD NOTHING", "rule r"),
        ("CREATE PUBLICATION p FOR TABLE cvdebug.chunks", "publication p"),
        ("CREATE STATISTICS s ON source, ordinal FROM cvdebug.chunks", "statistics s"),
        ("ALTER TABLE cvdebug.chunks ADD COLUMN n int GENERATED ALWAYS AS IDENTITY", "sequence chunks_n_seq"),
        ("ALTER TABLE cvdebug.chunks ADD COLUMN n serial", "sequence chunks_n_seq"),
        ("ALTER TABLE cvdebug.chunks REPLICA IDENTITY FULL", "replica identity"),
        ("CREATE TABLE a (); ALTER TABLE cvdebug.chunks INHERIT a", "inheritance from"),
    ],
)  # fmt: skip
def test_what_a_new_table_would_not_have_is_a_reason_to_refuse(database: str, hung: str, words: str) -> None:
    old_table(database)
    run_sql(database, hung)
    with pytest.raises(DatabaseError, match=f"A swap would take from cvdebug.chunks: .*{words}") as caught:
        load_rows(database, make_rows(5), replace="swap")
    assert "--replace truncate" in caught.value.hint
    assert_untouched(database)
    if "INHERIT" not in hung and "RULE" not in hung:
        load_rows(database, make_rows(5, source="old"))
        assert_untouched(database, 5)


@pytest.mark.parametrize("name", ["c.d'; %s {}", "é" * 31, "chunks_new_12345678"])
def test_a_table_of_an_odd_name_is_swapped(database: str, name: str) -> None:
    table = TableName('a "b', name)
    make_table(database, table)
    for count in (10, 20):
        load_with_retry(
            database, table, lambda: make_rows(20), run="tests", total=20, plan=make_plan(count), marker=Marker(),
            progress=silent, on_retry=lambda number, why: None, replace="swap",
        )  # fmt: skip
    with connect(database, run="tests", role="verify") as connection:
        verify(connection, table, make_plan(20), expected_rows=20, expected_tokens=20 * TOKENS, queries=2)
        hits = nearest(connection, table, make_rows(20)[3].embedding, limit=1)
    assert (hits[0].source, hits[0].ordinal) == ("cv-1", 0)
    relations = "SELECT count(*) FROM pg_class WHERE relkind IN ('r', 'i') AND relnamespace = %s::regnamespace"
    assert ask(database, relations, '"a ""b"') == [(3,)]


def test_a_swap_needs_the_tables_lock(database: str) -> None:
    old_table(database)
    with TableLock.acquire(database, TABLE, "other"), pytest.raises(TableBusy):
        load_rows(database, make_rows(5), replace="swap")
    assert_untouched(database)


def test_a_failed_load_leaves_no_table(database: str) -> None:
    old_table(database)
    rows = make_rows(20)
    with pytest.raises(DatabaseError):
        load_rows(database, [*rows[:-1], rows[-1]._replace(id=0)], replace="swap")
    assert_untouched(database)


def test_a_run_swaps_and_refuses_before_it_computes_anything(database: str, tmp_path: Path) -> None:
    old_table(database)
    command = Command(tmp_path / "home")
    arguments = ("run", "--cvs", "20", "--dsn", database, "--replace", "swap")
    result = command.events(*arguments)
    assert result.code == 0, result
    assert ask(database, "SELECT count(*) FROM cvdebug.chunks") == [(result.one(ev.Verified).rows,)]
    run_sql(database, "CREATE VIEW public.sources AS SELECT DISTINCT source FROM cvdebug.chunks")
    refused = command.events(*arguments)
    assert refused.code == 1, refused
    assert "view sources" in refused.one(ev.RunFinished).what
    assert not refused.all(ev.PhaseStarted)
    until(lambda: not command.left())


@pytest.mark.slow
def test_a_run_that_may_not_rename_fails_and_is_resumed(database: str, tmp_path: Path) -> None:
    """A long reader is no hang: the run says who it waits for, and gives up by itself."""
    old_table(database)
    command = Command(tmp_path / "home")
    with psycopg.connect(database, application_name="long report") as reader:
        reader.execute("SELECT count(*) FROM cvdebug.chunks")
        result = command.events("run", "--cvs", "20", "--dsn", database, "--replace", "swap", "--lock-timeout", "0.5")
        assert result.code == 1, result
        assert "locked by long report" in result.one(ev.Failed).what
        assert_untouched(database)
    again = command.events("resume", "--dsn", database)
    assert again.code == 0, again
    assert again.one(ev.Embedded).computed == 0
    assert ask(database, LEFT) == [(0,)]
    until(lambda: not command.left())
