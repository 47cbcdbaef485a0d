"""One long wait with a timer, in which nothing moves."""

from __future__ import annotations

from collections.abc import Iterator

from ...model import Certainty, Remedy, Verdict, WaitKind
from .. import facts, pace, places
from ..card import Card
from ..case import Case

CARD = Card(
    slug="timed-wait",
    title="It waits for a while: a timer will wake it",
    certainty=Certainty.NOT_HUNG,
    explanation=(
        "Nothing moves, but the wait has an end: a sleep, a lock or a queue with a timeout, a result that is awaited"
        " for so long and no longer. The kernel wakes the thread when the time has come, whatever the others do. The"
        " kernel keeps the moment in the arguments of the system call, and there it was read where that is possible."
        " A timer of setitimer or alarm cannot be seen from outside: a handler for its signal is the only sign of it."
    ),
    conditions=(
        "The root's main thread, or one that it waits for, is in a wait with a timeout and did not move between two"
        " looks; or it waits for others, and the program handles SIGALRM or another signal of a timer.",
        "It does not wait for a reply from outside of the tree.",
    ),
    fixes=(
        Remedy(title="Wait until the timer ends", cost="the time that the evidence gives, where it could be read"),
        Remedy(title="Shorten the sleep or the timeout", cost="a change of the program"),
    ),
    disproof="If the thread is in the same wait after its time is over, it began a new one: then it polls.",
    links=("https://man7.org/linux/man-pages/man2/clock_nanosleep.2.html",),
    yields_to=(
        "sleeping-with-progress",
        "idle-waiting-for-work",
        "lock-wait-holder-running",
        "busy-worker",
        "busy-native-threads",
        "waiting-for-signal",
        "waiting-for-remote",
        "slow-index-build",
        "db-lock-active-holder",
    ),
)

# Waits of a main thread that the exception of a handler can end.
_ENDED_BY_HANDLER = (WaitKind.FUTEX, WaitKind.SHARED_FUTEX, WaitKind.PIPE_READ, WaitKind.CHILD, WaitKind.SIGNAL)
_SHOWN = 3


def match(case: Case) -> Iterator[Verdict]:
    """Not hung, when a timer ends a wait that decides about the root."""
    if pace.busy_python(case, case.root) or places.may_be_circle(case):
        return
    tids = [tid for tid in pace.deciding(case) if _is_timed(case, tid)]
    if tids:
        yield CARD.verdict(
            culprits=[case.culprit(tid) for tid in tids],
            evidence=[
                line
                for tid in tids[:_SHOWN]
                for line in (
                    f"{case.who(tid)}: {case.wait(tid).text}",
                    *facts.of_stillness(case, tid),
                    *facts.of_stack(case, tid),
                )
            ],
        )
    elif alarms := _alarms(case):
        yield CARD.verdict(
            culprits=[case.culprit(case.root)],
            evidence=(
                *facts.of_wait(case, case.root),
                f"{case.who(case.root)}: handles signal {alarms}, which timers send (SigCgt in /proc/PID/status)",
                *facts.of_stack(case, case.root),
            ),
        )


def _is_timed(case: Case, tid: int) -> bool:
    wait = case.wait(tid)
    unseen = bool(wait.external) and wait.kind is not WaitKind.SIGNAL
    return wait.timed and not unseen and not case.moved(tid) and not pace.is_remote(case, tid)


def _alarms(case: Case) -> str:
    """The signals of timers that the root handles, where such a handler could end what its main thread waits for."""
    wait = case.wait(case.root)
    if case.root not in case.processes or wait.kind not in _ENDED_BY_HANDLER or case.moved(case.root):
        return ""
    if wait.external and wait.kind is not WaitKind.SIGNAL:
        return ""
    found = pace.caught_signals(case, case.root) & pace.ALARMS
    return ", ".join(map(str, sorted(found))) if case.liveness(case.root).live else ""
