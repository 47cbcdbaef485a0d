"""Rows to be stored: chunks of generated CVs with random vectors, the same for every contestant."""

from __future__ import annotations

import numpy as np
from cvdebug.core.database.load import Row
from cvdebug.core.pipeline import generate

DIMENSIONS = 1024
CHUNK_CHARACTERS = 2000
CENTRES = 200


def rows(number: int) -> list[Row]:
    """`number` rows of unit vectors around 200 centres, as embeddings lie in clusters, with texts of about 2 kB."""
    random = np.random.default_rng(0)
    centres = random.standard_normal((CENTRES, DIMENSIONS), dtype=np.float32)
    vectors = random.standard_normal((number, DIMENSIONS), dtype=np.float32)
    vectors += centres[random.integers(CENTRES, size=number)]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    texts = [generate.cv(0, index).text[:CHUNK_CHARACTERS] for index in range(200)]
    return [
        Row(i, f"cv-{i // 3:05d}", i % 3, texts[i % 200], 0, len(texts[i % 200]), 400, vectors[i])
        for i in range(number)
    ]
