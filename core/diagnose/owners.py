"""Asks who holds the semaphores that threads of a case wait for. Reads memory of the tree, and remembers what it read.

It is asked only where that can tell something: of waits that have come to rest, among processes whose main threads
have. Idle consumers of a queue, one of whom reads while the others wait for their turn, are left alone.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..model import WaitKind
from ..observe import semaphores
from ..observe.semaphores import Semaphore
from .case import Case, is_call

_SEMAPHORE_OP = 0x109  # the C library's sem_wait on shared memory

# The address of the semaphore, and the main threads of those that map it with their context switches.
_Key = tuple[int, tuple[tuple[int, int], ...]]


class Owners:
    """Remembers what it read until one of those concerned moves. Used by one thread."""

    def __init__(self) -> None:
        self._kept: dict[_Key, Semaphore | None] = {}

    def of(self, case: Case) -> dict[int, Semaphore]:
        """The semaphores of those waits that are worth asking for, by TID."""
        known, self._kept = self._kept, {}
        found = {}
        for tid in _resting(case):
            wait = case.wait(tid)
            key = wait.address, tuple((t.tid, t.switches) for pid in wait.pids for t in case.threads(pid)[:1])
            if key not in self._kept:
                fresh = key not in known
                self._kept[key] = semaphores.read(case.owner(tid), wait.address, wait.pids) if fresh else known[key]
            if (semaphore := self._kept[key]) is not None:
                found[tid] = semaphore
        return found


def _resting(case: Case) -> Iterator[int]:
    reads = any(_reads_a_queue(case, tid) for tid in case.stacks)
    for tid, wait in case.first.waits.items():
        if wait.kind is not WaitKind.SHARED_FUTEX or wait.op != _SEMAPHORE_OP or wait.timed or tid not in case.stacks:
            continue
        inside = all(pid in case.processes for pid in wait.pids)
        rests = inside and not any(case.moved(other) for other in (tid, *wait.pids))
        if rests and not (reads and _takes_turn(case, tid)):
            yield tid


def _reads_a_queue(case: Case, tid: int) -> bool:
    return case.wait(tid).kind is WaitKind.PIPE_READ and case.inside(tid, "/queues.py", "get")


def _takes_turn(case: Case, tid: int) -> bool:
    """Whether a thread waits to be the one that reads a queue."""
    return any(is_call(frame, "/queues.py", "get") for frame in case.python_frames(tid)[:2])
