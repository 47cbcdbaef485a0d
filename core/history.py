"""How a run's numbers went over time: series for charts, folded from the same events as everything else. Pure.

A value holds until something else is said, so that a tree that no longer moves draws flat lines, not gaps.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection

from . import events as ev
from .model import Phase
from .seen import ProcessSeen
from .state import RunState

# One point in so many seconds, and so many of them: five minutes.
STEP_S = 0.5
POINTS = 600
# So many processes have a series of their own; what a storm of processes uses is in the sum.
PROCESSES = 64


class Series:
    """Numbers `STEP_S` apart, the newest `POINTS` of them; `slot` is the place of the newest on the run's time line.

    With `counts` each point is what was added in its step, per second; else it is what was last set.
    """

    def __init__(self, *, counts: bool = False) -> None:
        self.points: deque[float] = deque(maxlen=POINTS)
        self.slot = -1
        self._counts = counts

    def add(self, slot: int, amount: float) -> None:
        """So much more was done in this step."""
        self._advance(slot)
        self.points[-1] += amount / STEP_S

    def set(self, slot: int, value: float) -> None:
        """The value, from this step on."""
        self._advance(slot)
        self.points[-1] = value

    def upto(self, slot: int) -> list[float]:
        """The points up to and including that of `slot`, oldest first; those that came later are left out."""
        if not self.points:
            return []
        if slot < self.slot:
            return list(self.points)[: max(0, len(self.points) - (self.slot - slot))]
        missing = min(slot - self.slot, POINTS)
        return [*self.points, *[self._resting] * missing][-POINTS:]

    @property
    def _resting(self) -> float:
        return 0.0 if self._counts or not self.points else self.points[-1]

    def _advance(self, slot: int) -> None:
        """Makes the newest point that of `slot`; what comes late counts in the newest one."""
        if not self.points:
            self.points.append(0.0)
        else:
            self.points.extend([self._resting] * min(max(0, slot - self.slot), POINTS))
        self.slot = max(slot, self.slot)


class History:
    """Series of a run from its beginning. `cpu` is by PID, in cores; a process that is gone uses none."""

    def __init__(self) -> None:
        self._clear(0.0)

    def _clear(self, start: float) -> None:
        self.start = start
        self.chunks_per_s = Series(counts=True)
        self.cpu: dict[int, Series] = {}
        self.cpu_sum = Series()
        self.rss_sum = Series()
        self.rss_max = Series()
        self.threads = Series()
        self.rows = Series()
        self.index = Series()
        self._embedded = 0

    def slot(self, at: float) -> int:
        """The step in which `at` (seconds since the epoch) lies."""
        return max(0, int((at - self.start) / STEP_S)) if self.start else 0

    def take(self, event: ev.Event, state: RunState) -> None:
        """Notes what `event` changed; `state` is the fold up to and including it."""
        if isinstance(event, ev.RunStarted | ev.Attached) or not self.start:
            self._clear(event.at)
        if isinstance(event, ev.TreeSampled):
            self._take_tree(self.slot(event.at), event, state)
        elif isinstance(event, ev.SubjectStarted):
            self._embedded = 0
        elif isinstance(event, ev.PhaseStarted | ev.PhaseProgress | ev.PhaseFinished):
            self._take_phase(self.slot(event.at), event, state)

    def _take_phase(
        self, slot: int, event: ev.PhaseStarted | ev.PhaseProgress | ev.PhaseFinished, state: RunState
    ) -> None:
        if event.phase is Phase.EMBED:
            found = isinstance(event, ev.PhaseStarted) or (isinstance(event, ev.PhaseFinished) and event.kept)
            self.chunks_per_s.add(slot, 0 if found else max(0, event.done - self._embedded))
            self._embedded = event.done
        elif event.phase is Phase.STORE:
            self.rows.set(slot, event.done)
        elif event.phase is Phase.INDEX:
            total = state.phases[Phase.INDEX].total
            self.index.set(slot, event.done / total if total else 0.0)

    def _take_tree(self, slot: int, event: ev.TreeSampled, state: RunState) -> None:
        processes = state.processes
        for process in processes.values() if event.key else event.processes:
            self._take_cpu(slot, process, processes)
        for pid, series in self.cpu.items():
            if pid not in processes:
                series.set(slot, 0.0)
        self.cpu_sum.set(slot, sum(process.cpu for process in processes.values()))
        self.rss_sum.set(slot, sum(process.rss_bytes for process in processes.values()))
        self.rss_max.set(slot, max((process.rss_bytes for process in processes.values()), default=0))
        self.threads.set(slot, len(state.threads))

    def _take_cpu(self, slot: int, process: ProcessSeen, there: Collection[int]) -> None:
        if process.pid not in self.cpu:
            if len(self.cpu) >= PROCESSES:
                self.cpu = {pid: series for pid, series in self.cpu.items() if pid in there}
            if len(self.cpu) >= PROCESSES:
                return
            self.cpu[process.pid] = Series()
        self.cpu[process.pid].set(slot, process.cpu)
