"""A process that a signal or a debugger has stopped."""

from __future__ import annotations

from collections.abc import Iterator

from ...model import Certainty, Remedy, ThreadSnapshot, Verdict
from .. import facts
from ..card import Card
from ..case import Case

CARD = Card(
    slug="process-stopped",
    title="A process is stopped",
    certainty=Certainty.CERTAIN,
    explanation=(
        "A stopped process runs nothing until somebody sends it SIGCONT, or until its debugger lets it go. Ctrl-Z sends"
        " SIGTSTP; a program that was started in the background and reads the terminal gets SIGTTIN, one that writes to"
        " it may get SIGTTOU; a debugger or a tracer stops it too. Whoever waits for its result, its locks or its end"
        " waits as long as it stands still. Nothing is lost: it goes on where it was."
    ),
    conditions=("A thread is in state T (stopped) or t (traced) in both looks, and ran at no time between them.",),
    fixes=(
        Remedy(
            title="Let it go on",
            cost="a background job that reads the terminal stops again at once: bring it to the front with fg first",
            command="kill -CONT PID",
        ),
        Remedy(title="Detach the debugger", cost="ends the debugging session", command="(gdb) detach"),
    ),
    disproof="State S or R in /proc/PID/status.",
)

_STOPPED, _TRACED = "T", "t"
# A program may stop and continue its own helpers; those stand still for less.
_BRIEF_S = 0.25


def match(case: Case) -> Iterator[Verdict]:
    """Certain for each process of which a thread stands still."""
    for process in case.second.processes:
        if process.frozen:
            continue
        held = next((thread for thread in process.threads if _stands(case, thread)), None)
        if held is not None:
            aid = [Remedy(title="Let it go on", cost="none", command=f"kill -CONT {process.pid}")]
            yield CARD.verdict(
                culprits=[case.culprit(held.tid)],
                evidence=_evidence(case, held),
                first_aid=() if held.state == _TRACED else aid,
            )


def _stands(case: Case, thread: ThreadSnapshot) -> bool:
    if thread.state not in (_STOPPED, _TRACED) or case.moved(thread.tid):
        return False
    held = case.surroundings.held.get(thread.tid)
    return held is not None and (held.for_s is None or held.for_s >= _BRIEF_S)


def _evidence(case: Case, thread: ThreadSnapshot) -> Iterator[str]:
    name, held = case.who(thread.tid), case.surroundings.held[thread.tid]
    how = "stopped by a signal" if thread.state == _STOPPED else "held by a debugger"
    yield f"{name}: state {thread.state} ({how}) in both looks (/proc/PID/status)"
    if held.tracer:
        yield f"{name}: TracerPid {held.tracer} ({held.tracer_name or 'gone'}) in /proc/PID/status"
    if held.for_s is not None:
        yield f"{name}: it ran last {held.for_s:.1f} s ago (se.exec_start in /proc/PID/sched)"
    yield from facts.of_stillness(case, thread.tid)
    if thread.tid in case.awaited and thread.tid != case.root:
        yield f"{case.who(case.root)}: waits for it, directly or through others"
    yield from facts.of_stack(case, thread.tid)
