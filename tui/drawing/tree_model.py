"""The process tree over time: finds out at each tick what is new, and arranges anew only when it must. Pure.

No clock: who calls says what time it is. Nothing is drawn here.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ...core.seen import ProcessSeen, ThreadSeen
from ..scene import Selection
from .tree_rows import (
    IDLE,
    SORTS,
    Arranged,
    Bundle,
    Processes,
    Threads,
    TreeKey,
    TreeRow,
    View,
    arrange,
    by_process,
    merged,
    shape,
    words,
)

# What follows from values (sort, filter, bundles) is arranged anew at most this often, so that rows stay readable.
CALM_S = 1.0
# A thread that had CPU stays out of its bundle for so long: pools work in bursts, and rows should not flicker.
BUSY_S = 5.0


class News(NamedTuple):
    """What a tick brought: rows that may look different, and PIDs that now belong to another process."""

    touched: frozenset[TreeKey] = frozenset()
    reborn: frozenset[int] = frozenset()


class TreeModel:
    """The newest processes and threads, how a person wishes to see them, and the rows that follow."""

    def __init__(self) -> None:
        self.processes: Processes = {}
        self.threads: Threads = {}
        self.mine: dict[int, list[ThreadSeen]] = {}
        self.view = View()
        self.arranged = Arranged({})
        self.digits = 5  # of the longest PID or TID that was ever seen, so that columns stand still
        self._root = 0
        self._homes: dict[int, TreeKey] = {}
        self._folded: set[TreeKey] = set()  # processes that tell of others, hidden below them
        self._busy: dict[int, float] = {}
        self._at = float("-inf")
        self._stale = False

    @property
    def rows(self) -> dict[TreeKey, TreeRow]:
        """The rows in their order."""
        return self.arranged.rows

    def take(self, processes: Processes, threads: Threads, root: int, now: float) -> News:
        """What there is at `now`, in seconds since the epoch."""
        old_processes, old_threads = self.processes, self.threads
        changed = [process for pid, process in processes.items() if old_processes.get(pid) is not process]
        moved = [thread for tid, thread in threads.items() if old_threads.get(tid) is not thread]
        came = root != self._root or list(processes) != list(old_processes) or list(threads) != list(old_threads)
        came = came or any(_place(process) != _place(old_processes[process.pid]) for process in changed)
        came = came or any(thread.pid != old_threads[thread.tid].pid for thread in moved)
        reborn = frozenset(process.pid for process in changed if _reborn(process, old_processes))
        self.processes, self.threads, self._root = processes, threads, root
        if moved or came:
            self.mine = by_process(processes, threads)
        if came:
            self.digits = max(self.digits, len(str(max((*processes, *threads), default=0))))
        self._note_busy(moved, now)
        self._forget(reborn)
        self._stale = self._stale or self._shifted(changed, moved, old_threads if not came else {})
        touched = self._touched(changed, moved, old_processes, old_threads)
        if came or (self._stale and not 0 <= now - self._at < CALM_S):
            touched |= self._arrange(now)
        return News(frozenset(touched), reborn)

    def wish(self, **view: Any) -> frozenset[TreeKey]:
        """The person wishes another view; the rows that may look different."""
        self.view = self.view._replace(**view)
        return frozenset(self._arrange(self._at))

    # folds

    def fold(self, key: TreeKey) -> frozenset[TreeKey]:
        """Closes a row."""
        if isinstance(key, Bundle):
            return self.wish(opened=self.view.opened - {key})
        return self.wish(closed=self.view.closed | {key.pid})

    def unfold(self, key: TreeKey) -> frozenset[TreeKey]:
        """Opens a row."""
        if isinstance(key, Bundle):
            return self.wish(opened=self.view.opened | {key})
        return self.wish(closed=self.view.closed - {key.pid})

    def unfold_all(self) -> frozenset[TreeKey]:
        """Opens everything."""
        self.wish(closed=frozenset())
        bundles = {key for key in self.rows if isinstance(key, Bundle)}
        return self.wish(opened=self.view.opened | bundles) | frozenset(self.rows)

    def expose(self, selection: Selection) -> frozenset[TreeKey]:
        """Opens whatever hides a process or thread, the filter included."""
        key = self.home(selection)
        if key is None:
            return frozenset()
        touched = self.wish(closed=self.view.closed - frozenset(self._above(selection)))
        if isinstance(home := self.home(selection), Bundle):
            touched |= self.unfold(home)
        if self.view.words and self.home(selection) not in self.rows:
            touched |= self.wish(words=())
        return touched

    def sort_by(self, step: int) -> frozenset[TreeKey]:
        """Sorts by the next column, or the one before."""
        at = SORTS.index(self.view.sort)
        return self.wish(sort=SORTS[(at + step) % len(SORTS)])

    def filter_by(self, text: str) -> frozenset[TreeKey]:
        """Shows only what holds every word of `text`."""
        wished = words(text)
        return self.wish(words=wished) if wished != self.view.words else frozenset()

    # who stands where

    def home(self, selection: Selection) -> TreeKey | None:
        """The row that stands for a process or thread, whether it is in sight or not; None for one that is gone."""
        if selection.pid not in self.processes:
            return None
        if selection in self.rows or not selection.tid:
            return selection
        thread = self.threads.get(selection.tid)
        if thread is None or thread.pid != selection.pid:
            return None
        return Selection(selection.pid) if merged(self.mine[selection.pid]) else self._homes.get(thread.tid, selection)

    def stand_in(self, key: TreeKey) -> TreeKey | None:
        """The row in sight that is nearest to one that is not: of a thread its bundle or process, else a parent."""
        tid = key.tid if isinstance(key, Selection) else 0
        home = self.home(Selection(key.pid, tid)) or self.home(Selection(key.pid))
        if home in self.rows or home is None:
            return home
        pids = [key.pid, *self._above(Selection(key.pid))]
        return next((found for pid in pids if (found := Selection(pid)) in self.rows), None)

    def selection(self, key: TreeKey) -> Selection:
        """What a person looks at on a row; on the only row of a thread at that thread."""
        if isinstance(key, Selection) and (key.tid or not merged(self.mine.get(key.pid, []))):
            return key
        row = self.rows.get(key)
        return Selection(key.pid, row.tids[0] if row and row.tids else 0)

    def _above(self, selection: Selection) -> dict[int, None]:
        """The processes above, the nearest first; for a thread its own process as well."""
        found: dict[int, None] = {selection.pid: None} if selection.tid else {}
        process = self.processes.get(selection.pid)
        while process is not None and process.ppid in self.processes and process.ppid not in found:
            found[process.ppid] = None
            process = self.processes[process.ppid]
        return found

    # what changed

    def _arrange(self, now: float) -> set[TreeKey]:
        before = self.rows
        busy = frozenset(self._busy)
        self.arranged = arrange(self.processes, self.threads, self._root, self.view, busy)
        self._folded = {row.key for row in self.rows.values() if row.below}
        self._homes = {}
        for row in self.rows.values():
            if isinstance(row.key, Bundle) or row.key.tid:
                self._homes.update(dict.fromkeys(row.tids, row.key))
        self._at, self._stale = now, False
        return {key for key, row in self.rows.items() if before.get(key) != row}

    def _note_busy(self, moved: list[ThreadSeen], now: float) -> None:
        for thread in moved:
            if thread.cpu >= IDLE:
                self._busy[thread.tid] = now + BUSY_S
        over = [tid for tid, until in self._busy.items() if until <= now or tid not in self.threads]
        for tid in over:
            del self._busy[tid]
        self._stale = self._stale or bool(over)

    def _forget(self, reborn: frozenset[int]) -> None:
        """Another process with the same PID is not folded because the old one was."""
        closed = frozenset(pid for pid in self.view.closed if pid in self.processes and pid not in reborn)
        opened = frozenset(bundle for bundle in self.view.opened if bundle.pid in self.processes)
        opened = frozenset(bundle for bundle in opened if bundle.pid not in reborn)
        if (closed, opened) != (self.view.closed, self.view.opened):
            self.view = self.view._replace(closed=closed, opened=opened)

    def _shifted(self, changed: list[ProcessSeen], moved: list[ThreadSeen], old: Threads) -> bool:
        """Whether values moved that decide on the order of rows, or on who is alike."""
        if self.view.words or self.view.sort != "tree":
            return bool(changed or moved)
        return any(
            (before := old.get(thread.tid)) is None
            or shape(before) != shape(thread)
            or (thread.cpu >= IDLE and isinstance(self._homes.get(thread.tid), Bundle))
            for thread in moved
        )

    def _touched(
        self, changed: list[ProcessSeen], moved: list[ThreadSeen], old_processes: Processes, old_threads: Threads
    ) -> set[TreeKey]:
        """The rows that show what changed; all of them where a name or a death is told in other rows too."""
        if not changed and not moved:
            return set()
        for process in changed:
            before = old_processes.get(process.pid)
            if before is None or (before.role, before.dead) != (process.role, process.dead):
                return set(self.rows)
        touched: set[TreeKey] = {Selection(process.pid) for process in changed}
        for thread in moved:
            touched |= {Selection(thread.pid), Selection(thread.pid, thread.tid)}
            if home := self._homes.get(thread.tid):
                touched.add(home)
        return touched | self._folded


def _place(process: ProcessSeen) -> tuple[int, int]:
    return process.ppid, process.start_ticks


def _reborn(process: ProcessSeen, old: Processes) -> bool:
    before = old.get(process.pid)
    return before is not None and before.start_ticks != process.start_ticks
