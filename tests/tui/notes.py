"""The notes in the corner of the screen, as a person reads them: their lines put together again."""

from __future__ import annotations

from .stage import Stage


def notes(show: Stage) -> str:
    """What the notes in sight say, the words one space apart."""
    shown = [line.rpartition("▌")[2].strip(" │▄▂▁▅▇") for line in show.lines if "▌" in line]
    return " ".join(" ".join(shown).split())
