"""The pipeline as a plain script: the same corpus, tokenizer, windows, embedder, table and index; all in memory.

TOKENIZERS_PARALLELISM=false python -m tests.bench.baseline_run DSN CVS WORKERS
"""

from __future__ import annotations

import multiprocessing
import sys

import numpy as np
import numpy.typing as npt
import psycopg
from cvdebug.core.embedding.lexical import Lexical, fit_idf
from cvdebug.core.pipeline import generate
from cvdebug.core.pipeline import tokenizer as tokenizers
from cvdebug.core.pipeline.windows import cut
from pgvector.psycopg import register_vector

TABLE = """CREATE TABLE chunks (id bigint PRIMARY KEY, source text NOT NULL, ordinal int NOT NULL, text text NOT NULL,
 start_char int NOT NULL, end_char int NOT NULL, token_count int NOT NULL, embedding vector(1024) NOT NULL)
 WITH (toast_tuple_target = 8160, parallel_workers = 2)"""
NEAREST = "SELECT id, embedding <=> %s d FROM chunks ORDER BY d LIMIT 11"
TOTALS = "SELECT count(*), sum(token_count), min(vector_norm(embedding)) > 0.999 FROM chunks"
SEARCHES = ["software engineer with Python", "fluent in French and German", "university degree, published research"]
tokenizer = tokenizers.load()
embedder = Lexical(tokenizer, fit_idf(tokenizer))
chunks: list[tuple[str, int, str, int, int]] = []  # source, ordinal, text, start, end; workers inherit them


def embed(batch: range) -> npt.NDArray[np.float32]:
    return embedder.embed([chunks[i][2] for i in batch])


def count(batch: range) -> list[int]:
    return [len(found.ids) for found in tokenizer.encode_batch([chunks[i][2] for i in batch], add_special_tokens=False)]


def batches(total: int, size: int) -> list[range]:
    return [range(first, min(first + size, total)) for first in range(0, total, size)]


def run(dsn: str, cvs: int, workers: int) -> None:
    documents = [generate.cv(0, index) for index in range(cvs)]
    for batch in batches(cvs, 64):
        for i, windows in zip(batch, cut([documents[i].text for i in batch], tokenizer), strict=True):
            source, text = documents[i].source, documents[i].text
            chunks.extend((source, n, text[w[0] : w[1]], w[0], w[1]) for n, w in enumerate(windows))
    with multiprocessing.get_context("fork").Pool(workers) as pool:
        vectors = np.concatenate(list(pool.imap(embed, batches(len(chunks), 32))))
        counts = [number for part in pool.imap(count, batches(len(chunks), 64)) for number in part]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    with psycopg.connect(dsn) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector; DROP TABLE IF EXISTS chunks")
        connection.execute(TABLE)
        register_vector(connection)
        with connection.cursor() as cursor, cursor.copy("COPY chunks FROM STDIN (FORMAT BINARY, FREEZE)") as copy:
            copy.set_types(["bigint", "text", "int4", "text", "int4", "int4", "int4", "vector"])
            for i, chunk in enumerate(chunks):
                copy.write_row((i, *chunk, counts[i], vectors[i]))
        connection.execute("SET LOCAL maintenance_work_mem = '64MB'")
        connection.execute("CREATE INDEX ON chunks USING hnsw (embedding vector_cosine_ops)")
        connection.commit()
        assert connection.execute(TOTALS).fetchone() == (len(chunks), sum(counts), True)
        queries = vectors[:: -(-len(vectors) // 30)]
        connection.execute("SET enable_indexscan = off")
        exact = [{row[0] for row in connection.execute(NEAREST, (query,))} for query in queries]
        connection.execute("SET enable_indexscan = on; SET enable_seqscan = off")
        for width in (40, 100, 200):
            connection.execute(f"SET hnsw.ef_search = {width}".encode())
            near = [{row[0] for row in connection.execute(NEAREST, (query,))} for query in queries]
            print(width, sum(len(a & b) for a, b in zip(exact, near, strict=True)) / (11 * len(queries)))
        for vector in embedder.embed(SEARCHES):
            print(connection.execute(NEAREST, (vector,)).fetchone())


if __name__ == "__main__":
    run(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
