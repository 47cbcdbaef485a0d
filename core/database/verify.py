"""The proof that a load is right: what is stored, whether the index can answer, and how well it does.

Wrong data is a DatabaseError that names it. Low recall is reported with the setting that would raise it: it is a
property of the parameters, not a fault. Changes nothing in the database.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import msgspec
import numpy as np
import psycopg
from psycopg import sql

from ..errors import DatabaseError
from .connection import Connection, prepare_vectors, translate
from .index import IndexPlan
from .search import distance_to, set_search_width
from .table import TableName
from .vectors import fast_vectors

_NORM_TOLERANCE = 1e-3
_TIE = 1e-6
_GOOD_RECALL = 0.95
_EF_SEARCH = (40, 100, 200)

Progress = Callable[[int, int, str], None]
"""Steps done, steps in all, and what is being looked at."""


class RecallPoint(msgspec.Struct, frozen=True, kw_only=True):
    """Mean recall@k at one width of the search: `setting` is hnsw.ef_search or ivfflat.probes."""

    setting: str
    value: int
    recall: float


class VerifyResult(msgspec.Struct, frozen=True, kw_only=True):
    """What was found. `planner_node` and `planner_index` tell how the planner itself would search; `index_answers` that
    the index gives an answer when sequential scans are off. `recommended` is the narrowest search with a recall of
    0.95, None when none reached it or there is no index."""

    rows: int
    tokens: int
    dimensions: int
    norm_min: float
    norm_max: float
    index_name: str
    index_bytes: int
    planner_node: str
    planner_index: str
    index_answers: bool
    k: int
    queries: int
    recall: tuple[RecallPoint, ...]
    recommended: RecallPoint | None


def verify(
    connection: Connection,
    table: TableName,
    plan: IndexPlan,
    *,
    expected_rows: int,
    expected_tokens: int,
    dimensions: int = 1024,
    queries: int = 30,
    k: int = 10,
    progress: Progress = lambda _done, _total, _what: None,
) -> VerifyResult:
    """Checks counts, dimension, norms, tokens and index, then measures recall@k for `queries` vectors of the table.

    DatabaseError names the first thing that is wrong. `connection` is idle; it is left so.
    """
    try:
        prepare_vectors(connection)
        fast_vectors(connection)
        with connection.transaction(force_rollback=True):
            connection.execute("SELECT set_config('statement_timeout', '0', true)")
            check = _Verification(connection, table, plan, queries, k, progress)
            return check.carry_out(expected_rows, expected_tokens, dimensions)
    except psycopg.Error as error:
        raise translate(error) from error


class _Verification:
    def __init__(
        self, connection: Connection, table: TableName, plan: IndexPlan, queries: int, k: int, progress: Progress
    ) -> None:
        self._connection = connection
        self._table = table
        self._plan = plan
        self._wanted = queries
        self._k = k
        self._progress = progress

    def carry_out(self, rows: int, tokens: int, dimensions: int) -> VerifyResult:
        self._progress(0, self._wanted, "counting rows, tokens and norms")
        norms = self._check_rows(rows, tokens, dimensions)
        name, size = self._check_index()
        vectors = self._query_vectors(rows)
        node, index = self._planned(vectors, forced=False)
        answers = bool(vectors) and bool(name) and self._planned(vectors, forced=True)[1] == name
        if name and vectors and not answers:
            raise DatabaseError(f"The index {name} of {self._table} cannot answer a search")
        points = self._recall(vectors) if answers else ()
        good = [point for point in points if point.recall >= _GOOD_RECALL]
        return VerifyResult(
            rows=rows, tokens=tokens, dimensions=dimensions, norm_min=norms[0], norm_max=norms[1],
            index_name=name, index_bytes=size, planner_node=node, planner_index=index, index_answers=answers,
            k=self._k, queries=len(vectors), recall=points, recommended=good[0] if good else None,
        )  # fmt: skip

    # -- what is stored

    def _check_rows(self, rows: int, tokens: int, dimensions: int) -> tuple[float, float]:
        found = self._one(
            "SELECT count(*), coalesce(sum(token_count), 0), count(*) FILTER (WHERE token_count <= 0),"
            " coalesce(min(vector_dims(embedding)), {d}), coalesce(max(vector_dims(embedding)), {d}),"
            " coalesce(min(vector_norm(embedding::vector)), 1), coalesce(max(vector_norm(embedding::vector)), 1)"
            " FROM {t}",
            d=sql.Literal(dimensions),
        )
        count, stored_tokens, without, dims_min, dims_max, norm_min, norm_max = found
        self._must(count == rows, f"{count} rows are stored, not {rows}")
        self._must(without == 0, f"{without} chunks have no token count")
        self._must(stored_tokens == tokens, f"the token counts add up to {stored_tokens}, not {tokens}")
        self._must(
            dims_min == dims_max == dimensions, f"vectors have {dims_min} to {dims_max} dimensions, not {dimensions}"
        )
        unit = abs(norm_min - 1) <= _NORM_TOLERANCE and abs(norm_max - 1) <= _NORM_TOLERANCE
        self._must(unit, f"the vectors' norms go from {norm_min:.6g} to {norm_max:.6g}, where all must be 1")
        return float(norm_min), float(norm_max)

    def _check_index(self) -> tuple[str, int]:
        """Name and bytes of the valid index of the right kind and operator class; ('', 0) when none is wanted."""
        if self._plan.kind == "none":
            return "", 0
        found = self._connection.execute(
            "SELECT i.relname, a.amname, o.opcname, x.indisvalid AND x.indisready, pg_relation_size(i.oid)"
            " FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_am a ON a.oid = i.relam"
            " JOIN pg_opclass o ON o.oid = x.indclass[0] JOIN pg_class t ON t.oid = x.indrelid"
            " JOIN pg_namespace n ON n.oid = t.relnamespace"
            " WHERE n.nspname = %s AND t.relname = %s AND a.amname IN ('hnsw', 'ivfflat')",
            (self._table.schema, self._table.name),
        ).fetchall()
        self._must(len(found) == 1, f"there are {len(found)} vector indexes, not one")
        name, kind, opclass, valid, size = found[0]
        self._must(bool(valid), f"the index {name} is not valid")
        wanted = f"{self._plan.kind} with {self._plan.opclass}"
        self._must(f"{kind} with {opclass}" == wanted, f"the index {name} is {kind} with {opclass}, not {wanted}")
        return str(name), int(str(size))

    def _must(self, holds: bool, what: str) -> None:
        if not holds:
            raise DatabaseError(f"The table {self._table} is not what was loaded: {what}", hint="Load it again")

    # -- how it answers

    def _query_vectors(self, rows: int) -> list[tuple[int, Any]]:
        """Ids and vectors of rows that lie evenly over the ids."""
        every = max(1, math.ceil(rows / max(1, self._wanted)))
        found = self._connection.execute(
            sql.SQL(
                "SELECT id, embedding::real[] FROM {} WHERE id IN (SELECT id FROM"
                " (SELECT id, row_number() OVER (ORDER BY id) - 1 AS n FROM {}) s"
                " WHERE n %% %s = 0) ORDER BY id LIMIT %s"
            ).format(self._table.beside_parameters, self._table.beside_parameters),
            (every, self._wanted),
        ).fetchall()
        return [(int(str(number)), np.asarray(vector, dtype=np.float32)) for number, vector in found]

    def _planned(self, vectors: list[tuple[int, Any]], *, forced: bool) -> tuple[str, str]:
        """The scan that the planner chooses for the usual search, and its index: ('Seq Scan', '') on a small table."""
        if not vectors:
            return "", ""
        with self._connection.transaction(force_rollback=True):
            if forced:
                self._scans(index=True)
            row = self._connection.execute(
                sql.SQL("EXPLAIN (FORMAT JSON) {}").format(self._nearest()), self._values(vectors[0][1], self._k)
            ).fetchone()
        plans: Any = row[0] if row else [{"Plan": {"Node Type": ""}}]
        return _scan_of(plans[0]["Plan"])

    def _recall(self, vectors: list[tuple[int, Any]]) -> tuple[RecallPoint, ...]:
        setting, widths = self._widths()
        steps = len(vectors) * (1 + len(widths))
        truth: list[list[tuple[int, float]]] = []
        with self._searching(width=None):
            for number, vector in vectors:
                self._progress(len(truth), steps, "exact neighbours, to measure recall against")
                truth.append(self._neighbours(number, vector))
        points: list[RecallPoint] = []
        for width in widths:
            done = len(vectors) * (1 + len(points))
            shares: list[float] = []
            with self._searching(width=width):
                for (number, vector), exact in zip(vectors, truth, strict=True):
                    self._progress(done + len(shares), steps, f"recall at {setting} = {width}")
                    shares.append(recall(exact, self._neighbours(number, vector)))
            points.append(RecallPoint(setting=setting, value=width, recall=sum(shares) / len(shares)))
        self._progress(steps, steps, "recall measured")
        return tuple(points)

    def _widths(self) -> tuple[str, tuple[int, ...]]:
        if self._plan.kind == "hnsw":
            return "hnsw.ef_search", _EF_SEARCH
        lists = self._plan.parameters["lists"]
        root = max(1, math.isqrt(lists))
        return "ivfflat.probes", tuple(sorted({1, root, min(lists, 3 * root), lists})[:3])

    @contextmanager
    def _searching(self, *, width: int | None) -> Iterator[None]:
        """Searches inside are exact (width None) or go through the index."""
        kind: Literal["hnsw", "ivfflat"] = "ivfflat" if self._plan.kind == "ivfflat" else "hnsw"
        with self._connection.transaction(force_rollback=True):
            self._scans(index=width is not None)
            if width is not None:
                set_search_width(self._connection, kind, width)
            yield

    def _neighbours(self, number: int, vector: Any) -> list[tuple[int, float]]:
        """The k nearest others with their distances, in whichever way `_searching` set."""
        found = self._connection.execute(self._nearest(), self._values(vector, self._k + 1)).fetchall()
        others = [(int(str(other)), float(str(distance))) for other, distance in found if other != number]
        return others[: self._k]

    def _scans(self, *, index: bool) -> None:
        """Forces the index, or forbids it, for this transaction."""
        on, off = ("on", "off") if index else ("off", "on")
        for name, value in (("enable_indexscan", on), ("enable_seqscan", off), ("enable_bitmapscan", off)):
            self._connection.execute("SELECT set_config(%s, %s, true)", (name, value))

    def _nearest(self) -> sql.Composed:
        distance = distance_to(self._plan.metric, self._plan.storage)
        return sql.SQL("SELECT id, {d} FROM {t} ORDER BY {d} LIMIT %(limit)s").format(
            d=distance, t=self._table.beside_parameters
        )

    def _values(self, vector: Any, limit: int) -> dict[str, object]:
        return {"vector": vector, "limit": limit}

    def _one(self, query: str, **parts: sql.Composable) -> Any:
        statement = sql.SQL(query).format(t=self._table.identifier, **parts)
        return self._connection.execute(statement).fetchone()


def recall(exact: list[tuple[int, float]], found: list[tuple[int, float]]) -> float:
    """The share of the exact neighbours that was found; one as near as the farthest of them counts as well."""
    if not exact:
        return 1.0
    farthest = exact[-1][1]
    return min(len(exact), sum(distance <= farthest + _TIE for _, distance in found)) / len(exact)


def _scan_of(node: dict[str, Any]) -> tuple[str, str]:
    """The node at the bottom of a plan that reads the table, and its index."""
    while node.get("Plans"):
        node = node["Plans"][0]
    return str(node["Node Type"]), str(node.get("Index Name", ""))
