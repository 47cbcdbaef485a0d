"""The keys of a modal screen, at its bottom; a click on one does what the key does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rich.cells import cell_len
from textual import events

from .rows import Lines


class Hint(NamedTuple):
    """A key as it is printed, what it does, and the action of the screen behind it ("" where there is none)."""

    key: str
    label: str
    action: str = ""

    @property
    def width(self) -> int:
        return cell_len(f"{self.key} {self.label}   ")


class KeyBar(Lines, can_focus=False):
    """One line of hints."""

    BAR = False
    DEFAULT_CSS = "KeyBar { height: 1; }"

    def __init__(self, hints: Sequence[Hint], *, id: str | None = None) -> None:
        super().__init__(id=id, cursor=False)
        self._hints: Sequence[Hint] = ()
        self.show_hints(hints)

    def show_hints(self, hints: Sequence[Hint]) -> None:
        """These keys do something now."""
        self._hints = hints
        self.show_lines([[part for hint in hints for part in ((hint.key, "bold"), (f" {hint.label}   ", ""))]])

    def on_click(self, event: events.Click) -> None:
        left = 0
        for hint in self._hints:
            if left <= event.x < left + hint.width and hint.action:
                self.call_later(self.screen.run_action, hint.action)
            left += hint.width
