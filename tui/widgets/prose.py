"""Paragraphs of plain text, wrapped at the width that there is. Texts are never parsed as markup."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from textual import events

from ..text import clean
from .rows import Lines, Part


class Paragraph(NamedTuple):
    """A text with a label before it, below which its further lines do not begin."""

    text: str
    tone: str = ""
    label: str = ""


class Prose(Lines):
    """Scrolls with the arrow keys; Enter is passed on to whoever owns it, as `Chosen`."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes, cursor=False)
        self._paragraphs: Sequence[Paragraph] = ()

    def say(self, paragraphs: Sequence[Paragraph]) -> None:
        """These there are now."""
        if paragraphs != self._paragraphs:
            self._paragraphs = paragraphs
            self._wrap()

    def on_resize(self, event: events.Resize) -> None:
        self._wrap()

    def action_choose(self) -> None:
        self.post_message(self.Chosen(self, None))

    def _wrap(self) -> None:
        if self.size:
            self.show_lines([line for paragraph in self._paragraphs for line in wrapped(paragraph, self.text_width)])


def wrapped(paragraph: Paragraph, width: int) -> Iterator[list[Part]]:
    """The lines of a paragraph, each at most `width` characters long; one empty line for an empty text."""
    room = max(10, width - len(paragraph.label))
    for number, text in enumerate(textwrap.wrap(clean(paragraph.text), room, break_on_hyphens=False) or [""]):
        before = paragraph.label if number == 0 else " " * len(paragraph.label)
        yield [(before, "dim"), (text, paragraph.tone)]
