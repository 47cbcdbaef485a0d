"""A document of a run, and one that had to be left out."""

from __future__ import annotations

import msgspec


class Document(msgspec.Struct, frozen=True):
    """A CV: where it comes from (unique in its corpus) and its text, as it stands in the file."""

    source: str
    text: str


class Skipped(msgspec.Struct, frozen=True):
    """What could not be read, and why, in words for a person."""

    source: str
    reason: str
