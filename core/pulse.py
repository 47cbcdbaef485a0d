"""What is cheap to know of a tree between two samples: processor time, state letters, memory. Linux reads it here.

Only what ran since the last sample is asked anew, so that a tree that rests costs nothing, and never more than a
bounded number of files at a time. Nothing is stopped or changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .model import ProcessSnapshot
from .observe import proc
from .observe.kernel import read

# How many threads are asked for their state letter at a time: each costs some ten microseconds.
STATES = 64
# A process's memory is read this often at most, and a change under this part of it, or so many bytes, is none.
RSS_EVERY_S = 1.0
RSS_PART, RSS_BYTES = 0.01, 1 << 18
# A change of processor time under this part of what was said, or under one hundredth of a core, is none.
CPU_PART = 0.05


class ThreadPulse:
    """One thread: `cpu` is the part of one core that it used between the last two samples."""

    __slots__ = ("cpu", "mark", "name", "pid", "sample", "state")

    def __init__(self, pid: int, name: str, state: str, mark: bytes, sample: int) -> None:
        self.pid, self.name, self.state, self.mark, self.sample = pid, name, state, mark, sample
        self.cpu = 0.0


class ProcessPulse:
    """One process; `sample` counts the samples up to the first that had it, as in `ThreadPulse`."""

    __slots__ = ("cpu", "marks", "rss_bytes", "rss_s", "sample", "snapshot", "state")

    def __init__(self, snapshot: ProcessSnapshot, sample: int) -> None:
        self.snapshot, self.sample = snapshot, sample
        self.marks: Mapping[int, bytes] = {}
        self.state, self.rss_bytes, self.rss_s, self.cpu = snapshot.state, snapshot.rss_bytes, 0.0, 0.0


class Pulse:
    """The tree as of the last sample: `processes` by PID in the tree's order, `threads` by TID.

    After `take`, `stirred` and `stirred_threads` are those in which something may have changed.
    """

    def __init__(self) -> None:
        self.processes: dict[int, ProcessPulse] = {}
        self.threads: dict[int, ThreadPulse] = {}
        self.stirred: set[int] = set()
        self.stirred_threads: set[int] = set()
        self.sample = 0
        self._at_s = 0.0
        self._unasked: dict[int, None] = {}  # threads whose state letter is out of date, the longest waiting first

    def take(self, processes: Iterable[ProcessSnapshot], marks: Mapping[int, Mapping[int, bytes]], at_s: float) -> None:
        """One sample; `marks` are as in `Glance.marks`, read at `at_s` (monotonic)."""
        self.sample += 1
        self.stirred, self.stirred_threads = set(), set()
        gap_s, self._at_s = at_s - self._at_s, at_s
        before, self.processes = self.processes, {}
        for snapshot in processes:
            now = before.get(snapshot.pid)
            if now is None or now.snapshot.start_ticks != snapshot.start_ticks:
                for tid in now.marks if now is not None else ():
                    self.threads.pop(tid, None)
                now = ProcessPulse(snapshot, self.sample)
                self.stirred.add(snapshot.pid)
            self.processes[snapshot.pid] = now
            self._look(now, snapshot, marks.get(snapshot.pid) or _ticks(snapshot), gap_s)
        self._forget_the_gone()
        self._ask_states()

    def _look(self, process: ProcessPulse, snapshot: ProcessSnapshot, marks: Mapping[int, bytes], gap_s: float) -> None:
        if process.snapshot is not snapshot:
            process.snapshot = snapshot
            self.stirred.add(snapshot.pid)
        if process.cpu or process.marks != marks:
            self.stirred.add(snapshot.pid)
            process.marks = marks
            used = self._look_at_threads(snapshot, marks, gap_s)
            process.cpu = _steady(process.cpu, used)
            if self._at_s - process.rss_s >= RSS_EVERY_S:
                process.rss_s = self._at_s
                process.rss_bytes = _rss(snapshot.pid, process.rss_bytes)

    def _look_at_threads(self, snapshot: ProcessSnapshot, marks: Mapping[int, bytes], gap_s: float) -> float:
        """The part of one core that all threads of the process used."""
        seen = {thread.tid: thread for thread in snapshot.threads}
        total = 0.0
        for tid, mark in marks.items():
            thread = self.threads.get(tid)
            if thread is None or thread.pid != snapshot.pid:
                known = seen.get(tid)
                name, state = (known.name, known.state) if known else ("", "")
                self.threads[tid] = ThreadPulse(snapshot.pid, name, state, mark, self.sample)
            elif mark == thread.mark and not thread.cpu:
                continue
            else:
                used = (_seconds(mark) - _seconds(thread.mark)) / gap_s if gap_s > 0 else 0.0
                total += used
                thread.cpu, thread.mark = _steady(thread.cpu, min(used, 1.0)), mark
            self.stirred_threads.add(tid)
            self._unasked[tid] = None
        return total

    def _forget_the_gone(self) -> None:
        gone = [
            tid
            for tid, thread in self.threads.items()
            if (process := self.processes.get(thread.pid)) is None or tid not in process.marks
        ]
        for tid in gone:
            del self.threads[tid]
            self._unasked.pop(tid, None)
            self.stirred_threads.discard(tid)

    def _ask_states(self) -> None:
        for tid in list(self._unasked)[:STATES]:
            del self._unasked[tid]
            thread = self.threads[tid]
            stat = proc.parse_stat(read(f"/proc/{thread.pid}/task/{tid}/stat"))
            if stat is None or (stat.state, stat.name) == (thread.state, thread.name):
                continue
            thread.state, thread.name = stat.state, stat.name
            self.stirred_threads.add(tid)
            if tid == thread.pid:
                self.processes[tid].state = stat.state
                self.stirred.add(tid)


def _ticks(process: ProcessSnapshot) -> dict[int, bytes]:
    """The marks of a system that keeps none: clock ticks, in nanoseconds."""
    return {thread.tid: b"%d" % (thread.cpu_ticks * 10_000_000) for thread in process.threads}


def _seconds(mark: bytes) -> float:
    head = mark.split(None, 1)[:1]
    return int(head[0]) / 1e9 if head and head[0].isdigit() else 0.0


def _steady(said: float, now: float) -> float:
    """`now` in hundredths, or what was said, where it is nearly the same."""
    now = max(0.0, round(now, 2))
    near = abs(now - said) < max(0.005, CPU_PART * said)
    return said if now and near else now


def _rss(pid: int, said: int) -> int:
    fields = read(f"/proc/{pid}/statm").split()
    if len(fields) < 2:
        return said
    now = int(fields[1]) * proc.PAGE_BYTES
    return said if abs(now - said) < max(RSS_BYTES, RSS_PART * said) else now
