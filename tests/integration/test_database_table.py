"""What may be loaded and what is refused, who holds a table, and the end of orphans."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from cvdebug.core.database.connection import connect
from cvdebug.core.database.limits import server_limits
from cvdebug.core.database.table import Marker, TableName, check, create, describe
from cvdebug.core.database.tablelock import TableLock, end_orphans, holder
from cvdebug.core.errors import DatabaseError, TableBusy

from .db_rows import TABLE, ask, load_rows, make_rows, make_table


def run_sql(dsn: str, statements: str) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute(statements.encode())


def refusal(dsn: str, table: TableName = TABLE) -> DatabaseError:
    with connect(dsn, run="tests", role="check") as connection, pytest.raises(DatabaseError) as caught:
        check(connection, table)
    assert caught.value.hint
    return caught.value


def test_a_new_database_may_be_loaded(database: str) -> None:
    with connect(database, run="tests", role="check") as connection:
        before = check(connection, TABLE)
        assert not before.exists
        assert before.extension is None
        create(connection, TABLE)
        after = check(connection, TABLE)
        create(connection, TABLE)
    assert after.marker == Marker(dimensions=1024)
    assert after.extension is not None


def test_checking_changes_nothing(database: str) -> None:
    with connect(database, run="tests", role="check") as connection:
        check(connection, TABLE)
        connection.commit()
    assert ask(database, "SELECT to_regnamespace('cvdebug') IS NULL, count(*) FROM pg_extension") == [(True, 1)]


@pytest.mark.parametrize("schema", ["extensions", 'od"d . name'])
def test_the_extension_may_live_in_any_schema(database: str, schema: str) -> None:
    quoted = '"' + schema.replace('"', '""') + '"'
    run_sql(database, f"CREATE SCHEMA {quoted}; CREATE EXTENSION vector SCHEMA {quoted}")
    make_table(database)
    assert load_rows(database, make_rows(20)).rows == 20
    with connect(database, run="tests", role="check") as connection:
        assert check(connection, TABLE).exists


def test_a_table_of_an_odd_name_is_a_table(database: str) -> None:
    table = TableName('a "b', "c.d'; %s {}")
    with connect(database, run="tests", role="check") as connection:
        create(connection, table)
        assert check(connection, table).exists
        assert describe(connection, table) is not None


def test_a_foreign_table_is_refused_and_kept(database: str) -> None:
    run_sql(database, "CREATE TABLE public.chunks (id int); INSERT INTO public.chunks VALUES (1)")
    error = refusal(database, TableName("public", "chunks"))
    assert "not made by cvdebug" in error.what
    with connect(database, run="tests", role="check") as connection, pytest.raises(DatabaseError):
        create(connection, TableName("public", "chunks"))
    assert ask(database, "SELECT count(*) FROM public.chunks") == [(1,)]


@pytest.mark.parametrize("comment", ["", "hello", "cvdebug", "cvdebug {", 'cvdebug {"version": "x"}', "cvdebug []"])
def test_a_comment_that_is_no_marker_is_none(database: str, comment: str) -> None:
    make_table(database)
    run_sql(database, f"COMMENT ON TABLE cvdebug.chunks IS '{comment}'")
    assert "not made by cvdebug" in refusal(database).what


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("ALTER TABLE cvdebug.chunks DROP COLUMN ordinal", "ordinal .* is missing"),
        ("ALTER TABLE cvdebug.chunks ALTER COLUMN embedding TYPE vector(384)", r"vector\(384\).*vector\(1024\)"),
        ("ALTER TABLE cvdebug.chunks ALTER COLUMN token_count TYPE text", "token_count .* is text"),
        ("ALTER TABLE cvdebug.chunks ADD COLUMN mine int NOT NULL", "mine"),
        ("CREATE TABLE other (c bigint REFERENCES cvdebug.chunks)", "foreign key"),
        ("COMMENT ON TABLE cvdebug.chunks IS 'cvdebug {\"version\": 99}'", "newer cvdebug"),
        ("DROP TABLE cvdebug.chunks; CREATE VIEW cvdebug.chunks AS SELECT 1", "not an ordinary table"),
    ],
)
def test_what_would_fail_later_is_refused_now(database: str, change: str, words: str) -> None:
    make_table(database)
    run_sql(database, change)
    with connect(database, run="tests", role="check") as connection, pytest.raises(DatabaseError, match=words):
        check(connection, TABLE)


def test_an_extra_column_that_may_be_null_does_no_harm(database: str) -> None:
    make_table(database)
    run_sql(
        database, "ALTER TABLE cvdebug.chunks ADD COLUMN note text, ADD COLUMN at timestamptz NOT NULL DEFAULT now()"
    )
    with connect(database, run="tests", role="check") as connection:
        assert check(connection, TABLE).exists
    assert load_rows(database, make_rows(5)).rows == 5


def test_a_user_without_rights_is_told_the_statement(database: str) -> None:
    role = database.split("/")[3].split("?")[0] + "_user"
    run_sql(database, f"CREATE ROLE {role} LOGIN")
    try:
        theirs = database.replace("postgres@", f"{role}@")
        assert "CREATE" in refusal(theirs).hint
        run_sql(database, "CREATE EXTENSION vector; CREATE SCHEMA cvdebug")
        assert "GRANT USAGE, CREATE ON SCHEMA cvdebug" in refusal(theirs).hint
        assert "CREATE SCHEMA elsewhere" in refusal(theirs, TableName("elsewhere", "t")).hint
        make_table(database)
        assert "another role" in refusal(theirs).what
    finally:
        run_sql(database, f"DROP ROLE {role}")


def test_no_variable_leaks_into_a_given_dsn(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "PGHOST": "nowhere.invalid", "PGPORT": "1", "PGSERVICE": "missing", "PGOPTIONS": "-c nonsense=1",
        "PGUSER": "nobody", "PGSSLMODE": "require",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    assert ask(database, "SELECT 1") == [(1,)]
    with pytest.raises(DatabaseError):
        connect("env", run="tests", role="ask")


def test_a_given_dsn_may_leave_its_service_to_a_file(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = psycopg.conninfo.conninfo_to_dict(database)
    (tmp_path / "services").write_text("\n".join(["[mine]", *(f"{key}={value}" for key, value in found.items())]))
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services"))
    assert ask("service=mine", "SELECT current_database()::text") == [(found["dbname"],)]


def test_env_takes_the_variables(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = psycopg.conninfo.conninfo_to_dict(database)
    for name, key in (("PGHOST", "host"), ("PGUSER", "user"), ("PGDATABASE", "dbname"), ("PGPORT", "port")):
        monkeypatch.setenv(name, str(found[key]))
    assert ask("env", "SELECT current_database()::text") == [(found["dbname"],)]


def test_a_connection_says_whose_it_is_and_notices_a_dead_client(database: str) -> None:
    query = "SELECT current_setting('application_name'), current_setting('client_connection_check_interval')"
    assert ask(database, query) == [("cvdebug:tests:ask", "1s")]


def test_a_second_run_is_told_who_holds_the_table(database: str) -> None:
    with TableLock.acquire(database, TABLE, "first"):
        with pytest.raises(TableBusy, match=r"cvdebug:first:lock \(backend \d+, connected since \d{4}"):
            TableLock.acquire(database, TABLE, "second")
        with connect(database, run="tests", role="ask") as connection:
            assert "cvdebug:first:lock" in str(holder(connection, TABLE))
            assert holder(connection, TableName("cvdebug", "other")) is None
    with TableLock.acquire(database, TABLE, "second"):
        pass


def test_orphans_of_this_very_run_are_ended(database: str) -> None:
    mine = [connect(database, run="a_1", role=role) for role in ("load", "lock")]
    others = [connect(database, run=run, role="load") for run in ("a_12", "ab1", "a_")]
    try:
        assert end_orphans(database, "a_1") == 2
        assert end_orphans(database, "a_1") == 0
        for connection in others:
            connection.execute("SELECT 1")
        for connection in mine:
            with pytest.raises(psycopg.OperationalError):
                connection.execute("SELECT 1")
    finally:
        for connection in mine + others:
            connection.close()


def test_limits_are_read_from_the_server(database: str) -> None:
    with connect(database, run="tests", role="ask") as connection:
        here = server_limits(connection, on_this_machine=True)
        elsewhere = server_limits(connection, on_this_machine=False)
    assert here.maintenance_work_mem_mb == 64
    assert here.max_worker_processes >= 8
    assert elsewhere.shared_memory_bytes is None
