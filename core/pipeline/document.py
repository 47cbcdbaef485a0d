"""A document of a run, and one that had to be left out."""

from __future__ import annotations

from typing import Literal

import msgspec

Kind = Literal["without text", "encrypted", "broken", "too large", "of another type", "unreadable", "too slow", "twice"]
"""Why a document is left out, in the words in which they are counted: "3 encrypted"."""


class Document(msgspec.Struct, frozen=True):
    """A CV: where it comes from (unique in its corpus) and its text.

    Text files stand as they are; what was taken from a PDF or Word document is in NFC. `encoding` is what the bytes of
    a text file seemed to be in, where that had to be guessed.
    """

    source: str
    text: str
    encoding: str = ""


class Skipped(msgspec.Struct, frozen=True):
    """What could not be read, and why, in words for a person."""

    source: str
    reason: str
    kind: Kind = "unreadable"


class Unusable(Exception):
    """Why one document cannot be used; only that one."""

    def __init__(self, kind: Kind, reason: str) -> None:
        super().__init__(reason)
        self.kind: Kind = kind
