"""A thread waits for a lock whose holder runs, or sleeps with a timer."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from ...model import Certainty, Remedy, Verdict, WaitKind
from .. import facts, pace, places
from ..card import Card
from ..case import Case

CARD = Card(
    slug="lock-wait-holder-running",
    title="It waits for a lock, and whoever may hold it goes on",
    certainty=Certainty.NOT_HUNG,
    explanation=(
        "The thread waits to take a lock. A lock does not say who holds it, but only those who share it can: other"
        " threads of the process, or for a lock of multiprocessing other processes that map the same semaphore. One of"
        " these computes, or sleeps until a timer wakes it, and so can release the lock in its own time. That is no"
        " deadlock, but work that one after the other has to do: a lock that is held during slow work makes everybody"
        " else as slow."
    ),
    conditions=(
        "A thread that the root's main thread is, or waits for, takes a lock, and stays in that wait in two looks.",
        "Somebody who shares the lock computes, takes steps, or sleeps with a timer.",
        "No other thread of the process waits for another lock: that could be a circle.",
    ),
    fixes=(
        Remedy(title="Hold the lock for less: do the slow work before or after", cost="a change of the program"),
        Remedy(
            title="Take the lock with a timeout and say so when it fails",
            cost="a change of the program",
            command="lock.acquire(timeout=...)",
        ),
    ),
    disproof="If the busy or sleeping one does not hold the lock, or never comes to its release, the wait has no end.",
    links=("https://docs.python.org/3/library/threading.html#lock-objects",),
)

_SHOWN = 3


def match(case: Case) -> Iterator[Verdict]:
    """Not hung, for each lock that is waited for where a possible holder lives by itself."""
    if case.root not in case.processes:
        return
    locks = _Locks(case)
    for tid in case.awaited:
        if tid not in case.closure.threads or case.moved(tid):
            continue
        holders = _holders(case, tid, locks)
        if holders:
            yield CARD.verdict(
                culprits=[case.culprit(holder) for holder in holders],
                evidence=(
                    f"{case.who(tid)}: {case.wait(tid).text}",
                    *facts.of_stack(case, tid),
                    *(line for holder in holders[:_SHOWN] for line in _evidence(case, holder)),
                ),
            )


class _Locks:
    """What is asked of a process once, however many of its threads wait."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self.wanted = cache(self._wanted)
        self.active = cache(self._active)

    def _wanted(self, pid: int) -> frozenset[int]:
        """The addresses of the locks that its threads wait for."""
        tids = [thread.tid for thread in self._case.threads(pid)]
        return frozenset(self._case.wait(tid).address for tid in tids if places.takes_lock(self._case, tid))

    def _active(self, pid: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Its threads that are busy, and those that go on by themselves."""
        case = self._case
        tids = [each.tid for each in case.threads(pid) if each.tid not in case.idle or case.held.get(each.tid)]
        return tuple(t for t in tids if pace.is_busy(case, t)), tuple(t for t in tids if _goes_on(case, t))


def _holders(case: Case, tid: int, locks: _Locks) -> tuple[int, ...]:
    """The threads that may hold the lock and go on by themselves, the busy ones alone where there are some."""
    pid = case.owner(tid)
    if places.takes_lock(case, tid):
        if locks.wanted(pid) - {case.wait(tid).address}:
            return ()
        where: tuple[int, ...] = (pid,)
    elif pace.takes_shared_lock(case, tid):
        where = tuple(other for other in case.wait(tid).pids if other != pid)
    else:
        return ()
    busy = tuple(other for each in where for other in locks.active(each)[0] if other != tid)
    if not busy and tid == case.root and pace.caught_signals(case, tid) & pace.ALARMS:
        return ()  # a timer is the likelier end of its wait than somebody who sleeps
    return busy or tuple(other for each in where for other in locks.active(each)[1] if other != tid)


def _goes_on(case: Case, tid: int) -> bool:
    """Whether a thread of Python takes steps, or sleeps with a timer. Native helpers hold no lock of the program."""
    if not case.python_frames(tid) or pace.is_remote(case, tid):
        return False
    wait = case.wait(tid)
    return pace.steps(case, tid) or (wait.timed and not wait.external and wait.kind is not WaitKind.SIGNAL)


def _evidence(case: Case, tid: int) -> Iterator[str]:
    yield f"{case.who(tid)}: may hold the lock, and {case.wait(tid).text}"
    yield from facts.of_cpu(case, tid)
    yield from facts.of_stack(case, tid)
