"""What can be done about a hang, in words: the ways, their prices, the plan of one. Pure: all from RunState."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from ...core import events as ev
from ...core.model import Strategy
from ...core.state import RunState
from ..report import price_words
from ..text import seconds
from ..widgets.prose import Paragraph
from ..widgets.rows import Part
from .words import hung

MEANS = {
    Strategy.SERIAL: "new subject, tokenizes serially",
    Strategy.SPAWN: "new subject, fresh interpreters",
    Strategy.FORKSERVER: "new subject, clean fork server",
    Strategy.THREAD: "new subject, workers as threads",
    Strategy.RELEASE: "ends only the dead workers",
    Strategy.UNBLOCK: "ends the session with the lock",
}
NAME_WIDTH = 24
PRICE_WIDTH = 14
MOST_PIDS = 6


def fixable(state: RunState) -> bool:
    """Whether there is a hang now that something can be done about."""
    return hung(state) and state.finished is None


def nothing_to_fix(state: RunState) -> str:
    """Why there is nothing to fix, and what to do instead."""
    if state.finished is not None:
        if state.finished.outcome == "completed":
            return "The run is completed: there is nothing to fix. u shows what it did, r runs it again."
        resume = f" {state.finished.next_command} takes it up." if state.finished.next_command else ""
        return f"The run has ended, so there is no hang to fix.{resume}"
    if state.status == "fixing":
        return "A fix runs already: watch the phases."
    if state.attached is not None and state.stuck is not None:
        return (
            "No process of this program can be ended so that the others go on: e says what to change in it, k ends it."
        )
    if state.attached is not None:
        return "Nothing hangs here, so there is nothing to fix. d reads the stacks of the selected process."
    return (
        "Nothing hangs, so there is nothing to fix. p changes TOKENIZERS_PARALLELISM, s chooses a scenario that hangs."
    )


def offers(state: RunState) -> list[Strategy]:
    """The ways that were answered for, the recommended one first; what has nothing to end is left out."""
    known = [strategy for strategy in MEANS if strategy in state.proposals or strategy in state.refusals]
    if refused(state, Strategy.UNBLOCK) and Strategy.UNBLOCK not in state.proposals:
        known = [strategy for strategy in known if strategy is not Strategy.UNBLOCK]
    first = recommended(state)
    return sorted(known, key=lambda strategy: strategy is not first)


def recommended(state: RunState) -> Strategy | None:
    """The way to take if one has no wishes: what unblocks the run as it is, then the classic remedy."""
    known = (*state.proposals, *state.refusals)
    order = (Strategy.UNBLOCK, *MEANS)
    return next((each for each in order if each in known and not refused(state, each)), None)


def refused(state: RunState, strategy: Strategy) -> str:
    """Why a way cannot be had; empty where it can, if only with consent."""
    refusal = state.refusals.get(strategy)
    return "" if refusal is None or refusal.needs_consent else refusal.reason


def measurable(state: RunState, strategy: Strategy) -> bool:
    """Whether there is a price to measure: not where nothing is started and nothing counted."""
    return state.attached is None and strategy is not Strategy.UNBLOCK and not refused(state, strategy)


def price(proposed: ev.FixPlanned | None) -> ev.Price | None:
    """What was measured of a plan's price; without numbers where the sample came to nothing."""
    found = [price for price in proposed.prices if price.strategy is proposed.strategy] if proposed else []
    return found[-1] if found else None


def row(state: RunState, strategy: Strategy, measuring: Collection[Strategy]) -> list[Part]:
    """One way in a line: mark, name, price, what it means."""
    if refused(state, strategy):
        return [("✗ ", "bad"), (f"{strategy:<{NAME_WIDTH}}", "dim"), (f"{'refused':<{PRICE_WIDTH}}", "bad"),
                (MEANS[strategy], "dim")]  # fmt: skip
    best = strategy is recommended(state)
    name = f"{strategy} (recommended)" if best else str(strategy)
    return [
        ("★ " if best else "· ", "good" if best else "dim"),
        (f"{name:<{NAME_WIDTH}}", "bold" if best else ""),
        (f"{_short_price(state, strategy, measuring):<{PRICE_WIDTH}}", ""),
        (MEANS[strategy], ""),
    ]


def _short_price(state: RunState, strategy: Strategy, measuring: Collection[Strategy]) -> str:
    if not measurable(state, strategy):
        return "no new start"
    if strategy in measuring:
        return "measuring…"
    proposed = state.proposals.get(strategy)
    known = price(proposed)
    if known is None or proposed is None:
        return "not measured"
    if not known.chunks_per_s:
        return "no result"
    return "≈ " + seconds((known.startup_s or 0.0) + proposed.to_count / known.chunks_per_s)


def plan(state: RunState, strategy: Strategy, measuring: Collection[Strategy]) -> Iterator[Paragraph]:
    """The plan of one way in full, or why it cannot be had."""
    if reason := refused(state, strategy):
        yield Paragraph(f"{strategy} is refused here: {reason}.", "warn")
        yield Paragraph("Choose another one.")
        return
    proposed = state.proposals.get(strategy)
    if proposed is None:
        yield Paragraph(f"It needs your consent: {state.refusals[strategy].reason}.", "warn")
        return
    yield Paragraph(ended(state, proposed), "", "Ends   ")
    if total := proposed.kept + proposed.to_embed:
        yield Paragraph(f"{proposed.kept:,} of {total:,} vectors", "good", "Keeps  ")
        yield Paragraph(_anew(proposed), "", "Anew   ")
    if measurable(state, strategy):
        yield Paragraph(_price(proposed, measuring), "", "Price  ")
    for number, step in enumerate(proposed.steps, 1):
        yield Paragraph(step, "", ("Steps  " if number == 1 else "       ") + f"{number}. ")


def ended(state: RunState, proposed: ev.FixPlanned) -> str:
    """The processes that a plan ends, with their roles."""
    names = [" ".join(filter(None, (f"PID {pid}", _role(state, pid)))) for pid in proposed.ends]
    more = f" and {len(names) - MOST_PIDS} more" if len(names) > MOST_PIDS else ""
    return ", ".join(names[:MOST_PIDS]) + more if names else "no process"


def _role(state: RunState, pid: int) -> str:
    process, worker = state.processes.get(pid), state.workers.get(pid)
    return process.role if process is not None and process.role else worker.role if worker is not None else ""


def _anew(proposed: ev.FixPlanned) -> str:
    if not proposed.to_embed and not proposed.to_count:
        return "nothing"
    embed = f"embeds {proposed.to_embed:,} chunks, " if proposed.to_embed else "embeds nothing, "
    return embed + f"counts the tokens of {proposed.to_count:,}"


def _price(proposed: ev.FixPlanned, measuring: Collection[Strategy]) -> str:
    if proposed.strategy in measuring:
        return "measuring, by a short sample of this corpus on this machine…"
    known = price(proposed)
    if known is None:
        return "not measured; m measures it here"
    return price_words(known, proposed.to_count) if known.chunks_per_s else "the sample came to nothing; m tries again"


def consent(state: RunState) -> str:
    """What `unblock` ends, to be said yes to: `end database session 123`. Whose it is stands in the plan."""
    proposed = state.proposals.get(Strategy.UNBLOCK)
    ends = (
        [step.partition(";")[0].partition(" (")[0] for step in proposed.steps if step.startswith("End ")]
        if proposed
        else []
    )
    return " and ".join(end[:1].lower() + end[1:] for end in ends) or "end the session that holds the lock"
