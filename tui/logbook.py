"""The lines of the Log panel: what the subject printed, and what was said of the run, oldest first.

It keeps only so much of a line as can be shown. Sentences are those of `report` and `plain`, which are loaded only when
there is something to say: the first frame does not wait for them.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from typing import Literal, NamedTuple

from ..core import events as ev
from ..core.exits import ended
from ..core.model import Certainty
from ..core.state import RunState

MAX_LINES = 10_000
# Characters of a line that are kept, and so many of it that are looked at to find them.
MAX_CHARS = 2_000
_LOOKED_AT = 16_000

Tone = Literal["output", "info", "warning", "bad", "good"]

# What a program sends to colour its words or to move the cursor: of no use in a list of lines. ECMA-48, 5.4 and 5.6.
_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI
    r"|\x9b[0-?]*[ -/]*[@-~]"
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"  # OSC
    r"|\x1b[ -/]*[0-Z\\^_`-~]"
)


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

    @property
    def first(self) -> int:
        """The number of the oldest line that is kept, counted from the first that ever came."""
        return self.total - len(self.lines)

    def take(self, event: ev.Event, state: RunState) -> None:
        """Notes what the event says in words, if anything. `state` is the fold up to and including it."""
        for tone, text in said(event, state):
            self.lines.append(LogLine(event.at, tone, text))
            self.total += 1


def said(event: ev.Event, state: RunState) -> Iterator[tuple[Tone, str]]:
    """An event in lines, each with its tone."""
    match event:
        case ev.Log():
            tone: Tone = "output" if event.origin == "output" else "warning" if event.level == "warning" else "info"
            for text in event.text.removesuffix("\n").split("\n"):
                yield tone, printed(text)
        case ev.PhaseStarted() | ev.PhaseFinished():
            from .plain import phase_line

            text = " ".join(phase_line(event.phase, state.phases[event.phase], event.at).plain.split())
            yield ("good" if isinstance(event, ev.PhaseFinished) else "info"), printed(text)
        case ev.WorkerEnded():
            yield ("warning" if event.exit_code else "info"), f"{event.role} (PID {event.pid}) {ended(event.exit_code)}"
        case ev.Held():
            yield "info", f"It is left as it is, to be looked at: PIDs {', '.join(map(str, event.pids))}"
        case ev.FixStarted():
            yield "info", f"The fix begins: {event.strategy}"
        case ev.Signalled():
            trouble = f" was not sent to PID {event.pid}: {event.trouble}" if event.trouble else ""
            tone = "warning" if trouble else "info"
            yield tone, printed(f"{event.signal}{trouble or f' sent to PID {event.pid}'}")
        case ev.VerdictWithdrawn():
            if _was_hang(event.slug, state):  # that something is no hang any more is said by what comes instead
                yield "info", f"No longer true: {printed(event.slug)}"
        case ev.Unstuck():
            yield "good", "It moves again."
        case _:
            yield from ((_tone(event), printed(text)) for text in _reported(event, state))


def _was_hang(slug: str, state: RunState) -> bool:
    verdict = state.withdrawn.get(slug)
    return verdict is None or verdict.certainty is not Certainty.NOT_HUNG


def printed(text: str) -> str:
    """What a line looked like in the end: the last state of a progress bar, no escape sequences, not too long."""
    seen = text.rstrip("\r")
    size = len(seen)
    if "\r" in seen:
        seen = seen.rpartition("\r")[2]
        size = len(seen)
    seen = seen[:_LOOKED_AT]
    if "\x1b" in seen or "\x9b" in seen:
        whole = len(seen)
        seen = _ESCAPES.sub("", seen)
        size -= whole - len(seen)
    return seen if size <= MAX_CHARS else f"{seen[:MAX_CHARS]}… and {size - len(seen[:MAX_CHARS]):,} characters more"


def _reported(event: ev.Event, state: RunState) -> Iterator[str]:
    """The sentences of the plain report, where they are worth a line of the log."""
    told = (ev.SubjectStarted, ev.FileSkipped, ev.IndexChosen, ev.Stuck, ev.FixRefused, ev.VerdictReached,
            ev.RunFinished)  # fmt: skip
    if not isinstance(event, told) or getattr(event, "proposed", False):
        return
    from rich.text import Text

    from . import report

    lines = [report.headline(event)] if isinstance(event, ev.VerdictReached) else report.lines(event, state)
    for line in lines:
        if isinstance(line, Text):
            yield line.plain.strip()


def _tone(event: ev.Event) -> Tone:
    match event:
        case ev.VerdictReached():
            return "bad" if event.hangs else "info"
        case ev.Stuck():
            return "bad"
        case ev.RunFinished():
            return "good" if event.outcome == "completed" else "warning" if event.outcome == "interrupted" else "bad"
        case ev.FileSkipped() | ev.FixRefused():
            return "warning"
    return "info"
