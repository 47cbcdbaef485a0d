"""A process was ended while it held a lock that processes share."""

from __future__ import annotations

from collections.abc import Iterator

from ...model import Certainty, Remedy, Verdict
from ...observe.semaphores import Semaphore
from .. import facts
from ..card import Card
from ..case import Case

CARD = Card(
    slug="semaphore-owner-dead",
    title="A lock that processes share was held by a process that has ended",
    certainty=Certainty.PROVEN,
    explanation=(
        "A lock of multiprocessing is a semaphore in shared memory: a number, without a note of who took it. When a"
        " process ends while it holds one, by SIGKILL, by the out-of-memory killer or by leaving without a release,"
        " the kernel gives nothing back: the number stays 0, and everybody who wants the lock waits for ever. The lock"
        " need not be one's own: idle workers of a Pool and consumers of a Queue hold the queue's lock while they wait"
        " for an item, so that to kill one of them can stop all the others."
    ),
    conditions=(
        "A thread waits without a timeout for a semaphore in shared memory (futex op 0x109) in two looks.",
        "It is a lock: the largest value that its SemLock object knows is 1.",
        "In none of the processes that map it does a SemLock object say that the process holds it.",
        "Proven when all of them are dead; likely when somebody who could release another one's lock still lives.",
    ),
    fixes=(
        Remedy(
            title="End the whole tree and start anew",
            cost="what is only in its memory is lost; nobody can give the lock back",
        ),
        Remedy(
            title="Never kill single workers; tell them to end, or end all",
            cost="a worker that hangs keeps its place until the whole tree is started anew",
        ),
        Remedy(
            title="Use concurrent.futures.ProcessPoolExecutor",
            cost="the loss of a worker ends the whole executor: every pending task raises BrokenProcessPool",
            command="with concurrent.futures.ProcessPoolExecutor() as executor: ...",
        ),
        Remedy(
            title="Lock a file instead: the kernel releases it when its owner ends",
            cost="slower, and not on every network file system",
            command="fcntl.flock(file, fcntl.LOCK_EX)",
        ),
    ),
    disproof=(
        "A process that maps the semaphore (grep its name in /proc/*/maps) and is in the middle of what the lock"
        " protects would disprove it, and so would a context switch of a waiter."
    ),
    links=(
        "https://github.com/python/cpython/issues/96062",
        "https://github.com/python/cpython/issues/94777",
        "https://github.com/python/cpython/issues/105829",
    ),
)


def match(case: Case) -> Iterator[Verdict]:
    """For each thread that waits for a lock which no living process holds."""
    for tid, semaphore in sorted(case.semaphores.items()):
        if semaphore.is_lock and semaphore.has_no_owner and not _waits_for_room(case, tid):
            yield CARD.verdict(
                culprits=[case.culprit(tid)],
                evidence=(
                    *facts.of_wait(case, tid),
                    *facts.of_stillness(case, tid),
                    *facts.of_stack(case, tid),
                    _of_owner(semaphore),
                ),
                certainty=Certainty.PROVEN if case.is_dead(tid) else Certainty.LIKELY,
            )


def _waits_for_room(case: Case, tid: int) -> bool:
    """Whether it waits for room in a queue: its semaphore counts free places, and is raised by those who read."""
    return case.innermost(tid, "/queues.py", "put")


def _of_owner(semaphore: Semaphore) -> str:
    pids = ", ".join(map(str, sorted(semaphore.taken)))
    return (
        f"{semaphore.path.removesuffix(' (deleted)')} is a lock, and none of the processes that map it holds it: the"
        f" SemLock objects in the memory of PID {pids} all count 0"
    )
