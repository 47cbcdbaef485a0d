"""The choice of an index: pure arithmetic, so every rule is tested by numbers."""

from __future__ import annotations

import math
from typing import Any

import pytest
from cvdebug.core.database.index import IndexPlan, Overrides, ServerLimits, hnsw_bytes_per_row, plan
from cvdebug.core.database.verify import recall
from cvdebug.core.errors import UsageError
from hypothesis import given
from hypothesis import strategies as st

GB = 1 << 30


def chosen(rows: int = 20_000, **changes: Any) -> IndexPlan:
    settings: dict[str, Any] = {
        "rows": rows, "dimensions": 1024, "kind": "hnsw", "metric": "cosine", "memory_bytes_available": 8 * GB,
        "cores": 2, "server_limits": ServerLimits(),
    }  # fmt: skip
    return plan(**{**settings, **changes})


def test_a_vertex_takes_what_was_measured() -> None:
    assert 4_600 < hnsw_bytes_per_row(1024, 16) < 4_900


@given(rows=st.integers(0, 3_000_000), memory=st.integers(64 << 20, 512 * GB))
def test_enough_memory_or_a_warning(rows: int, memory: int) -> None:
    found = chosen(rows, memory_bytes_available=memory)
    fits = found.maintenance_work_mem_mb * 2**20 >= rows * hnsw_bytes_per_row(1024, 16)
    assert fits == (found.warning == "")
    assert found.maintenance_work_mem_mb <= max(64, memory // 2**20 // 2)


def test_the_cliff_is_foretold_in_rows() -> None:
    found = chosen(20_000, overrides=Overrides(maintenance_work_mem_mb=64))
    assert "64 MB" in found.warning
    assert "20,000 rows" in found.warning
    assert "threefold" in found.warning
    # Measured: a build with 64 MB says after 13,928 rows that the graph no longer fits.
    said = int(found.warning.split("about ")[1].split(" of")[0].replace(",", ""))
    assert said == pytest.approx(13_928, rel=0.05)


@pytest.mark.parametrize(
    ("rows", "lists"), [(0, 1), (999, 1), (20_000, 20), (1_000_000, 1000), (4_000_000, 2000), (10**10, 32768)]
)
def test_lists_follow_the_rows(rows: int, lists: int) -> None:
    assert chosen(rows, kind="ivfflat").parameters == {"lists": lists}


def test_ivfflat_has_memory_for_its_samples() -> None:
    found = chosen(1_000_000, kind="ivfflat")
    assert found.maintenance_work_mem_mb * 2**20 > 50_000 * 4_104 + 4 * 50_000 * 1000


@pytest.mark.parametrize(("cores", "workers"), [(1, 0), (2, 2), (4, 4), (64, 8)])
def test_workers_follow_the_cores(cores: int, workers: int) -> None:
    assert chosen(cores=cores).parallel_workers == workers


def test_the_server_limits_workers_and_memory() -> None:
    found = chosen(server_limits=ServerLimits(max_worker_processes=1, shared_memory_bytes=64 << 20))
    assert found.parallel_workers == 1
    assert found.maintenance_work_mem_mb <= 64
    assert found.warning


def test_a_server_elsewhere_keeps_its_own_memory() -> None:
    found = chosen(memory_bytes_available=None, server_limits=ServerLimits(maintenance_work_mem_mb=256))
    assert found.maintenance_work_mem_mb == 256
    assert "server's own" in found.reason


def test_no_index_is_a_plan_too() -> None:
    found = chosen(kind="none")
    assert (found.parameters, found.parallel_workers) == ({}, 0)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (Overrides(m=1), "m is 1"),
        (Overrides(m=101), "m is 101"),
        (Overrides(ef_construction=3), "ef_construction is 3"),
        (Overrides(ef_construction=20), "less than twice m"),
        (Overrides(m=50, ef_construction=99), "less than twice m"),
        (Overrides(lists=0), "lists is 0"),
        (Overrides(lists=32769), "lists is 32769"),
        (Overrides(maintenance_work_mem_mb=0), "maintenance_work_mem_mb is 0"),
    ],
)
def test_what_pgvector_refuses_is_refused_before(asked: Overrides, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        chosen(overrides=asked)


def test_a_large_m_raises_ef_construction_with_it() -> None:
    assert chosen(overrides=Overrides(m=64)).parameters == {"m": 64, "ef_construction": 128}


@pytest.mark.parametrize(
    ("found", "share"),
    [
        ([(1, 0.1), (2, 0.2)], 1.0),
        ([(1, 0.1), (9, 0.2)], 1.0),  # as near as the last one, though another row
        ([(1, 0.1), (3, 0.3)], 0.5),
        ([], 0.0),
    ],
)
def test_recall_counts_by_distance(found: list[tuple[int, float]], share: float) -> None:
    assert math.isclose(recall([(1, 0.1), (2, 0.2)], found), share)
