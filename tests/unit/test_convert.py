"""Vectors on their way to the database: of norm 1 whatever their size, or refused by the name of their chunk."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cvdebug.core.errors import VectorError
from cvdebug.core.pipeline.convert import BLOCK, convert
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

FLOATS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0.0, 1e30, 1e-30, 1.7e308, 5e-324, -1e-45]),
)


def _random(rows: int, dimensions: int, dtype: Any = np.float32) -> NDArray[Any]:
    return np.random.default_rng(rows).normal(size=(rows, dimensions)).astype(dtype)


@settings(deadline=None)
@given(row=st.lists(FLOATS, min_size=1, max_size=20), dtype=st.sampled_from([np.float32, np.float64]))
def test_any_finite_row_gets_norm_one_and_keeps_its_direction(row: list[float], dtype: Any) -> None:
    with np.errstate(over="ignore"):
        given_row = np.array([row], dtype=dtype)
    assume(np.isfinite(given_row).all() and given_row.any())
    made = convert(given_row, dimensions=len(row))
    assert made.dtype == np.float32
    assert np.linalg.norm(made.astype(np.float64)) == pytest.approx(1, abs=1e-6)
    exact = given_row[0].astype(np.longdouble)
    exact /= np.abs(exact).max()
    exact /= np.sqrt((exact**2).sum())
    assert np.abs(made[0] - exact).max() < 1e-6


@settings(deadline=None)
@given(
    rows=st.integers(1, 300),
    data=st.data(),
    bad=st.sampled_from([(np.nan, "NaN"), (np.inf, "Inf"), (-np.inf, "Inf"), (0.0, "norm zero")]),
    first=st.integers(0, 10**9),
)
def test_a_bad_row_is_named(rows: int, data: st.DataObject, bad: tuple[float, str], first: int) -> None:
    value, said = bad
    vectors = np.ones((rows, 3), dtype=np.float32)
    row = data.draw(st.integers(0, rows - 1))
    if value == 0:
        vectors[row] = 0
    else:
        vectors[row, data.draw(st.integers(0, 2))] = value
    with pytest.raises(VectorError, match=f"chunk {first + row} .*{said}"):
        convert(vectors, first=first, dimensions=3)
    with pytest.raises(VectorError, match=f"window {first + row} of x"):
        convert(vectors, first=first, dimensions=3, name=lambda number: f"window {number} of x")


@pytest.mark.parametrize("value", [1e30, 1e-30, 3e38, 1e-45])
def test_single_precision_neither_overflows_nor_vanishes(value: float) -> None:
    made = convert(np.full((2, 1024), value, dtype=np.float32))
    assert np.allclose(made, 1 / 32, rtol=1e-6)


@pytest.mark.parametrize("value", [1e300, 1e-300, 5e-324])
def test_double_precision_neither_overflows_nor_vanishes(value: float) -> None:
    made = convert(np.full((2, 1024), value))
    assert np.allclose(made, 1 / 32, rtol=1e-6)


def test_in_place_is_in_place_and_the_same() -> None:
    vectors = _random(3 * BLOCK + 5, 1024)
    apart = convert(vectors)
    assert convert(vectors, out=vectors) is vectors
    assert np.array_equal(vectors, apart)


def test_the_input_is_left_alone_without_out() -> None:
    vectors = _random(BLOCK + 1, 1024, np.float64)
    before = vectors.copy()
    made = convert(vectors)
    assert np.array_equal(vectors, before)
    assert made.dtype == np.float32
    assert np.allclose(np.linalg.norm(made, axis=1), 1, atol=1e-6)


def test_normalising_twice_changes_nothing_that_counts() -> None:
    once = convert(_random(10, 1024))
    assert np.abs(convert(once) - once).max() < 1e-7


@pytest.mark.parametrize(
    ("vectors", "said"),
    [
        (np.ones((2, 768), dtype=np.float32), "chunk 40 has 768 dimensions instead of 1024"),
        (np.ones(1024, dtype=np.float32), "shape"),
        (np.ones((2, 1024), dtype=np.int64), "type int64"),
        (np.ones((2, 1024), dtype=np.float16), "type float16"),
    ],
)
def test_other_forms_are_refused(vectors: Any, said: str) -> None:
    with pytest.raises(VectorError, match=said) as caught:
        convert(vectors, first=40)
    assert caught.value.hint


def test_no_rows_are_no_error() -> None:
    assert convert(np.empty((0, 1024), dtype=np.float32)).shape == (0, 1024)
