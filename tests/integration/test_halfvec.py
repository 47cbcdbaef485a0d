"""halfvec(1024): half the space, and the same neighbours as float32 but for the rounding."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
from cvdebug.core import events as ev
from cvdebug.core.database.connection import connect
from cvdebug.core.database.index import Kind, Metric, hnsw_bytes_per_row
from cvdebug.core.database.search import nearest
from cvdebug.core.database.table import check, create, describe
from cvdebug.core.database.verify import verify
from cvdebug.core.errors import DatabaseError

from .db_rows import TABLE, TOKENS, ask, load_rows, make_plan, make_rows, make_table
from .driver import Command, until

# Half a unit in the last place of float16 is 2^-11 of a component: a sum over a unit vector differs by no more.
ROUNDING = 2.0**-11


def make_halfvec_table(dsn: str) -> None:
    with connect(dsn, run="tests", role="create") as connection:
        create(connection, TABLE, storage="halfvec")
        check(connection, TABLE, storage="halfvec")


@pytest.mark.parametrize(
    ("kind", "metric"), [("hnsw", "cosine"), ("hnsw", "ip"), ("hnsw", "l2"), ("ivfflat", "cosine"), ("none", "cosine")]
)
def test_a_load_is_verified_in_its_own_type(database: str, kind: Kind, metric: Metric) -> None:
    make_halfvec_table(database)
    rows = make_rows(600)
    plan = msgspec.structs.replace(make_plan(600, kind, metric), storage="halfvec")
    load_rows(database, rows, index=plan)
    with connect(database, run="tests", role="verify") as connection:
        found = verify(
            connection, TABLE, plan, expected_rows=600, expected_tokens=600 * TOKENS, queries=6
        )  # fmt: skip
        marker = describe(connection, TABLE)
    assert marker is not None
    assert marker.storage == "halfvec"
    assert found.norm_max == pytest.approx(1, abs=ROUNDING)
    assert found.index_answers == (kind != "none")
    if kind == "hnsw":
        assert found.recall[-1].recall >= 0.95
        assert ask(
            database, "SELECT o.opcname FROM pg_index x JOIN pg_opclass o ON o.oid = x.indclass[0]"
            " WHERE indexrelid = 'cvdebug.chunks_embedding_idx'::regclass",
        ) == [(f"halfvec_{metric}_ops",)]  # fmt: skip


def test_what_is_stored_is_the_nearest_float16(database: str) -> None:
    make_halfvec_table(database)
    rows = make_rows(50)
    load_rows(database, rows, index=msgspec.structs.replace(make_plan(50), storage="halfvec"))
    stored = ask(database, "SELECT embedding::real[] FROM cvdebug.chunks ORDER BY id")
    for row, (vector,) in zip(rows, stored, strict=True):
        assert np.array_equal(np.asarray(vector, dtype=np.float16), row.embedding.astype(np.float16))


@pytest.mark.parametrize("metric", ["cosine", "ip", "l2"])
def test_a_search_differs_from_float32_by_rounding_alone(database: str, metric: Metric) -> None:
    make_halfvec_table(database)
    rows = make_rows(400)
    plan = msgspec.structs.replace(make_plan(400, "none", metric), storage="halfvec")
    load_rows(database, rows, index=plan)
    vectors = np.stack([row.embedding for row in rows])
    with connect(database, run="tests", role="ask") as connection:
        for query in vectors[:5]:
            hits = nearest(connection, TABLE, query, limit=10, metric=metric, storage="halfvec")
            products = vectors.astype(np.float64) @ query
            exact = {"cosine": 1 - products, "ip": -products, "l2": np.sqrt(np.maximum(0, 2 - 2 * products))}[metric]
            # Near 0 the root of l2 makes much of little: the rows' own distance from their rounded selves.
            tolerance = 2 * ROUNDING
            for hit, distance in zip(hits, np.sort(exact)[:10], strict=True):
                assert hit.distance == pytest.approx(float(distance), abs=tolerance)


def test_the_plan_counts_half_the_bytes() -> None:
    assert hnsw_bytes_per_row(1024, 16) - hnsw_bytes_per_row(1024, 16, "halfvec") == 2048
    assert make_plan(10).opclass == "vector_cosine_ops"


def test_a_table_of_the_other_type_is_refused_with_the_flag_for_it(database: str) -> None:
    make_table(database)
    with (
        connect(database, run="tests", role="check") as connection,
        pytest.raises(DatabaseError, match=r"vector\(1024\), where halfvec\(1024\)") as caught,
    ):
        check(connection, TABLE, storage="halfvec")
    assert "--storage vector" in caught.value.hint


@pytest.mark.slow
def test_a_run_and_a_search_in_halfvec(database: str, tmp_path: Path) -> None:
    command = Command(tmp_path / "home")
    result = command.events("run", "--cvs", "20", "--dsn", database, "--storage", "halfvec")
    assert result.code == 0, result
    assert result.one(ev.Verified).searches[0].hits
    kinds = "SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'cvdebug.chunks'::regclass"
    assert ("halfvec(1024)",) in ask(database, kinds)
    found = command.run("search", "python engineer", "--dsn", database, "--json")
    assert found.code == 0, found
    assert '"score"' in found.out
    until(lambda: not command.left())
