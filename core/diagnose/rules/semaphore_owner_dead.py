"""A process was ended while it held a lock that processes share."""

from __future__ import annotations

from collections.abc import Iterator

from ...model import Certainty, Remedy, Verdict, WaitKind
from ...observe.semaphores import Semaphore
from .. import facts, pace
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
        "Proven when all of them are dead. Likely when somebody of them lives and none moved, if the waiter takes the"
        " lock with `with`, or those who live only sleep in a loop: elsewhere a lock may be taken by one process and"
        " released, in its own time, by another.",
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
        if not semaphore.is_lock or not semaphore.has_no_owner or _waits_for_room(case, tid):
            continue
        certainty = _certainty(case, tid, semaphore)
        if certainty is not None:
            yield CARD.verdict(
                culprits=[case.culprit(tid)],
                evidence=(
                    *facts.of_wait(case, tid),
                    *facts.of_stillness(case, tid),
                    *facts.of_stack(case, tid),
                    _of_owner(semaphore),
                ),
                certainty=certainty,
            )


def _certainty(case: Case, tid: int, semaphore: Semaphore) -> Certainty | None:
    """How sure it is that the owner has ended, of a lock that nobody was seen to hold."""
    if case.is_dead(tid):
        return Certainty.PROVEN
    others = [other for pid in semaphore.taken for other in _living(case, pid)]
    if any(case.moved(other) for other in others):
        return None  # it may have been on its way from one owner to the next while it was read
    # Whoever waits for a semaphore with a name counts as alive: anybody may open it.
    alone = [o for o in others if pace.lives_alone(case, o) and case.wait(o).kind is not WaitKind.SHARED_FUTEX]
    return Certainty.LIKELY if not alone or _takes_and_returns(case, tid) else None


def _living(case: Case, pid: int) -> Iterator[int]:
    """Those of a process that may do something, except for what only sleeps in a loop and holds nothing."""
    for thread in case.threads(pid):
        idles = thread.tid in case.idle and not case.held.get(thread.tid)
        if not idles and not case.is_dead(thread.tid):
            yield thread.tid


def _takes_and_returns(case: Case, tid: int) -> bool:
    """Whether it takes the lock with `with`, so that each owner gives it back by itself."""
    return case.innermost(tid, "/synchronize.py", "__enter__")


def _waits_for_room(case: Case, tid: int) -> bool:
    """Whether it waits for room in a queue: its semaphore counts free places, and is raised by those who read."""
    return case.innermost(tid, "/queues.py", "put")


def _of_owner(semaphore: Semaphore) -> str:
    pids = ", ".join(map(str, sorted(semaphore.taken)))
    return (
        f"{semaphore.path.removesuffix(' (deleted)')} is a lock, and none of the processes that map it holds it: the"
        f" SemLock objects in the memory of PID {pids} all count 0"
    )
