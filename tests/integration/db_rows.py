"""Rows for the tests that load a table."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from cvdebug.core.database.connection import Connection, connect
from cvdebug.core.database.index import IndexPlan, Kind, Metric, Replace, ServerLimits, plan
from cvdebug.core.database.load import LoadResult, Row, load_with_retry
from cvdebug.core.database.table import Marker, TableName, create
from cvdebug.core.model import Phase

TABLE = TableName()
TOKENS = 7


def unit_vectors(count: int, *, seed: int = 0, dimensions: int = 1024) -> npt.NDArray[np.float32]:
    """(count, dimensions) float32 of norm 1, around 16 centres so that neighbours mean something."""
    random = np.random.default_rng(seed)
    centres = random.standard_normal((16, dimensions))
    vectors = centres[random.integers(0, 16, count)] + 0.5 * random.standard_normal((count, dimensions))
    unit: npt.NDArray[np.float32] = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return unit


def make_rows(count: int, *, seed: int = 0, source: str = "cv") -> list[Row]:
    vectors = unit_vectors(count, seed=seed)
    return [
        Row(number, f"{source}-{number // 3}", number % 3, f"text {number} é", 0, 10, TOKENS, vectors[number])
        for number in range(count)
    ]


def make_plan(rows: int, kind: Kind = "hnsw", metric: Metric = "cosine", memory_mb: int = 4096) -> IndexPlan:
    return plan(
        rows=rows, dimensions=1024, kind=kind, metric=metric, memory_bytes_available=memory_mb << 20, cores=2,
        server_limits=ServerLimits(),
    )  # fmt: skip


def silent(phase: Phase, done: int, total: int, detail: str) -> None:
    """A progress callback for those who do not look."""


def make_table(dsn: str, table: TableName = TABLE) -> None:
    with connect(dsn, run="tests", role="create") as connection:
        create(connection, table)


def load_rows(
    dsn: str, rows: list[Row], *, index: IndexPlan | None = None, run: str = "tests", replace: Replace = "truncate"
) -> LoadResult:
    return load_with_retry(
        dsn, TABLE, lambda: rows, run=run, total=len(rows), plan=index or make_plan(len(rows)),
        marker=Marker(run=run), progress=silent, on_retry=lambda number, why: None, replace=replace,
    )  # fmt: skip


def ask(dsn: str, query: str, *values: object) -> list[tuple[object, ...]]:
    """One query on a connection of its own."""
    with connect(dsn, run="tests", role="ask", autocommit=True) as connection:
        return fetch(connection, query, *values)


def fetch(connection: Connection, query: str, *values: object) -> list[tuple[object, ...]]:
    return connection.execute(query.encode(), values).fetchall()
