"""Lines of text with what they lead to, wrapped to a width in cells. Pure: texts in, lines out."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from rich.cells import cell_len, chop_cells

from ..text import clean
from .targets import Target

Part = tuple[str, str]  # a text, and the name of its tone, as in widgets.rows

ARROW = "→"
# What is shown of one text at most, in characters, and how narrow it may be wrapped, in cells.
MOST = 2000
_NARROWEST = 8


class Line(NamedTuple):
    """One line on the screen. `head`: it is the first of those that lead to `targets`, where the cursor stops."""

    parts: tuple[Part, ...]
    targets: tuple[Target, ...] = ()
    head: bool = False


def plain(*parts: Part) -> Line:
    """A line that leads nowhere."""
    return Line(parts)


@lru_cache(maxsize=2048)
def wrapped(text: str, width: int) -> tuple[str, ...]:
    """A text in lines of at most `width` cells, cleaned; what is longer than MOST characters ends in an ellipsis."""
    room = max(width, _NARROWEST)
    words = text[:MOST].split()
    if len(text) > MOST:
        words.append("…")
    lines: list[str] = []
    for word in map(clean, words):
        if lines and cell_len(lines[-1]) + 1 + cell_len(word) <= room:
            lines[-1] += f" {word}"
        else:
            lines += chop_cells(word, room) if cell_len(word) > room else [word]
    return tuple(lines)


def entry(
    text: str,
    width: int,
    *,
    lead: Part = ("", ""),
    tone: str = "",
    targets: tuple[Target, ...] = (),
    rest: Part = ("", ""),
) -> Iterator[Line]:
    """A text behind its `lead`, wrapped under its own beginning, then `rest`. At the right edge an arrow says that it
    leads somewhere."""
    indent = cell_len(lead[0])
    room = width - indent - 2  # the arrow's place is kept free, so that nothing moves when it comes
    for number, piece in enumerate(wrapped(text, room) or ("",)):
        parts = [lead if not number else (" " * indent, ""), (piece, tone)]
        if not number and targets:
            parts += [(" " * (room - cell_len(piece) + 1), ""), (ARROW, "accent")]
        yield Line(tuple(parts), targets, head=bool(targets) and not number)
    if rest[0]:
        yield from entry(rest[0], width, lead=(" " * indent, ""), tone=rest[1])


def heading(text: str, more: str = "") -> Line:
    """The name of a section, and a word on it."""
    return plain((text, "bold"), (f"  {more}" if more else "", "dim"))


BLANK = plain()
