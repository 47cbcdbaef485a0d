"""The nearest chunks to a vector: what the load was for."""

from __future__ import annotations

from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt
import psycopg
from psycopg import sql

from .connection import Connection, prepare_vectors, translate
from .index import OPERATOR, Metric, Storage
from .table import TableName
from .vectors import fast_vectors


class Hit(msgspec.Struct, frozen=True, kw_only=True):
    """One chunk found. `distance` is the operator's own; `score` is larger for nearer: cosine similarity, inner
    product, or 1 / (1 + distance) for l2."""

    source: str
    ordinal: int
    text: str
    distance: float
    score: float


def nearest(
    connection: Connection,
    table: TableName,
    vector: npt.NDArray[np.float32],
    *,
    limit: int = 5,
    metric: Metric = "cosine",
    storage: Storage = "vector",
    ef_search: int | None = None,
    probes: int | None = None,
) -> list[Hit]:
    """The `limit` nearest chunks, nearest first, through the index where the planner finds that cheaper.

    `vector` is float32 of the table's dimension. HNSW returns at most `ef_search` rows, so it is raised to `limit`.
    """
    try:
        prepare_vectors(connection)
        fast_vectors(connection)
        with connection.transaction(force_rollback=True):
            set_search_width(connection, "hnsw", max(ef_search or 40, min(limit, 1000)))
            if probes is not None:
                set_search_width(connection, "ivfflat", probes)
            rows = connection.execute(_statement(table, metric, storage), {"vector": vector, "limit": limit}).fetchall()
    except psycopg.Error as error:
        raise translate(error) from error
    return [_hit(row, metric) for row in rows]


def set_search_width(connection: Connection, kind: Literal["hnsw", "ivfflat"], width: int) -> None:
    """hnsw.ef_search or ivfflat.probes for this transaction. Loads pgvector's library first, which defines them."""
    name = {"hnsw": "hnsw.ef_search", "ivfflat": "ivfflat.probes"}[kind]
    connection.execute("SELECT '[1]'::vector")
    connection.execute("SELECT set_config(%s, %s, true)", (name, str(width)))


def distance_to(metric: Metric, storage: Storage) -> sql.Composed:
    """The distance of a row from the parameter `vector`, as an index on the column can answer it."""
    return sql.SQL("embedding {} %(vector)s::{}").format(sql.SQL(OPERATOR[metric]), sql.SQL(storage))


def _statement(table: TableName, metric: Metric, storage: Storage) -> sql.Composed:
    """The one form that an index can answer: ORDER BY column operator constant, ascending, with LIMIT."""
    return sql.SQL("SELECT source, ordinal, text, {distance} FROM {table} ORDER BY {distance} LIMIT %(limit)s").format(
        distance=distance_to(metric, storage), table=table.beside_parameters
    )


def _hit(row: tuple[object, ...], metric: Metric) -> Hit:
    source, ordinal, text, raw = row
    distance = float(str(raw))
    score = {"cosine": 1.0 - distance, "ip": -distance, "l2": 1.0 / (1.0 + distance)}[metric]
    return Hit(source=str(source), ordinal=int(str(ordinal)), text=str(text), distance=distance, score=score)
