"""Which threads of a tree did anything since the last time: the cheapest question, asked several times a second.

It reads one line a thread, `schedstat`: for how long it ran, in nanoseconds, and how often. Both stay the same only
when it did not run at all. Only what did run is read whole. Nothing is stopped or changed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

from ..model import ProcessSnapshot
from . import proc, tree
from .kernel import read

# Who belongs to the tree takes a walk over all of /proc, and is asked at every so many glances.
_WALK_EVERY = 4


class Glance:
    """Glances at one tree; `look` is called by one thread."""

    def __init__(self) -> None:
        """Nothing is read yet."""
        self._marks: dict[int, dict[int, bytes]] = {}
        self._processes: dict[int, ProcessSnapshot] = {}
        self._number = 0

    @property
    def known(self) -> tuple[tree.Known, ...]:
        """The processes of the tree, orphans included, with their start times."""
        return tuple((process.pid, process.start_ticks) for process in self._processes.values())

    def look(self, root: int) -> tuple[dict[int, ProcessSnapshot], frozenset[int]]:
        """The tree by PID, root first, and the processes of it none of whose threads ran since the last look."""
        walk = self._number % _WALK_EVERY == 0 or root not in self._processes
        self._number += 1
        pids = tree.members(root, self.known) if walk else list(self._processes)
        before, self._marks = self._marks, {pid: marks for pid in pids if (marks := _marks(pid))}
        resting = {pid for pid, marks in self._marks.items() if _rests(marks, before.get(pid))}
        self._processes = self._read(pids, resting, frozenset(self._idle(before)))
        if root not in self._processes:
            self._processes = {}
        return self._processes, frozenset(resting & self._processes.keys())

    def _idle(self, before: Mapping[int, Mapping[int, bytes]]) -> Iterator[int]:
        for pid, marks in self._marks.items():
            old = before.get(pid, {})
            yield from (tid for tid, mark in marks.items() if mark and mark == old.get(tid))

    def _read(self, pids: list[int], unchanged: set[int], idle: frozenset[int]) -> dict[int, ProcessSnapshot]:
        """What did nothing is taken over; everything else is read anew."""
        known = self._processes
        changed = [known[pid] for pid in pids if pid in known and pid not in unchanged]
        found = {pid: known[pid] for pid in pids if pid in known and pid in unchanged}
        found |= proc.snapshot_again(changed, idle=idle) | proc.snapshot(pid for pid in pids if pid not in known)
        return {pid: found[pid] for pid in pids if pid in found}


def _marks(pid: int) -> dict[int, bytes]:
    try:
        tids = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return {}
    return {int(tid): read(f"/proc/{pid}/task/{tid}/schedstat") for tid in tids}


def _rests(marks: dict[int, bytes], before: dict[int, bytes] | None) -> bool:
    """Where the kernel keeps no such statistics nothing is said to rest by its marks."""
    return marks == before and all(marks.values())
