"""The processes that are proven dead, and how each of them stood: one that moves after all is taken back. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from ..model import ProcessSnapshot

# To be dumped natively is a motion, and on a busy machine it takes its time until the thread rests again.
SETTLE_S = 2.0


class Proven:
    """PIDs. How a process stands is noted at the first glance at which it rests, at most 2 s after the proof."""

    def __init__(self) -> None:
        """None yet."""
        self._seen: dict[int, ProcessSnapshot | None] = {}
        self._settles_s: dict[int, float] = {}
        self._excused: set[int] = set()

    def __contains__(self, pid: object) -> bool:
        return pid in self._seen

    def __iter__(self) -> Iterator[int]:
        return iter(self._seen)

    def __bool__(self) -> bool:
        return bool(self._seen)

    @property
    def is_disturbed(self) -> bool:
        """Whether somebody disturbs one of them, so that nothing of the tree can be judged."""
        return bool(self._excused)

    def remember(self, pids: Iterable[int], now_s: float) -> None:
        """These are proven now, and no others. They may have been dumped for it."""
        self._seen = dict.fromkeys(pids)
        self._settles_s = dict.fromkeys(self._seen, now_s + SETTLE_S)

    def forget(self) -> None:
        """None is any more."""
        self._seen = {}

    def excuse(self, pid: int) -> None:
        """Until `settle` says so, a motion of this process is the doing of somebody else."""
        if pid in self._seen:
            self._excused.add(pid)

    def settle(self, pid: int, now_s: float) -> None:
        """Whoever disturbed it is through."""
        self._excused.discard(pid)
        if pid in self._seen:
            self._seen[pid], self._settles_s[pid] = None, now_s + SETTLE_S

    def retract(self, glance: Mapping[int, ProcessSnapshot], now_s: float) -> list[int]:
        """Takes back those that are gone, or that moved after all, as a debugger can make them; says which."""
        moved = [pid for pid in self._seen if self._has_moved(pid, glance.get(pid), now_s)]
        for pid in moved:
            del self._seen[pid]
        for pid, seen in self._seen.items():
            if seen is None and not _runs(glance[pid]) and not _is_held(glance[pid]):
                self._seen[pid] = glance[pid]
        return moved

    def _has_moved(self, pid: int, now: ProcessSnapshot | None, now_s: float) -> bool:
        if now is None:
            return True
        if pid in self._excused:
            return False
        seen = self._seen[pid]
        if seen is None:
            return _runs(now) and now_s > self._settles_s[pid]
        return seen.start_ticks != now.start_ticks or not (_is_held(now) or state(seen) == state(now))


def state(process: ProcessSnapshot) -> tuple[object, ...]:
    """What changes when any of its threads moves."""
    threads = tuple((thread.tid, thread.switches, thread.state, thread.cpu_ticks) for thread in process.threads)
    return process.pid, process.start_ticks, process.frozen, threads


def _runs(process: ProcessSnapshot) -> bool:
    return any(thread.state == "R" for thread in process.threads)


def _is_held(process: ProcessSnapshot) -> bool:
    return process.frozen or any(thread.state in "tT" for thread in process.threads)
