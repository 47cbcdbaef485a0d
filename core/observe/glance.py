"""Which threads of a tree did anything since the last time: the cheapest question, asked several times a second.

It reads one line a thread, `schedstat`: for how long it ran, in nanoseconds, and how often. Both stay the same only
when it did not run at all. Only what did run is read whole. Nothing is stopped or changed.
"""

from __future__ import annotations

import os
from collections.abc import Container

from ..model import ProcessSnapshot
from . import portable, proc, tree
from .kernel import read

# Who belongs to the tree takes a walk over all of /proc. It is asked at every so many glances if anything on the
# machine was started since; and at every so many at any rate, as a process can also be handed over to the tree.
_WALK_EVERY, _WALK_AT_LEAST_EVERY = 4, 40


class Glance:
    """Glances at one tree; `look` is called by one thread."""

    def __init__(self) -> None:
        """Nothing is read yet."""
        self._marks: dict[int, dict[int, bytes]] = {}
        self._processes: dict[int, ProcessSnapshot] = {}
        self._marks_when_read: dict[int, dict[int, bytes]] = {}
        self._number = self._walked = 0
        self._newest = b""

    @property
    def known(self) -> tuple[tree.Known, ...]:
        """The processes of the tree, orphans included, with their start times."""
        return tuple((process.pid, process.start_ticks) for process in self._processes.values())

    @property
    def marks(self) -> dict[int, dict[int, bytes]]:
        """By PID and TID what each thread's schedstat said at the last look: nanoseconds on a processor come first.

        All threads of the tree are in it; empty where the kernel keeps no such statistics.
        """
        return self._marks if self._processes else {}

    def look(
        self, root: int, *, watched: Container[int] = (), walk: bool = False
    ) -> tuple[dict[int, ProcessSnapshot], frozenset[int]]:
        """The tree by PID, root first, and the processes of it none of whose threads ran since the last look.

        Those that rest, and those in `watched`, are as they are now; others as they were when they rested last. With
        `walk` it is asked anew who belongs to the tree, which is else not done each time.
        """
        if not tree.LINUX:  # nothing cheap tells there who rests
            self._processes = {process.pid: process for process in portable.take(root).processes}
            return self._processes, frozenset()
        pids = tree.members(root, self.known) if self._is_to_walk(root) or walk else list(self._processes)
        before, self._marks = self._marks, {pid: marks for pid in pids if (marks := _marks(pid))}
        resting = {pid for pid, marks in self._marks.items() if _rests(marks, before.get(pid))}
        self._processes = self._read([pid for pid in self._marks if pid in resting or pid in watched])
        if root not in self._processes:
            self._processes = {}
        return self._processes, frozenset(resting & self._processes.keys())

    def _is_to_walk(self, root: int) -> bool:
        self._number += 1
        age = self._number - self._walked
        if root in self._processes and age < _WALK_EVERY:
            return False
        newest = _newest()
        if root in self._processes and newest and newest == self._newest and age < _WALK_AT_LEAST_EVERY:
            return False
        self._newest, self._walked = newest, self._number
        return True

    def _read(self, wanted: list[int]) -> dict[int, ProcessSnapshot]:
        """Reads what is new, and what of `wanted` ran since it was read."""
        known = {pid: process for pid, process in self._processes.items() if pid in self._marks}
        then = self._marks_when_read
        stale = {pid: known.pop(pid) for pid in wanted if pid in known and not _rests(self._marks[pid], then.get(pid))}
        idle = {tid for pid in stale for tid, mark in self._marks[pid].items() if mark and mark == then[pid].get(tid)}
        fresh = proc.snapshot(pid for pid in self._marks if pid not in known and pid not in stale)
        fresh |= proc.snapshot_again(stale.values(), idle=idle)
        self._marks_when_read = {pid: then[pid] for pid in known} | {pid: self._marks[pid] for pid in fresh}
        found = known | fresh
        return {pid: found[pid] for pid in self._marks if pid in found}


def _newest() -> bytes:
    """The number that the newest process or thread was given; empty where that is not told."""
    number = read("/proc/loadavg").rpartition(b" ")[2].strip()
    return number if number != b"0" else b""


def _marks(pid: int) -> dict[int, bytes]:
    try:
        tids = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return {}
    return {int(tid): read(f"/proc/{pid}/task/{tid}/schedstat") for tid in tids}


def _rests(marks: dict[int, bytes], before: dict[int, bytes] | None) -> bool:
    """Where the kernel keeps no such statistics nothing is said to rest by its marks."""
    return marks == before and all(marks.values())
