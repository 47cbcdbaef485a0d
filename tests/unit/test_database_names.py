"""Names, connection strings and error sentences: nothing here needs a server."""

from __future__ import annotations

import os
from urllib.parse import quote

import psycopg
import pytest
from cvdebug.core.database.connection import application_name, connect, translate
from cvdebug.core.database.dsn import parse, redact, without_password
from cvdebug.core.database.table import TableName
from cvdebug.core.database.tablelock import advisory_key
from cvdebug.core.errors import ConnectionLost, DatabaseError, UsageError
from hypothesis import given
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict, make_conninfo

# No NUL: neither the environment nor libpq can hold one.
WORDS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=6, max_size=30)


@pytest.mark.parametrize(
    ("text", "schema", "name"),
    [
        ("cvdebug.chunks", "cvdebug", "chunks"),
        (" Public.Chunks ", "public", "chunks"),
        ('"My Schema"."a.b"', "My Schema", "a.b"),
        ('x."say ""hi"""', "x", 'say "hi"'),
    ],
)
def test_a_table_is_named_as_in_sql(text: str, schema: str, name: str) -> None:
    assert TableName.parse(text) == TableName(schema, name)


@given(schema=WORDS, name=WORDS)
def test_a_table_prints_as_it_is_parsed(schema: str, name: str) -> None:
    table = TableName(schema[:12], name[:12])
    assert TableName.parse(str(table)) == table


@pytest.mark.parametrize(
    "text", ["", "chunks", '"a.b"', "a.b.c", "a.", ".b", "a..b", "a b.c", 'a."', 'a.""', "1a.b", "a.b;--"]
)
def test_what_is_no_table_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        TableName.parse(text)


def test_a_bare_name_is_told_how_to_go_on() -> None:
    with pytest.raises(UsageError, match="without its schema") as caught:
        TableName.parse("chunks")
    assert "public.chunks" in caught.value.hint


def test_a_name_that_the_server_would_cut_is_refused() -> None:
    with pytest.raises(UsageError, match="63"):
        TableName.parse("public." + "a" * 64)


def test_tables_have_locks_of_their_own() -> None:
    assert advisory_key(TableName("a", "b")) != advisory_key(TableName("a", "c"))
    assert advisory_key(TableName("a", "b.c")) != advisory_key(TableName("a.b", "c"))
    assert -(2**63) <= advisory_key(TableName()) < 2**63


@given(password=WORDS, user=WORDS)
def test_no_password_is_shown(password: str, user: str) -> None:
    secret = "Zq" + password + "qZ"
    forms = [
        f"postgresql://{quote(user, safe='')}:{quote(secret, safe='')}@host:5432/db?sslmode=require",
        f"postgresql:///db?host=%2Frun&pass%77ord={quote(secret, safe='')}",
        make_conninfo("", host="h", user=user, password=secret),
        f"postgresql://u:{secret}@host/db",
        f"host=h password='{secret}",
        secret,
    ]
    for dsn in forms:
        for shown in (redact(dsn), without_password(dsn)):
            assert secret not in shown
            assert quote(secret, safe="") not in shown


@given(password=WORDS, user=WORDS, host=st.sampled_from(["h.example", "/run/a b", "::1", "a,b"]))
def test_a_redacted_dsn_says_all_the_rest(password: str, user: str, host: str) -> None:
    plain = {"host": host, "user": user, "dbname": "d/b", "sslmode": "require"}
    user_, password_, host_ = (quote(word, safe="") for word in (user, password, host))
    uri = f"postgresql://{user_}:{password_}@/d%2Fb?host={host_}&sslmode=require"
    for dsn in (uri, make_conninfo("", password=password, **plain)):
        assert conninfo_to_dict(redact(dsn)) == {**plain, "password": "***"}
        assert conninfo_to_dict(without_password(dsn)) == plain


@pytest.mark.parametrize("dsn", ["", "  ", "postgresql://u:p@ss@h/db", "nonsense", "hots=h", "postgresql://h:1/%zz"])
def test_a_dsn_that_makes_no_sense_is_a_usage_error(dsn: str) -> None:
    with pytest.raises(UsageError) as caught:
        connect(dsn, run="r", role="t")
    assert "p@ss" not in str(caught.value)


def test_env_needs_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("PG")]:
        monkeypatch.delenv(name)
    with pytest.raises(UsageError, match=r"no PG\* variable"):
        parse("env")
    monkeypatch.setenv("PGHOST", "h")
    assert parse("env") == {}
    assert redact("env") == "env"


def test_nobody_there_is_a_sentence_without_the_password() -> None:
    with pytest.raises(DatabaseError, match="cannot be reached") as caught:
        connect("postgresql://u:hunter22@/db?host=%2Fnonexistent", run="r", role="t")
    assert "hunter22" not in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize("run", ["a:b", "é", "x" * 60])
def test_a_run_that_the_server_would_garble_is_refused(run: str) -> None:
    with pytest.raises(ValueError, match="no name"):
        application_name(run, "load")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (psycopg.errors.AdminShutdown("terminating connection"), ConnectionLost),
        (psycopg.errors.ConnectionFailure("gone"), ConnectionLost),
        (psycopg.OperationalError("server closed the connection unexpectedly"), ConnectionLost),
        (psycopg.errors.LockNotAvailable("canceling statement due to lock timeout"), DatabaseError),
        (psycopg.errors.DiskFull("could not extend file"), DatabaseError),
        (psycopg.ProgrammingError(""), DatabaseError),
    ],
)
def test_errors_become_ours(error: psycopg.Error, kind: type[DatabaseError]) -> None:
    assert type(translate(error)) is kind


@pytest.mark.parametrize("password", ["a/b", "1/b", "a@b", "a/b@c", "a/b?c", "a:b/c"])
def test_a_password_that_tears_the_uri_is_told_apart(password: str) -> None:
    dsn = f"postgresql://u:{password}@host/db"
    with pytest.raises(UsageError) as caught:
        parse(dsn)
    assert password not in str(caught.value)
    assert redact(dsn) == "***"
