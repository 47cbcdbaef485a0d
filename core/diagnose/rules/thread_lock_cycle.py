"""Threads of one process hold locks that others of them wait for."""

from __future__ import annotations

from collections.abc import Iterator

from ...model import Certainty, Remedy, Verdict
from .. import places
from ..card import Card
from ..case import Case

CARD = Card(
    slug="thread-lock-cycle",
    title="Threads of one process wait for locks that they hold themselves",
    certainty=Certainty.PROVEN,
    explanation=(
        "Each of these threads waits to take a lock, and the threads that could release the locks wait as well. Mostly"
        " one thread has lock A and wants B while another has B and wants A. A lock that a thread takes"
        " a second time, or a thread that is joined by the holder of the lock it wants, closes the same circle. It"
        " needs the threads to meet at the wrong moment, so it comes and goes with the load."
    ),
    conditions=(
        "Every thread of the process waits without a timeout in two looks, so that none is left to release a lock.",
        "Two of them or more wait to take different locks, or one that waits to take a lock stands within a `with`"
        " of a lock, or another one does, so that it holds one.",
        "Where only a thread lives that sleeps in a loop and calls nothing that could release a lock, and the source"
        " shows that the waiting threads hold locks, it is likely instead of proven: a lock may be released by any"
        " thread, and who holds it cannot be read from outside. The same holds where the program handles a signal"
        " that asks it to end, and its main thread is not in the circle.",
    ),
    fixes=(
        Remedy(
            title="Take the locks in one order everywhere",
            cost="every place that takes more than one of them has to be found",
        ),
        Remedy(title="Use one lock instead of several", cost="threads wait for each other more often"),
        Remedy(
            title="Give up after a while",
            cost="the program must know what to do without the lock",
            command="lock.acquire(timeout=10)",
        ),
        Remedy(
            title="Use RLock where a thread takes the same lock twice",
            cost="it hides that the lock is held longer than it seems",
            command="threading.RLock()",
        ),
    ),
    disproof="A context switch of one of these threads, or a further thread in /proc/PID/task, would disprove it.",
    links=("https://docs.python.org/3/library/threading.html#lock-objects",),
    beside_idlers=True,
    beside_handlers=True,
)


def match(case: Case) -> Iterator[Verdict]:
    """Proven for each dead process whose threads take locks in a circle."""
    for pid in case.dead_processes:
        tids = places.dead_threads(case, pid)
        takers = [tid for tid in tids if places.takes_lock(case, tid)]
        holders = [tid for tid in tids if case.held.get(tid)]
        if takers and _is_circle(case, pid, takers, holders):
            shown = list(dict.fromkeys((*takers, *holders)))
            yield CARD.verdict(
                culprits=[case.culprit(tid) for tid in shown],
                evidence=(*_held(case, shown), *places.described(case, shown)),  # what tells most comes first
            )


def _is_circle(case: Case, pid: int, takers: list[int], holders: list[int]) -> bool:
    if case.without_handlers and pid in holders:
        return False  # a handler runs on the main thread, and may release what that one took
    if case.without_idle:
        return len(holders) > 1 and set(holders) <= set(takers) and _locks(case, holders) > 1
    if len(case.threads(pid)) == 1:
        # After a fork the thread that holds the lock may be one that the child does not have.
        return bool(holders) and (not case.processes[pid].forked or places.takes_again(case, takers[0]))
    return _locks(case, takers) > 1 or bool(holders)


def _locks(case: Case, tids: list[int]) -> int:
    return len({case.wait(tid).address for tid in tids})


def _held(case: Case, tids: list[int]) -> Iterator[str]:
    for tid in tids:
        for place in case.held.get(tid, ()):
            yield f"{case.who(tid)}: {place}"
