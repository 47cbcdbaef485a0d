"""What the main screen says in a few words: how a run stands, and what each phase waits for. Pure; it draws nothing."""

from __future__ import annotations

from typing import NamedTuple

from ...core import events as ev
from ...core.model import HANGS, Certainty, Phase
from ...core.phases import PhaseState
from ...core.state import RunState
from ..text import clean, rate, seconds

# A running phase that has not moved for this long is said to make no progress.
STILL_S = 1.0
# By status, of a run and of a phase: a symbol, and the tone in which it is said.
STATUS: dict[str, tuple[str, str]] = {
    "starting": ("…", "dim"), "running": ("▶", "accent"), "stuck": ("‖", "bad"), "proven deadlock": ("✗", "bad"),
    "fixing": ("↻", "warn"), "completed": ("✓", "good"), "failed": ("✗", "bad"),
}  # fmt: skip
PHASE: dict[str, tuple[str, str]] = {
    "waiting": ("·", "dim"), "running": ("▶", "accent"), "done": ("✓", "good"), "kept": ("✓", "good"),
    "failed": ("✗", "bad"),
}  # fmt: skip
HUNG = ("stuck", "proven deadlock")
# The phase that people suspect when a pipeline hangs before its database has any rows.
_SUSPECT = Phase.STORE
# The usual width of done/total, so that the columns behind it stand still while numbers grow.
_AMOUNT = 11


class PhaseWords(NamedTuple):
    """One phase in words, its `amount` as wide as those of the others.

    `note` is a sentence in its `note_tone`; it takes the place of rate, time and detail.
    """

    symbol: str
    tone: str
    name: str
    part: float  # 0 to 1
    amount: str
    rate: str = ""
    time: str = ""
    detail: str = ""
    note: str = ""
    note_tone: str = ""


def hung(state: RunState) -> bool:
    """Whether it is said to hang now."""
    return state.status in HUNG


def culprit_verdict(state: RunState) -> ev.VerdictReached | None:
    """The verdict that names the hang: of those with the greatest certainty the newest."""
    found = [verdict for verdict in state.verdicts.values() if verdict.hangs]
    return min(reversed(found), key=lambda verdict: HANGS.index(Certainty(verdict.certainty)), default=None)


def stuck_phase(state: RunState) -> Phase | None:
    """The phase that really is stuck."""
    if not hung(state):
        return None
    return (state.stuck.phase if state.stuck else None) or state.phase


def phase_words(state: RunState, now: float) -> list[PhaseWords]:
    """A row for each phase; `now` in seconds since the epoch."""
    stuck = stuck_phase(state)
    rows, below = [], False
    for phase, current in state.phases.items():
        if phase is stuck:
            rows.append(_stuck(phase, current, state))
        elif below and stuck is not None and current.status in ("waiting", "running"):
            rows.append(_blocked(phase, current, stuck))
        else:
            rows.append(_usual(phase, current, state, now))
        below = below or phase is stuck
    width = max(_AMOUNT, *(len(row.amount) for row in rows))
    return [row._replace(amount=row.amount.rjust(width)) for row in rows]


def _stuck(phase: Phase, current: PhaseState, state: RunState) -> PhaseWords:
    verdict = culprit_verdict(state)
    title = clean(verdict.title) if verdict else "nothing in the tree moves any more"
    return PhaseWords("✗", "bad", phase, _part(current), amount(current), note=f"stuck here: {title}", note_tone="bad")


def _blocked(phase: Phase, current: PhaseState, stuck: Phase) -> PhaseWords:
    suspect = ", not the cause" if phase is _SUSPECT else ""
    tone = "bold" if suspect else "dim"
    return PhaseWords(
        "○", "dim", phase, _part(current), amount(current), note=f"waits for {stuck}{suspect}", note_tone=tone
    )


def _usual(phase: Phase, current: PhaseState, state: RunState, now: float) -> PhaseWords:
    is_over = current.status == "running" and state.finished is not None
    symbol, tone = PHASE["failed" if is_over else current.status]
    still_s = now - current.moved_at
    note = note_tone = ""
    if current.status == "failed":
        note, note_tone = "failed: " + clean(state.failure.what if state.failure else "the verdict says why"), "bad"
    elif is_over:
        note, note_tone = "the run ended here", "bad"
    elif current.status == "running" and still_s > STILL_S:
        note, note_tone = f"no progress for {seconds(still_s)}", "warn"
    elif current.status == "kept":
        note, note_tone = "kept: an earlier attempt did it", "dim"
    return PhaseWords(
        symbol, tone, phase, _part(current), amount(current), rate(current.rate) if current.rate else "",
        _time(current, now, is_over=is_over), clean(current.detail), note, note_tone,
    )  # fmt: skip


def _part(current: PhaseState) -> float:
    if current.status in ("done", "kept"):
        return 1.0
    return current.done / current.total if current.total else 0.0


def amount(current: PhaseState) -> str:
    """Done of total, as far as that is known."""
    if current.status == "waiting":
        return ""
    return f"{current.done:,}/{current.total:,}" if current.total else f"{current.done:,}"


def _time(current: PhaseState, now: float, *, is_over: bool) -> str:
    if not current.started_at:
        return ""
    if current.eta_s is not None and not is_over:
        return f"{seconds(current.eta_s)} left"
    return seconds(current.elapsed_s(now))
