"""A short list to choose from. Enter or a double click chooses; one click only moves the cursor."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence

from .rows import Key, Part, Rows


class Choices(Rows):
    """Rows by key, given whole by their owner."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._parts: Mapping[Hashable, Sequence[Part]] = {}

    def show_rows(self, rows: Mapping[Hashable, Sequence[Part]]) -> None:
        """These rows there are now, in this order."""
        before, self._parts = self._parts, rows
        self.show_keys(tuple(rows))
        self.touch(key for key, parts in rows.items() if parts != before.get(key))

    def parts(self, key: Key, width: int) -> Iterable[Part]:
        return self._parts[key]

    def clicked(self, key: Key, column: int, chain: int) -> None:
        if chain > 1:
            self.post_message(self.Chosen(self, key))
