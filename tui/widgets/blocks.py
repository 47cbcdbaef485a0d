"""Bars and sparklines as text, in eighths of a cell. Pure."""

from __future__ import annotations

from collections.abc import Sequence

_ACROSS = " ▏▎▍▌▋▊▉█"
_UP = "▁▁▂▃▄▅▆▇█"  # what is known to be nothing is a line at the bottom, what is not known is blank


def bar(part: float, width: int) -> tuple[str, str]:
    """A bar filled to `part` (0 to 1) of `width` cells: the filled text, and the rest of it."""
    eighths = round(min(max(part, 0.0), 1.0) * width * 8)
    full, rest = divmod(eighths, 8)
    filled = "█" * full + (_ACROSS[rest] if rest else "")
    return filled, "─" * (width - len(filled))


def resampled(points: Sequence[float], *, each: int, end: int, width: int) -> list[float | None]:
    """The means of `each` points a cell, `width` cells, oldest first; None where there are none.

    `end` is the number of the newest point on the time line: cells stand on multiples of `each`, so that they keep
    their points while time goes on.
    """
    last = end // each
    sums: dict[int, list[float]] = {}
    for back, value in enumerate(reversed(points)):
        cell = (end - back) // each
        if cell <= last - width:
            break
        sums.setdefault(cell, []).append(value)
    found = (sums.get(cell) for cell in range(last - width + 1, last + 1))
    return [sum(values) / len(values) if values else None for values in found]


def spark(cells: Sequence[float | None], top: float, rows: int = 1) -> list[str]:
    """A sparkline of `rows` lines, the highest first, in which `top` is a full column."""
    levels = [None if cell is None else _level(cell, top, rows) for cell in cells]
    return ["".join(_block(level, row) for level in levels) for row in range(rows - 1, -1, -1)]


def _level(value: float, top: float, rows: int) -> int:
    if value <= 0 or top <= 0:
        return 0
    return max(1, min(8 * rows, round(8 * rows * value / top)))


def _block(level: int | None, row: int) -> str:
    if level is None or (row and level <= 8 * row):
        return " "
    return _UP[min(8, level - 8 * row)]
