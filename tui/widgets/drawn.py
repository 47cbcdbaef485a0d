"""Rows that are values: what they say is decided when they are shown, how it is laid out when they are drawn.

So a row looks right at every width, and is drawn again only when its value has changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar

from .rows import Key, Part, Rows

Row = TypeVar("Row")


class Drawn(Rows, Generic[Row]):
    """A row for each value; there is no cursor, and always room for all. `draw` says what one looks like."""

    BAR = False

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes, cursor=False)
        self.rows: Sequence[Row] = ()

    def show_rows(self, rows: Sequence[Row]) -> None:
        """These there are now."""
        before, self.rows = self.rows, rows
        self.show_keys(range(len(rows)))
        self.renew(number for number, row in enumerate(rows) if number >= len(before) or row != before[number])

    def parts(self, key: Key, width: int) -> Iterable[Part]:
        assert isinstance(key, int)
        return self.draw(self.rows[key], width)

    def draw(self, row: Row, width: int) -> Iterable[Part]:
        """The texts of a row with their tones."""
        raise NotImplementedError
