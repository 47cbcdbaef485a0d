"""What a run came to: after a fix before and after side by side, else in a few lines. Pure: all from RunState."""

from __future__ import annotations

from collections.abc import Iterator

from ...core import events as ev
from ...core.errors import sentences
from ...core.model import Phase, Strategy
from ...core.phases import PhaseState
from ...core.state import RunState
from ..report import summary
from ..text import clean, seconds
from ..widgets.prose import Paragraph

LABEL = 12
BEFORE = 26


def headline(hung: RunState | None, state: RunState) -> Paragraph:
    """How it ended, in a sentence. `hung` is the run as it was when the fix began, None where there was no fix."""
    end = state.finished
    if end is None:
        return Paragraph("The run goes on.")
    if end.outcome == "completed":
        if hung and state.fix_started:
            how = f"fixed by {state.fix_started.strategy}, completed {seconds(fix_s(state))} after the fix began"
        else:
            how = f"completed in {seconds(end.elapsed_s)}"
        return Paragraph(f"✓ {how}", "good")
    word = "✗ the fix did not help: " if hung else f"✗ {end.outcome}: "
    return Paragraph(word + sentences(end.what, end.hint), "bad")


def fix_s(state: RunState) -> float:
    """Seconds from the beginning of the fix to the end of the run."""
    return max(0.0, state.ended_at - state.fix_started.at) if state.fix_started else 0.0


def summary_lines(hung: RunState | None, state: RunState) -> list[Paragraph]:
    """The whole summary. `hung` as in `headline`."""
    lines = [headline(hung, state), Paragraph("")]
    if state.attached is None:
        lines += _both(hung, state) if hung is not None else _plain(state)
    elif hung is not None:
        lines += [_row("", "when it hung", "now", "bold"), _row("processes", _dead(hung, state), _after(state))]
    if state.finished is not None and state.finished.next_command:
        lines += [Paragraph(""), Paragraph(state.finished.next_command, "accent", "next  ")]
    return lines


def _plain(state: RunState) -> Iterator[Paragraph]:
    """The words of the plain front end."""
    for line in summary(state):
        yield Paragraph(str(getattr(line, "renderable", line)))


def _both(hung: RunState, state: RunState) -> Iterator[Paragraph]:
    yield _row("", "when it hung", "now", "bold")
    yield _row("embeddings", _share(hung.phases[Phase.EMBED]), _vectors(state))
    yield _row("stored", _share(hung.phases[Phase.STORE]), _stored(state))
    yield _row("index", _index(hung), _index(state))
    yield _row("processes", _dead(hung, state), "✓ ended, none left" if state.finished else "▶ the run goes on")
    if hung.parallelism != state.parallelism or hung.start_method != state.start_method:
        yield _row("started", _how(hung), _how(state))
    if state.verified is not None:
        yield _row("verified", "never", f"✓ {state.verified.rows:,} rows, {state.verified.tokens:,} tokens")
        yield _row("recall@10", "", _recall(state.verified))


def _after(state: RunState) -> str:
    """What there is of a tree after a fix."""
    dead = sum(process.dead for process in state.processes.values())
    if not state.processes:
        return "ended, none left"
    return f"✗ {dead} dead" if dead else f"✓ {len(state.processes)} live, none dead"


def _row(label: str, before: str, now: str, tone: str = "") -> Paragraph:
    return Paragraph(now, tone, f"{label:<{LABEL}}{clean(before):<{BEFORE}} ")


def _share(phase: PhaseState) -> str:
    """Done of what there is to do, in percent and in full."""
    if not phase.total:
        return f"{phase.done:,}" if phase.done else "0 %"
    return f"{100 * phase.done // phase.total} % ({phase.done:,} of {phase.total:,})"


def _vectors(state: RunState) -> str:
    return f"{state.vectors_kept:,} kept, {state.vectors_computed:,} computed anew"


def _stored(state: RunState) -> str:
    if state.verified is not None:
        return f"✓ {state.verified.rows:,} rows in {state.verified.table}"
    return _share(state.phases[Phase.STORE])


def _index(state: RunState) -> str:
    if state.phases[Phase.INDEX].status not in ("done", "kept"):
        return "none"
    if state.index is not None and state.index.kind == "none":
        return "none, as was wished"
    what = f"{state.index.kind}, {state.index.metric}" if state.index is not None else "built"
    return f"✓ valid ({what})" if state.verified is not None and state.finished else what


def _dead(hung: RunState, state: RunState) -> str:
    dead = len(hung.stuck.dead) if hung.stuck else 0
    still_s = (state.fix_started.at if state.fix_started else hung.moved_at) - hung.moved_at
    stood = f"for {seconds(max(0.0, still_s))}"
    if state.fix_started is not None and state.fix_started.strategy is Strategy.UNBLOCK:
        return f"○ waiting {stood}"
    return f"✗ {dead} dead {stood}" if dead else f"○ still {stood}"


def _how(state: RunState) -> str:
    return f"parallelism {state.parallelism}, {state.start_method}"


def _recall(found: ev.Verified) -> str:
    if not found.recalls:
        return "not measured: no index"
    return ", ".join(f"{r.recall:.3f} at {r.value}" for r in found.recalls) + f" ({found.recalls[0].setting})"
