"""Makes an embedder's output fit to be stored: float32, L2-normalised, and checked.

What must not reach the database is stopped here and named by its chunk: PostgreSQL would refuse NaN and Inf
without saying which row, and would store a zero vector that no cosine search can find.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import VectorError

BLOCK = 128
"""Rows converted at a time: with 1024 dimensions the scratch space is 1 MB."""

_HINT = "Look at the embedder and at this chunk's text; nothing was stored."


def convert(
    vectors: NDArray[np.float32 | np.float64],
    *,
    first: int = 0,
    name: Callable[[int], str] | None = None,
    dimensions: int = 1024,
    out: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Normalise (n, dimensions) vectors of float32 or float64 into float32 rows of norm 1; returns `out`.

    `out` may be the input itself; without it a new array is made. Each row is first divided by its largest
    component, in float64, so that no component's square overflows or vanishes. `name(first + row)` names a chunk in
    errors. Raises VectorError for another type or dimension, NaN, Inf or a zero norm; the rows of `out` before the
    bad one's block are written by then.
    """
    name = name or "chunk {}".format
    _check_form(vectors, name(first), dimensions)
    if out is None:
        out = np.empty(vectors.shape, dtype=np.float32)
    for begin in range(0, len(vectors), BLOCK):
        block = vectors[begin : begin + BLOCK]
        peaks = _peaks(block)
        bad = np.flatnonzero(~(np.isfinite(peaks) & (peaks > 0)))
        if bad.size:
            row = int(bad[0])
            raise _error(name(first + begin + row), _fault(block[row]))
        scaled = np.divide(block, peaks[:, np.newaxis], dtype=np.float64)
        norms = np.sqrt(np.einsum("ij,ij->i", scaled, scaled))
        np.divide(scaled, norms[:, np.newaxis], out=out[begin : begin + BLOCK], casting="same_kind")
    return out


def _check_form(vectors: NDArray[Any], chunk: str, dimensions: int) -> None:
    if vectors.ndim != 2:
        raise _error(chunk, f"is not a row of a two-dimensional array, but part of shape {vectors.shape}")
    if vectors.shape[1] != dimensions:
        raise _error(chunk, f"has {vectors.shape[1]} dimensions instead of {dimensions}")
    if vectors.dtype not in (np.float32, np.float64):
        raise _error(chunk, f"is of type {vectors.dtype} instead of float32 or float64")


def _peaks(block: NDArray[np.float32 | np.float64]) -> NDArray[np.float64]:
    """The largest absolute component of each row; NaN and Inf come through."""
    peaks: NDArray[np.float64] = np.maximum(block.max(axis=1), -block.min(axis=1)).astype(np.float64)
    return peaks


def _fault(row: NDArray[np.float32 | np.float64]) -> str:
    for what, found in (("NaN", np.isnan(row)), ("Inf", np.isinf(row))):
        if found.any():
            return f"holds {what} in component {int(found.argmax())}, {int(found.sum())} in all"
    return "has norm zero"


def _error(chunk: str, fault: str) -> VectorError:
    return VectorError(f"The vector of {chunk} {fault}", hint=_HINT)
