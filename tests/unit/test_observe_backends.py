"""Titles of PostgreSQL's processes and rows of its views: what they say, and calm parsers."""

from __future__ import annotations

import pytest
from cvdebug.core.observe import activity
from cvdebug.core.observe.backends import Title, parse_title
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("postgres: me cv [local] idle", Title("me", "cv", "[local]", "idle")),
        ("postgres: me cv [local] TRUNCATE TABLE waiting", Title("me", "cv", "[local]", "TRUNCATE TABLE waiting")),
        ("postgres: main: me cv [local] idle in transaction", Title("me", "cv", "[local]", "idle in transaction")),
        ("postgres: me cv 10.0.0.7(51234) SELECT", Title("me", "cv", "10.0.0.7(51234)", "SELECT")),
        ("postgres: me cv ::1(51234) CREATE INDEX", Title("me", "cv", "::1(51234)", "CREATE INDEX")),
        ("postgres: me my own cv [local] COPY", Title("me", "my own cv", "[local]", "COPY")),
        ("postgres: me cv [local]", Title("me", "cv", "[local]", "")),
        ("postgres: parallel worker for PID 4711 ", Title("", "", "", "", leader=4711)),
        ("postgres: main: parallel worker for PID 4711", Title("", "", "", "", leader=4711)),
        ("postgres: autovacuum worker cv", Title("", "cv", "", "autovacuum", kind="autovacuum")),
        ("postgres: autovacuum launcher ", None),
        ("postgres: checkpointer ", None),
        ("postgres: walwriter", None),
        ("postgres: io worker 0", None),
        ("/usr/lib/postgresql/18/bin/postgres -D /data", None),
        ("python train.py", None),
        ("", None),
    ],
)
def test_a_title_is_read(title: str, expected: Title | None) -> None:
    assert parse_title(title) == expected


@given(st.text(max_size=200))
def test_no_title_makes_the_parser_raise(text: str) -> None:
    for title in (text, f"postgres: {text}", f"postgres: {text} [local] {text}", f"postgres: a b {text}(1) {text}"):
        parse_title(title)


VALUE = st.one_of(st.none(), st.integers(), st.floats(), st.text(max_size=50), st.lists(st.integers(), max_size=3))


@given(st.lists(VALUE, min_size=11, max_size=11), st.lists(VALUE, min_size=9, max_size=9))
def test_no_row_makes_a_parser_raise(row: list[object], progress: list[object]) -> None:
    activity.parse_session(tuple(row), {})
    activity.parse_index(tuple(progress))
    activity.parse_copy(tuple(progress[:5]))


def test_what_a_user_may_not_see_is_empty() -> None:
    found = activity.parse_session(
        (7, "me", "cv", "app", None, None, None, "<insufficient privilege>", -1, None, None), {}
    )
    assert (found.pid, found.state, found.wait, found.since_s, found.blockers) == (7, "", "", 0.0, ())


def test_a_tcp_client_is_known_by_its_port() -> None:
    row = (7, "me", "cv", "app", "active", "Lock:relation", 2.5, "TRUNCATE t", 51234, [9, 11], "AccessExclusiveLock")
    found = activity.parse_session(row, {51234: (42,)})
    assert (found.client_pids, found.blockers, found.since_s) == ((42,), (9, 11), 2.5)


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("SELECT  1\n FROM t", "SELECT 1 FROM t"),
        ("ALTER ROLE me PASSWORD 'secret'", "ALTER ROLE me PASSWORD '...'"),
        ("SELECT 'it''s', 'cut of", "SELECT '...''...', '...'"),
        ("SELECT $$secret$$, $a$ secret $a$", "SELECT '...', '...'"),
        ("SELECT $1", "SELECT $1"),
    ],
)
def test_literals_are_left_out_of_statements(query: str, shown: str) -> None:
    assert activity.without_literals(query) == shown


@given(st.text(max_size=300))
def test_no_statement_makes_it_raise(query: str) -> None:
    activity.without_literals(query)


def test_a_server_that_cannot_be_reached_is_a_sentence_without_the_password() -> None:
    for dsn in ("postgresql://me:secret@127.0.0.1:1/cv", "postgresql://me:sec@ret@/x", "no dsn at all", ""):
        found = activity.Watch(dsn).finish()
        assert found is not None
        assert found.unknown
        assert "sec" not in found.unknown
        assert found.sessions == ()
