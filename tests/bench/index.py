"""Seconds to build the HNSW index: core's table and plan against CREATE INDEX on a table as anybody makes it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import psutil
import psycopg
from cvdebug.core.database import index as indexes
from cvdebug.core.database import table as tables
from cvdebug.core.database.connection import connect
from cvdebug.core.database.limits import server_limits
from cvdebug.core.database.load import Row, load

from . import baseline_index, baseline_store
from .figure import Aim, Figure, interleaved, ratio, spread
from .options import Options
from .place import Place
from .rows import DIMENSIONS, rows
from .store import TABLE, make_table


def measure(place: Place, options: Options) -> Iterator[Figure]:
    """The baselines' tables hold the same rows, or of these the vectors alone."""
    chunks = rows(options.rows)
    ours, other = place.database("index_ours"), place.database("index_baseline")
    make_table(ours)
    with psycopg.connect(other, autocommit=True) as connection:
        connection.execute(baseline_store.PLAIN.encode())
        baseline_store.copy(other, "chunks", chunks)
        connection.execute(baseline_index.VECTORS_ALONE.encode())
        connection.execute("ANALYZE")
    plan = core_plan(ours, len(chunks))
    memory_mb = plan.maintenance_work_mem_mb
    place.settle()
    mine, *others = interleaved(
        options.index_rounds,
        lambda: build(ours, chunks, plan),
        lambda: baseline_index.build(other, "vectors", memory_mb),
        lambda: baseline_index.build(other, "vectors", None),
        lambda: baseline_index.build(other, "chunks", memory_mb),
        lambda: baseline_index.build(other, "chunks", None),
    )
    named = (
        (f"{memory_mb} MB, vectors alone", Aim(1.3, True)),
        ("defaults, vectors alone", Aim(2.5, True)),
        (f"{memory_mb} MB, all columns", Aim()),
        ("defaults, all columns", Aim()),
    )
    for (name, aim), times in zip(named, others, strict=True):
        speeds = [[len(chunks) / seconds for seconds in column] for column in (mine, times)]
        ours_words, words = (spread(speed, "{:,.0f}", " rows/s") for speed in speeds)
        yield Figure(f"index, to {name}", ours_words, words, ratio(speeds[0], speeds[1]), aim)


def core_plan(dsn: str, number: int) -> indexes.IndexPlan:
    """The plan that a run would choose here."""
    with connect(dsn, run="bench", role="plan") as connection:
        limits = server_limits(connection, on_this_machine=True)
    return indexes.plan(
        rows=number, dimensions=DIMENSIONS, kind="hnsw", metric="cosine", server_limits=limits,
        memory_bytes_available=psutil.virtual_memory().available, cores=os.cpu_count() or 1,
    )  # fmt: skip


def build(dsn: str, chunks: list[Row], plan: indexes.IndexPlan) -> float:
    """Seconds of the index phase of a whole load."""
    with connect(dsn, run="bench", role="load") as connection:
        done = load(
            connection, TABLE, chunks, dsn=dsn, run="bench", total=len(chunks), plan=plan,
            marker=tables.Marker(run="bench", dimensions=DIMENSIONS), progress=lambda *_: None,
        )  # fmt: skip
    return done.index_s
