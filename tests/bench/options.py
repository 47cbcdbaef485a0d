"""How large the benchmarks are."""

from __future__ import annotations

from typing import NamedTuple


class Options(NamedTuple):
    """The defaults are those of the README's table; smaller ones only show that everything works."""

    rows: int = 20_000  # store, index
    insert_rows: int = 4_000  # store: one INSERT a row is slow, and its speed does not depend on the number
    rounds: int = 5
    index_rounds: int = 3
    cvs: tuple[int, ...] = (400, 2000)  # run
    chunks: tuple[int, int] = (50_000, 200_000)  # memory
    hangs: int = 20  # detect
    follow_s: float = 20.0  # follow
