"""The Phases panel: a row for each phase, in which the one that seems stuck is told from the one that really is.

A tree that is followed has no phases: then the panel sums the tree up.
"""

from __future__ import annotations

from collections.abc import Iterable

from ...core.state import RunState
from ..drawing.words import PhaseWords, culprit_verdict, phase_words
from ..scene import Scene
from ..text import clean, seconds, shortened, size
from .blocks import bar
from .drawn import Drawn
from .rows import Part

# The widths of the columns.
NAME, RATE, TIME = 9, 8, 12
# A panel narrower than this leaves the rate out, so that the time stays whole.
WITH_RATE = 66


class Phases(Drawn[PhaseWords | list[Part]]):
    """A row for each phase; of a tree that is followed, lines that sum it up."""

    BORDER_TITLE = "Phases"
    HELP = (
        "How far each phase of the run is, how fast, and how long it still takes. At a hang: the phase that is stuck,"
        " and those that only wait for it. Of a tree that is followed, what there is in all."
    )

    def show(self, scene: Scene) -> None:
        """Shows what there is now."""
        state = scene.state
        title = "Summary" if scene.followed else "Phases"
        if self.border_title != title:
            self.border_title = title
        self.show_rows(summary(state, scene.now) if scene.followed else phase_words(state, scene.now))

    def draw(self, row: PhaseWords | list[Part], width: int) -> Iterable[Part]:
        return _phase(row, width) if isinstance(row, PhaseWords) else row


def _phase(row: PhaseWords, width: int) -> Iterable[Part]:
    length = min(max(width // 12, 8), 20)
    filled, rest = bar(row.part, length)
    yield f"{row.symbol} {row.name:<{NAME}}", row.tone
    yield filled, row.tone
    yield rest, "dim"
    yield f" {row.amount}  ", ""
    room = width - 2 - NAME - length - 1 - len(row.amount) - 2
    if row.note:
        yield shortened(row.note, max(1, room)), row.note_tone
        return
    numbers = f"{row.rate:>{RATE}}  " if width >= WITH_RATE else ""
    numbers += f"{row.time:>{TIME}}  "
    yield numbers, ""
    yield shortened(row.detail, max(1, room - len(numbers))), "dim"


def summary(state: RunState, now: float) -> list[PhaseWords | list[Part]]:
    """A tree that is followed, in a few lines."""
    if state.attached is None:
        return [[("What there is of processes, threads, CPU and memory stands here after the first look.", "dim")]]
    processes, threads = state.processes.values(), state.threads.values()
    dead = sum(process.dead for process in processes)
    counts = {status: sum(thread.status == status for thread in threads) for status in ("dead", "runs", "waits")}
    rss_bytes = sum(process.rss_bytes for process in processes)
    return [
        [("command    ", "dim"), (clean(" ".join(state.attached.command)), "bold")],
        [("processes  ", "dim"), (f"{len(processes):>5,}   ", "bold"), _count("✗", dead, "dead", "bad")],
        [
            ("threads    ", "dim"),
            (f"{len(threads):>5,}   ", "bold"),
            _count("✗", counts["dead"], "dead", "bad"),
            _count("▶", counts["runs"], "running", "good"),
            _count("○", counts["waits"], "waiting", ""),
        ],
        [("CPU        ", "dim"), (f"{sum(process.cpu for process in processes):>5.2f}   cores", "")],
        [("memory     ", "dim"), (f"{size(rss_bytes)} resident, all together", "")],
        [("followed   ", "dim"), (seconds(now - state.started_at), "")],
        [("verdict    ", "dim"), _verdict(state)],
    ]


def _verdict(state: RunState) -> Part:
    """What is said of it, a hang first."""
    if verdict := culprit_verdict(state):
        return f"✗ {verdict.certainty}: {clean(verdict.title)}", "bad"
    said = next(iter(state.verdicts.values()), None)
    return (f"{said.certainty}: {clean(said.title)}", "") if said else ("none so far", "dim")


def _count(symbol: str, number: int, word: str, tone: str) -> Part:
    return f"{symbol if number else '·'} {number:,} {word}   ", tone if number else "dim"
