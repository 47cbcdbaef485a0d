"""Rows stored a second by core.database.load, with everything around its COPY, against COPY and INSERT loops."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import psycopg
from cvdebug.core.database import table as tables
from cvdebug.core.database.connection import connect
from cvdebug.core.database.index import IndexPlan
from cvdebug.core.database.load import Row, load

from . import baseline_store
from .figure import Aim, Figure, interleaved, ratio, spread
from .options import Options
from .place import Place
from .rows import rows

TABLE = tables.TableName()
NO_INDEX = IndexPlan(
    kind="none", metric="cosine", parameters={}, maintenance_work_mem_mb=64, parallel_workers=0, reason=""
)


def measure(place: Place, options: Options) -> Iterator[Figure]:
    """Ours is the whole of `load`: locks, watching, marker and commit included."""
    many = rows(options.rows)
    few = many[: options.insert_rows]
    ours, other = place.database("store_ours"), place.database("store_baseline")
    make_table(ours)
    with psycopg.connect(other, autocommit=True) as connection:
        for name, definition in (("plain", baseline_store.PLAIN), ("in_row", baseline_store.IN_ROW)):
            connection.execute(definition.replace("chunks", name).encode())

    def rate(number: int, seconds: Callable[[], float]) -> Callable[[], float]:
        def settled() -> float:
            place.settle()
            return number / seconds()

        return settled

    speeds = interleaved(
        options.rounds,
        rate(len(many), lambda: store(ours, many, NO_INDEX)),
        rate(len(many), lambda: baseline_store.copy(other, "in_row", many)),
        rate(len(many), lambda: baseline_store.copy(other, "plain", many)),
        rate(len(few), lambda: baseline_store.insert(other, "in_row", few)),
    )
    mine, in_row, plain, inserted = speeds
    for name, speed, aim in (
        ("COPY BINARY, same table", in_row, Aim(0.9, True)),
        ("COPY BINARY, plain table", plain, Aim()),
        ("one INSERT a row, same table", inserted, Aim(4, True)),
    ):
        ours_words, words = (spread(values, "{:,.0f}", " rows/s") for values in (mine, speed))
        yield Figure(f"store, to {name}", ours_words, words, ratio(mine, speed), aim)


def make_table(dsn: str) -> None:
    """cvdebug's own table, empty."""
    with connect(dsn, run="bench", role="prepare") as connection:
        tables.create(connection, TABLE)


def store(dsn: str, chunks: list[Row], plan: IndexPlan) -> float:
    """Seconds that `load` takes for these rows, index included."""
    with connect(dsn, run="bench", role="load") as connection:
        began = time.perf_counter()
        load(
            connection, TABLE, chunks, dsn=dsn, run="bench", total=len(chunks), plan=plan,
            marker=tables.Marker(run="bench", dimensions=1024), progress=lambda *_: None,
        )  # fmt: skip
        return time.perf_counter() - began
