"""The lines of the Log panel: what the subject printed, and what was said of the run, oldest first."""

from __future__ import annotations

from collections import deque
from typing import Literal, NamedTuple

from ..core import events as ev

MAX_LINES = 10_000

Tone = Literal["output", "info", "warning", "bad", "good"]


class LogLine(NamedTuple):
    """One line, not yet cleaned of control characters; `at` is in seconds since the epoch."""

    at: float
    tone: Tone
    text: str


class LogBook:
    """`lines` are the newest; `total` counts all that ever came, so that a view knows what is new."""

    def __init__(self) -> None:
        self.lines: deque[LogLine] = deque(maxlen=MAX_LINES)
        self.total = 0

    def take(self, event: ev.Event) -> None:
        """Notes what the event says in words, if anything."""
        if isinstance(event, ev.Log):
            tone: Tone = "output" if event.origin == "output" else "warning" if event.level == "warning" else "info"
            for text in event.text.splitlines():
                self._add(event.at, tone, text)

    def _add(self, at: float, tone: Tone, text: str) -> None:
        self.lines.append(LogLine(at, tone, text))
        self.total += 1
