"""Building the index without cvdebug: a table as anybody makes it, and CREATE INDEX.

Of the vectors alone the heap is tiny, as they are stored out of line, and the planner builds with one process; beside
two kilobytes of text it is large enough for a parallel build.
"""

from __future__ import annotations

import time

import psycopg

VECTORS_ALONE = "CREATE TABLE vectors AS SELECT id, embedding FROM chunks"
INDEX = "CREATE INDEX ON {} USING hnsw (embedding vector_cosine_ops)"


def build(dsn: str, table: str, maintenance_work_mem_mb: int | None) -> float:
    """Seconds of CREATE INDEX on `table`; without a memory setting the server's own holds. Leaves no index behind."""
    with psycopg.connect(dsn) as connection:
        if maintenance_work_mem_mb is not None:
            connection.execute(f"SET maintenance_work_mem = '{maintenance_work_mem_mb}MB'".encode())
        began = time.perf_counter()
        connection.execute(INDEX.format(table).encode())
        elapsed_s = time.perf_counter() - began
        connection.rollback()
        return elapsed_s
