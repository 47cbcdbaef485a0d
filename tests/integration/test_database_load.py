"""The load against a real PostgreSQL: all or nothing, whatever happens in between."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec
import numpy as np
import psycopg
import pytest
from cvdebug.core.database.connection import connect
from cvdebug.core.database.index import IndexPlan
from cvdebug.core.database.load import MAX_RETRIES, Row, load_with_retry, vector_indexes
from cvdebug.core.database.search import nearest
from cvdebug.core.database.table import Marker, TableName, describe
from cvdebug.core.database.tablelock import TableLock
from cvdebug.core.database.verify import verify
from cvdebug.core.errors import ConnectionLost, DatabaseError, TableBusy
from cvdebug.core.model import Phase

from .db_rows import TABLE, TOKENS, ask, fetch, load_rows, make_plan, make_rows, make_table, silent

COUNT_BY_SOURCE = "SELECT split_part(source, '-', 1), count(*) FROM cvdebug.chunks GROUP BY 1 ORDER BY 1"


def index_names(dsn: str) -> list[str]:
    with connect(dsn, run="tests", role="ask") as connection:
        return vector_indexes(connection, TABLE)


def test_rows_come_back_as_they_went_in(database: str) -> None:
    make_table(database)
    rows = make_rows(300)
    result = load_rows(database, rows)
    assert result.rows == 300
    assert result.retries == 0
    with connect(database, run="tests", role="ask") as connection:
        stored = fetch(connection, "SELECT id, source, ordinal, text, token_count FROM cvdebug.chunks ORDER BY id")
        hits = nearest(connection, TABLE, rows[42].embedding, limit=3)
        vector = fetch(connection, "SELECT embedding::real[] FROM cvdebug.chunks WHERE id = 42")[0][0]
        marker = describe(connection, TABLE)
    assert stored == [(r.id, r.source, r.ordinal, r.text, r.token_count) for r in rows]
    assert np.array_equal(np.asarray(vector, dtype=np.float32), rows[42].embedding)
    assert (hits[0].source, hits[0].ordinal) == (rows[42].source, rows[42].ordinal)
    assert hits[0].score == pytest.approx(1, abs=1e-5)
    assert marker is not None
    assert (marker.rows, marker.index, marker.run) == (300, "hnsw", "tests")


def test_a_second_load_replaces_rows_and_index(database: str) -> None:
    make_table(database)
    load_rows(database, make_rows(200, source="old"))
    load_rows(database, make_rows(100, seed=1, source="new"), index=make_plan(100, "ivfflat", "l2"))
    assert ask(database, COUNT_BY_SOURCE) == [("new", 100)]
    assert len(index_names(database)) == 1
    load_rows(database, make_rows(50), index=make_plan(50, "none"))
    assert index_names(database) == []


def test_an_empty_load_empties_the_table(database: str) -> None:
    make_table(database)
    load_rows(database, make_rows(10))
    assert load_rows(database, []).rows == 0
    assert ask(database, COUNT_BY_SOURCE) == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda rows: rows[:-1],
        lambda rows: [*rows[:-1], rows[-1]._replace(id=0)],
        lambda rows: [*rows[:-1], rows[-1]._replace(embedding=np.full(1024, np.nan, dtype=np.float32))],
        lambda rows: [*rows[:-1], rows[-1]._replace(embedding=np.ones(7, dtype=np.float32))],
        lambda rows: [*rows[:-1], rows[-1]._replace(text="a\0b")],
        lambda rows: [*rows[:-1], rows[-1]._replace(text="\ud800")],
    ],
    ids=["a row is missing", "an id twice", "nan", "wrong dimension", "a zero byte", "a lone surrogate"],
)
def test_a_failed_load_leaves_the_old_rows_and_index(database: str, spoil: Callable[[list[Row]], list[Row]]) -> None:
    make_table(database)
    load_rows(database, make_rows(120, source="old"))
    before = index_names(database)
    rows = make_rows(60, source="new")
    with pytest.raises(DatabaseError):
        load_with_retry(
            database, TABLE, lambda: spoil(rows), run="tests", total=60, plan=make_plan(60), marker=Marker(),
            progress=silent, on_retry=lambda number, why: None,
        )  # fmt: skip
    assert ask(database, COUNT_BY_SOURCE) == [("old", 120)]
    assert index_names(database) == before


def test_a_failed_index_leaves_the_old_rows_and_index(database: str) -> None:
    make_table(database)
    load_rows(database, make_rows(120, source="old"))
    before = index_names(database)
    bad = msgspec.structs.replace(make_plan(60), parameters={"m": 1})
    with pytest.raises(DatabaseError):
        load_rows(database, make_rows(60, source="new"), index=bad)
    assert ask(database, COUNT_BY_SOURCE) == [("old", 120)]
    assert index_names(database) == before


def terminate_load(dsn: str) -> int:
    found = ask(
        dsn,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'cvdebug:tests:load'"
        " AND backend_type = 'client backend'",
    )
    return len(found)


@pytest.mark.parametrize("times", [1, MAX_RETRIES, MAX_RETRIES + 1])
def test_a_backend_ended_in_mid_copy_is_tried_again(database: str, times: int) -> None:
    make_table(database)
    load_rows(database, make_rows(50, source="old"))
    rows = make_rows(4000, source="new")
    begun, heard = 0, list[int]()

    def fresh() -> Iterator[Row]:
        nonlocal begun
        begun += 1
        for row in rows:
            if row.id == 2000 and begun <= times:
                assert terminate_load(database) == 1
            yield row

    def carry_out() -> int:
        return load_with_retry(
            database, TABLE, fresh, run="tests", total=len(rows), plan=make_plan(len(rows), "none"), marker=Marker(),
            progress=silent, on_retry=lambda number, why: heard.append(number),
        ).retries  # fmt: skip

    if times > MAX_RETRIES:
        with pytest.raises(ConnectionLost):
            carry_out()
        assert ask(database, COUNT_BY_SOURCE) == [("old", 50)]
    else:
        assert carry_out() == times
        assert ask(database, COUNT_BY_SOURCE) == [("new", 4000)]
    assert heard == list(range(1, min(times, MAX_RETRIES) + 1))


def test_a_backend_ended_while_it_indexes_is_tried_again(database: str) -> None:
    make_table(database)
    rows = make_rows(3000)
    ended = list[int]()

    def progress(phase: Phase, done: int, total: int, detail: str) -> None:
        if phase is Phase.INDEX and not ended:
            ended.append(terminate_load(database))

    result = load_with_retry(
        database, TABLE, lambda: rows, run="tests", total=len(rows), plan=make_plan(len(rows)), marker=Marker(),
        progress=progress, on_retry=lambda number, why: None,
    )  # fmt: skip
    assert ended == [1]
    assert result.retries == 1
    assert len(index_names(database)) == 1


@pytest.mark.slow
def test_progress_comes_from_the_server_in_the_callers_thread(database: str) -> None:
    make_table(database)
    rows = make_rows(6000)
    seen: list[tuple[Phase, int, int, str, int]] = []

    def progress(phase: Phase, done: int, total: int, detail: str) -> None:
        seen.append((phase, done, total, detail, threading.get_ident()))

    load_with_retry(
        database, TABLE, lambda: rows, run="tests", total=6000, plan=make_plan(6000), marker=Marker(),
        progress=progress, on_retry=lambda number, why: None,
    )  # fmt: skip
    assert {ident for *_, ident in seen} == {threading.get_ident()}
    building = [done for phase, done, _, detail, _ in seen if phase is Phase.INDEX and "loading" in detail]
    assert any(0 < done < 6000 for done in building)
    assert building == sorted(building)
    assert max(done for _, done, *_ in seen) == 6000


def test_an_interrupt_while_it_indexes_cancels_and_keeps_the_old_rows(database: str) -> None:
    make_table(database)
    load_rows(database, make_rows(30, source="old"))

    def interrupt(phase: Phase, done: int, total: int, detail: str) -> None:
        if phase is Phase.INDEX:
            raise KeyboardInterrupt

    rows = make_rows(6000, source="new")
    with pytest.raises(KeyboardInterrupt):
        load_with_retry(
            database, TABLE, lambda: rows, run="tests", total=6000, plan=make_plan(6000), marker=Marker(),
            progress=interrupt, on_retry=lambda number, why: None,
        )  # fmt: skip
    assert ask(database, COUNT_BY_SOURCE) == [("old", 30)]
    assert ask(database, "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE %s", "%:load") == [(0,)]


def test_the_memory_cliff_is_foretold_and_reported(database: str) -> None:
    make_table(database)
    plan = msgspec.structs.replace(make_plan(2000), maintenance_work_mem_mb=2, parallel_workers=0)
    result = load_rows(database, make_rows(2000), index=plan)
    assert any("no longer fits" in notice for notice in result.notices)


def test_who_locks_the_table_is_named(database: str) -> None:
    make_table(database)
    load_rows(database, make_rows(20, source="old"))
    with psycopg.connect(database, application_name="forgotten report") as reader:
        reader.execute("SELECT count(*) FROM cvdebug.chunks")
        details: list[str] = []
        with pytest.raises(DatabaseError, match=f"forgotten report.*{reader.info.backend_pid}.*idle in transaction"):
            load_with_retry(
                database, TABLE, lambda: make_rows(5), run="tests", total=5, plan=make_plan(5), marker=Marker(),
                progress=lambda phase, done, total, detail: details.append(detail),
                on_retry=lambda number, why: None, lock_timeout_ms=1500,
            )  # fmt: skip
        assert any("waits for forgotten report" in detail for detail in details)
    assert ask(database, COUNT_BY_SOURCE) == [("old", 20)]


def test_a_load_needs_the_tables_lock(database: str) -> None:
    make_table(database)
    with TableLock.acquire(database, TABLE, "other"):
        with pytest.raises(TableBusy, match="cvdebug:other:lock"):
            load_rows(database, make_rows(5))
        with TableLock.acquire(database, TableName("cvdebug", "another"), "tests"):
            pass
    with TableLock.acquire(database, TABLE, "tests"):
        load_rows(database, make_rows(5))
    assert ask(database, "SELECT count(*) FROM cvdebug.chunks") == [(5,)]


class Reader(threading.Thread):
    """Counts rows by source, over and over, in transactions of three looks each."""

    def __init__(self, dsn: str, level: psycopg.IsolationLevel, *, first_look: bool) -> None:
        super().__init__()
        self._dsn, self._level, self._first_look = dsn, level, first_look
        self.stop = threading.Event()
        self.looks: list[list[dict[str, int]]] = []
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            with psycopg.connect(self._dsn) as connection:
                connection.isolation_level = self._level
                while not self.stop.is_set():
                    self.looks.append(self._transaction(connection))
        except BaseException as error:  # noqa: BLE001 - told to the test, which looks at it
            self.error = error

    def _transaction(self, connection: psycopg.Connection[tuple[object, ...]]) -> list[dict[str, int]]:
        """With `first_look` the transaction reads the table at once, else only its snapshot is taken."""
        seen: list[dict[str, int]] = []
        with connection.transaction():
            if not self._first_look:
                connection.execute("SELECT 1 FROM pg_class LIMIT 1")
                self.stop.wait(0.05)
            while len(seen) < 3:
                seen.append({str(k): int(str(n)) for k, n in connection.execute(COUNT_BY_SOURCE).fetchall()})
        return seen


@contextmanager
def reading(database: str) -> Iterator[list[Reader]]:
    """Readers of every kind, from now until the block ends."""
    readers = [
        Reader(database, level, first_look=first)
        for level in (psycopg.IsolationLevel.READ_COMMITTED, psycopg.IsolationLevel.REPEATABLE_READ)
        for first in (True, False)
    ]
    for reader in readers:
        reader.start()
    try:
        yield readers
    finally:
        for reader in readers:
            reader.stop.set()
            reader.join()


def test_readers_never_see_a_mixture(database: str) -> None:
    make_table(database)
    sizes = {"a": 700, "b": 900, "c": 1100}
    loads = {source: make_rows(size, source=source) for source, size in sizes.items()}
    load_rows(database, loads["a"])
    with reading(database) as readers:
        for source in ("b", "c", "a", "b"):
            load_rows(database, loads[source], index=make_plan(sizes[source], "hnsw"))
        with pytest.raises(DatabaseError):
            load_rows(database, loads["c"], index=IndexPlan(
                kind="hnsw", metric="cosine", parameters={"m": 1}, maintenance_work_mem_mb=64, parallel_workers=0,
                reason="",
            ))  # fmt: skip
    whole = [{source: size} for source, size in sizes.items()]
    for reader in readers:
        assert reader.error is None
        assert len(reader.looks) > 3
        repeatable = reader._level is psycopg.IsolationLevel.REPEATABLE_READ
        for transaction in reader.looks:
            for look in transaction:
                assert look in whole
            if repeatable:
                assert all(look == transaction[0] for look in transaction)
    seen = [look for reader in readers for transaction in reader.looks for look in transaction]
    assert len({tuple(look) for look in seen if look}) >= 2


@pytest.mark.parametrize("kind", ["hnsw", "ivfflat"])
@pytest.mark.parametrize("metric", ["cosine", "ip", "l2"])
def test_a_good_load_is_verified(database: str, kind: str, metric: str) -> None:
    make_table(database)
    rows = make_rows(1500)
    plan = make_plan(1500, kind, metric)  # type: ignore[arg-type]
    load_rows(database, rows, index=plan)
    steps: list[tuple[int, int]] = []
    with connect(database, run="tests", role="verify") as connection:
        result = verify(
            connection, TABLE, plan, expected_rows=1500, expected_tokens=1500 * TOKENS, queries=8,
            progress=lambda done, total, what: steps.append((done, total)),
        )  # fmt: skip
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
    assert result.index_answers
    assert result.index_name in index_names(database)
    assert result.planner_node
    assert result.recall[-1].recall >= 0.95
    assert result.recommended is not None
    assert result.recommended.recall >= 0.95
    assert result.norm_max == pytest.approx(1, abs=1e-4)
    assert result.queries == 8
    assert steps[-1][0] == steps[-1][1]


def test_verify_without_an_index(database: str) -> None:
    make_table(database)
    load_rows(database, make_rows(40), index=make_plan(40, "none"))
    with connect(database, run="tests", role="verify") as connection:
        result = verify(
            connection, TABLE, make_plan(40, "none"), expected_rows=40, expected_tokens=40 * TOKENS
        )  # fmt: skip
    assert (result.index_name, result.recall, result.planner_node) == ("", (), "Seq Scan")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("DELETE FROM cvdebug.chunks WHERE id = 3", "199 rows are stored, not 200"),
        ("UPDATE cvdebug.chunks SET token_count = 0 WHERE id = 3", "1 chunks have no token count"),
        ("UPDATE cvdebug.chunks SET token_count = 9 WHERE id = 3", "add up to"),
        ("UPDATE cvdebug.chunks SET embedding = (embedding::real[] || '{}')::vector + embedding WHERE id = 3", "norms"),
        ("DROP INDEX cvdebug.chunks_embedding_idx", "0 vector indexes"),
        (
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'cvdebug.chunks_embedding_idx'::regclass",
            "not valid",
        ),
        (
            "DROP INDEX cvdebug.chunks_embedding_idx;"
            " CREATE INDEX ON cvdebug.chunks USING hnsw (embedding vector_l2_ops)",
            "vector_l2_ops",
        ),
    ],
)
def test_verify_names_what_is_wrong(database: str, damage: str, words: str) -> None:
    make_table(database)
    load_rows(database, make_rows(200))
    with psycopg.connect(database) as connection:
        connection.execute(damage.encode())
    with connect(database, run="tests", role="verify") as connection, pytest.raises(DatabaseError, match=words):
        verify(connection, TABLE, make_plan(200), expected_rows=200, expected_tokens=200 * TOKENS)


def test_a_load_waits_no_longer_than_told(database: str) -> None:
    make_table(database)
    with psycopg.connect(database) as holder:
        holder.execute("LOCK TABLE cvdebug.chunks IN ACCESS SHARE MODE")
        began = time.monotonic()
        with pytest.raises(DatabaseError, match="locked"):
            load_with_retry(
                database, TABLE, lambda: [], run="tests", total=0, plan=make_plan(0), marker=Marker(), progress=silent,
                on_retry=lambda number, why: None, lock_timeout_ms=300,
            )  # fmt: skip
        assert 0.25 < time.monotonic() - began < 5
