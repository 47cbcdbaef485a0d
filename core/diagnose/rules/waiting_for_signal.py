"""The main thread waits until somebody sends a signal."""

from __future__ import annotations

from collections.abc import Iterator
from signal import Signals

from ...model import Certainty, Remedy, Verdict, WaitKind
from .. import facts, launchers, pace
from ..card import Card
from ..case import Case

CARD = Card(
    slug="waiting-for-signal",
    title="It waits for a signal, which anybody may send",
    certainty=Certainty.NOT_HUNG,
    explanation=(
        "The main thread has nothing to do until a signal comes: it waits in pause or sigwait, or for an event that a"
        " handler of a signal sets. Services do that while others, threads or processes, do the work, and a"
        " supervisor, a service manager or a person sends the signal. From outside it looks like a wait for a lock"
        " that nobody releases; that handlers are installed is the difference."
    ),
    conditions=(
        "The root's main thread, or that of a process that it waits for, is in a system call that waits for signals; or"
        " it waits for an event, and its process has a handler for a signal other than Ctrl-C, those of faults, and"
        " those of timers; or it waits for an event that only Ctrl-C can end, and a process that it started lives.",
        "It did not move between two looks, and nobody whom it waits for computes.",
    ),
    fixes=(
        Remedy(
            title="Send the signal that it waits for",
            cost="whatever its handler does; the evidence names the signals that have one",
            command="kill -TERM PID",
        ),
    ),
    disproof="If the handler neither sets what is waited for nor raises, a signal changes nothing, and it may hang.",
    links=("https://docs.python.org/3/library/signal.html", "https://man7.org/linux/man-pages/man7/signal.7.html"),
    yields_to=("busy-worker", "busy-native-threads", "lock-wait-holder-running"),
)

_LOOPS = (WaitKind.EPOLL, WaitKind.POLL, WaitKind.SELECT)
_SHOWN = 3
_NAMES = {int(number): number.name for number in Signals}


def match(case: Case) -> Iterator[Verdict]:
    """Not hung, when a signal ends the wait of the root's main thread, or of that of a process that it waits for."""
    if case.root not in case.processes or pace.busy_python(case, case.root):
        return
    for tid in case.awaited:
        if tid in case.processes and tid in case.closure.threads and not case.moved(tid) and _waits(case, tid):
            handled = pace.caught_signals(case, tid)
            yield CARD.verdict(
                culprits=[case.culprit(tid)],
                evidence=(
                    *facts.of_wait(case, tid),
                    *_handlers(case, tid, handled),
                    *_at_work(case, tid),
                    *facts.of_stack(case, tid),
                ),
            )


def _waits(case: Case, tid: int) -> bool:
    handled = pace.caught_signals(case, tid)
    if case.wait(tid).kind is WaitKind.SIGNAL:
        return not (handled and handled <= pace.ALARMS)
    return (bool(handled - pace.ALARMS) and _is_released(case, tid)) or _waits_for_ctrl_c(case, tid)


def _waits_for_ctrl_c(case: Case, tid: int) -> bool:
    """Whether it only keeps its process, while what it started works. A loop may wait for a task that is lost."""
    return launchers.waits_for_event(case, tid) and bool(launchers.at_work(case, tid))


def _is_released(case: Case, tid: int) -> bool:
    """Whether a handler may end the wait, because it is one for an event. A handler rarely releases a lock."""
    wait = case.wait(tid)
    if not case.liveness(tid).live or wait.timed or wait.external:
        return False
    if wait.kind in _LOOPS:  # an event loop with nothing but its own wake-up descriptor
        return set(wait.pids) <= {tid}
    return wait.kind in (WaitKind.FUTEX, WaitKind.SHARED_FUTEX) and launchers.waits_for_event(case, tid)


def _at_work(case: Case, tid: int) -> tuple[str, ...]:
    pids = launchers.at_work(case, tid)[:_SHOWN]
    return tuple(f"{case.who(tid)}: only Ctrl-C ends its wait; PID {pid}, which it started, lives" for pid in pids)


def _handlers(case: Case, tid: int, handled: frozenset[int]) -> tuple[str, ...]:
    if not handled:
        return ()
    names = ", ".join(_NAMES.get(number, str(number)) for number in sorted(handled))
    return (f"{case.who(tid)}: has handlers for {names} (SigCgt in /proc/{tid}/status)",)
