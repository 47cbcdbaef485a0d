"""One figure, its medians, and the table that all of them are printed in. No I/O."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeVar

T = TypeVar("T")

HEADINGS = ("figure", "ours", "baseline", "ratio", "aim", "")


class Aim(NamedTuple):
    """What a ratio should be: at least or at most `limit`; `at_least` None only informs."""

    limit: float = 0.0
    at_least: bool | None = None

    def met(self, ratio: float) -> bool | None:
        if self.at_least is None:
            return None
        return ratio >= self.limit if self.at_least else ratio <= self.limit

    def __str__(self) -> str:
        return "" if self.at_least is None else f"{'>=' if self.at_least else '<='} {self.limit:g}"


class Figure(NamedTuple):
    """`ours` and `baseline` are in words, with their unit and spread; `ratio` is the first to the second."""

    name: str
    ours: str
    baseline: str
    ratio: float
    aim: Aim = Aim()


def interleaved(rounds: int, *contestants: Callable[[], T]) -> list[list[T]]:
    """What each contestant answered in each round: A, B, A, B, so that a slower minute of the machine hits both."""
    answers = [[contestant() for contestant in contestants] for _ in range(rounds)]
    return [list(column) for column in zip(*answers, strict=True)]


def ratio(ours: Sequence[float], baseline: Sequence[float]) -> float:
    """The median over rounds of ours to the baseline of the same round."""
    return statistics.median(a / b for a, b in zip(ours, baseline, strict=True))


def spread(values: Sequence[float], form: str = "{:.2f}", unit: str = "") -> str:
    """The median and, in parentheses, the extremes."""
    middle, low, high = (form.format(value) for value in (statistics.median(values), min(values), max(values)))
    return f"{middle}{unit} ({low}-{high})" if len(values) > 1 else f"{middle}{unit}"


def table(figures: Iterable[Figure]) -> str:
    """All figures in columns."""
    rows = [HEADINGS, *(_row(figure) for figure in figures)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def _row(figure: Figure) -> tuple[str, ...]:
    met = figure.aim.met(figure.ratio)
    verdict = "" if met is None else "ok" if met else "missed"
    return figure.name, figure.ours, figure.baseline, f"{figure.ratio:.2f}", str(figure.aim), verdict
