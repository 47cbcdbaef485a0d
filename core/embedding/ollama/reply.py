"""Reads the answer of /api/embed, and lets nothing through that must not be stored."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from .client import decoded
from .trouble import Kind, Trouble, excerpt

PATH = "/api/embed"


class Answer(NamedTuple):
    """`vectors` of shape (texts, dimensions); `tokens` is what the server counted in all texts, None when it did not.
    `norms` are the smallest and the largest."""

    vectors: NDArray[np.float32]
    tokens: int | None
    norms: tuple[float, float]


class _Embeddings(msgspec.Struct):
    embeddings: list[list[float]]
    prompt_eval_count: int | None = None


def read(body: bytes, *, texts: int, dimensions: int) -> Answer:
    """The answer to a request for so many texts. Raises Trouble, with the row where that is known."""
    try:
        reply = msgspec.json.decode(body, type=_Embeddings)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise _fault(decoded(body, PATH)) from None
    if len(reply.embeddings) != texts:
        raise Trouble(Kind.BAD, f"gave {len(reply.embeddings):,} vectors for {texts:,} texts")
    for row, vector in enumerate(reply.embeddings):
        if len(vector) != dimensions:
            raise Trouble(
                Kind.UNFIT,
                f"gives vectors of {len(vector):,} dimensions, and the table has {dimensions:,}",
                row=row,
            )
    with np.errstate(over="ignore"):  # what does not fit into a float32 becomes infinite, and is named below
        vectors = np.array(reply.embeddings, dtype=np.float32)
    norms = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))
    bad = np.flatnonzero(~(np.isfinite(norms) & (norms > 0)))
    if bad.size:
        row = int(bad[0])
        what = "nothing but zeros" if np.isfinite(vectors[row]).all() else "numbers beyond any bound"
        raise Trouble(Kind.BAD, f"gave a vector of {what}", row=row)
    return Answer(vectors, reply.prompt_eval_count, (float(norms.min()), float(norms.max())))


def _fault(value: Any) -> Trouble:
    """What is wrong with an answer that is JSON, but not embeddings."""
    rows = value.get("embeddings") if isinstance(value, dict) else None
    if isinstance(value, dict) and isinstance(value.get("error"), str):
        return Trouble(Kind.REFUSED, f"answered with status 200 and an error: {excerpt(value['error'])}")
    if not isinstance(rows, list):
        return Trouble(Kind.FOREIGN, f"answered {PATH} without embeddings: that is not Ollama's answer")
    for row, vector in enumerate(rows):
        if not isinstance(vector, list):
            return Trouble(Kind.BAD, "gave something else than a list of numbers for a vector", row=row)
        odd = sum(1 for number in vector if not isinstance(number, int | float))
        if odd:
            numbers = "a number" if odd == 1 else f"{odd:,} numbers"
            return Trouble(Kind.BAD, f"gave a vector with null in place of {numbers} (NaN, that is)", row=row)
    return Trouble(Kind.BAD, f"answered {PATH} with vectors that cannot be read")
