"""Which rows the process tree has, and in what order: folds, filter and sort over processes and threads. Pure.

What a row looks like is said in tree_cells; here is only which there are. No clock, no I/O.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from ...core.seen import ProcessSeen, ThreadSeen
from ..scene import Selection

Sort = Literal["tree", "cpu", "rss", "pid", "state"]
SORTS: tuple[Sort, ...] = ("tree", "cpu", "rss", "pid", "state")

# So many threads of a process that differ in nothing are folded to one row.
ALIKE = 4
# Below this part of a core a thread counts as idle.
IDLE = 0.005
# The order of states under `state`: what should be looked at first comes first.
_STATES = ("dead", "runs", "stopped", "traced", "frozen", "waits", "unknown", "ended")
_BY_LETTER = {"R": "runs", "T": "stopped", "t": "traced", "Z": "ended", "X": "ended", "": "unknown"}
# What stays true of a thread whatever its state's letter says.
_FIRM = frozenset({"dead", "ended", "frozen"})
_NUMBER = re.compile(r"\d+")
# Guides of more cells than this are shortened: no panel is that wide.
_GUIDES = 64

Processes = Mapping[int, ProcessSeen]
Threads = Mapping[int, ThreadSeen]


class Bundle(NamedTuple):
    """The key of a row that stands for threads that are alike; `shape` is what they have in common."""

    pid: int
    shape: tuple[Any, ...]


TreeKey = Selection | Bundle


class View(NamedTuple):
    """How a person wishes to see the tree: what is `closed`, which bundles are `opened`, sort and filter.

    Every word of the filter must be found. `keep` is shown whatever the filter says.
    """

    closed: frozenset[int] = frozenset()
    opened: frozenset[Bundle] = frozenset()
    sort: Sort = "tree"
    words: tuple[str, ...] = ()
    keep: TreeKey | None = None


class TreeRow(NamedTuple):
    """One row. `fold` is "" for a leaf; `tids` are the threads that it stands for by itself, `below` the processes
    that are hidden below it. `hit`: it matches the filter."""

    key: TreeKey
    parent: TreeKey | None
    guides: str
    fold: Literal["", "open", "closed"] = ""
    tids: tuple[int, ...] = ()
    below: tuple[int, ...] = ()
    hit: bool = False


class Arranged(NamedTuple):
    """The rows in their order. `hits` of `total` processes and threads match the filter."""

    rows: dict[TreeKey, TreeRow]
    hits: int = 0
    total: int = 0


def status(thread: ThreadSeen) -> str:
    """One of core.diagnose.outline.MARKS, or `unknown`: the newest of what is known."""
    if thread.status in _FIRM:
        return thread.status
    by_letter = _BY_LETTER.get(thread.state, "waits")
    if by_letter == "unknown":
        return thread.status or by_letter
    return "runs" if by_letter == "waits" and thread.cpu >= IDLE else by_letter


def process_status(process: ProcessSeen, threads: Iterable[ThreadSeen]) -> str:
    """Dead when all of it is; running when any of its threads is; else what most of it does."""
    if process.dead:
        return "dead"
    found = {status(thread) for thread in threads} or {_BY_LETTER.get(process.state, "waits")}
    living = found - {"dead"} or found
    return next((state for state in ("runs", "waits", *_STATES) if state in living), "waits")


def shape(thread: ThreadSeen) -> tuple[Any, ...]:
    """What must be equal for threads to be shown as one."""
    where = thread.place or _stem(thread.name)
    return status(thread), thread.kind, thread.timed, len(thread.wakers), where


@lru_cache(4096)
def _stem(name: str) -> str:
    """A thread's name without its number."""
    return _NUMBER.sub("", name)


def by_process(processes: Processes, threads: Threads) -> dict[int, list[ThreadSeen]]:
    """The threads of each process, in the core's order; those of a process that is gone are left out."""
    mine: dict[int, list[ThreadSeen]] = {pid: [] for pid in processes}
    for thread in threads.values():
        if thread.pid in mine:
            mine[thread.pid].append(thread)
    return mine


def branches(processes: Processes, root: int) -> tuple[list[int], dict[int, list[int]]]:
    """The PIDs without a parent in the tree, and the children of each other one.

    PIDs that were used again can make a process its own ancestor: such a circle is opened at its first member.
    """
    tops: list[int] = []
    children: dict[int, list[int]] = {}
    for pid, process in processes.items():
        if pid == root or process.ppid not in processes or process.ppid == pid:
            tops.append(pid)
        else:
            children.setdefault(process.ppid, []).append(pid)
    reached = set(_below(tops, children))
    for pid in processes:
        if pid not in reached:
            children[processes[pid].ppid].remove(pid)
            tops.append(pid)
            reached.update(_below([pid], children))
    return tops, children


def _below(tops: Iterable[int], children: Mapping[int, list[int]]) -> Iterator[int]:
    """These PIDs and all below them, parents first."""
    waiting = list(tops)[::-1]
    while waiting:
        pid = waiting.pop()
        yield pid
        waiting.extend(reversed(children.get(pid, ())))


def arrange(
    processes: Processes, threads: Threads, root: int, view: View, busy: frozenset[int] = frozenset()
) -> Arranged:
    """The rows of the tree of `root`. Threads in `busy` are never bundled: they had CPU not long ago."""
    return _Arranging(processes, threads, root, view, busy).arranged()


class _Item(NamedTuple):
    """A row to be: `parts` are the members of an open bundle."""

    key: TreeKey
    tids: tuple[int, ...]
    parts: tuple[_Item, ...] = ()


class _Arranging:
    """One arrangement in the making."""

    def __init__(self, processes: Processes, threads: Threads, root: int, view: View, busy: frozenset[int]) -> None:
        self._processes, self._threads, self._view, self._busy = processes, threads, view, busy
        self._mine = by_process(processes, threads)
        self._tops, self._children = branches(processes, root)
        self._hits: set[Selection] = set()
        self._shown: set[Selection] = set()
        self._total = len(processes) + sum(len(mine) for mine in self._mine.values() if not merged(mine))
        if view.words:
            self._match()

    def arranged(self) -> Arranged:
        rows: dict[TreeKey, TreeRow] = {}
        tops = self._sorted([self._process(pid) for pid in self._tops if self._wanted(Selection(pid))])
        waiting: list[tuple[_Item, TreeKey | None, str, str]] = [(item, None, "", "") for item in reversed(tops)]
        while waiting:
            item, parent, guides, below = waiting.pop()
            fold, inside = self._inside(item)
            hidden = self._hidden(item.key) if fold == "closed" else ()
            hit = isinstance(item.key, Selection) and item.key in self._hits
            rows[item.key] = TreeRow(item.key, parent, guides, fold, item.tids, hidden, hit)
            for number, child in enumerate(reversed(inside)):
                lead, more = ("└─", "  ") if number == 0 else ("├─", "│ ")
                waiting.append((child, item.key, (below + lead)[-_GUIDES:], (below + more)[-_GUIDES:]))
        return Arranged(rows, len(self._hits), self._total)

    # what stands inside of what

    def _process(self, pid: int) -> _Item:
        mine = self._mine[pid]
        return _Item(Selection(pid), tuple(thread.tid for thread in mine))

    def _inside(self, item: _Item) -> tuple[Literal["", "open", "closed"], Sequence[_Item]]:
        if isinstance(item.key, Bundle):
            is_open = item.key in self._view.opened
            return ("open", item.parts) if is_open else ("closed", ())
        if item.key.tid:
            return "", ()
        threads, processes = self._threads_of(item.key.pid), self._processes_of(item.key.pid)
        if not threads and not processes:
            return "", ()
        if item.key.pid in self._view.closed and not self._view.words:
            return "closed", ()
        return "open", [*self._sorted(threads), *self._sorted(processes)]

    def _processes_of(self, pid: int) -> list[_Item]:
        return [self._process(child) for child in self._children.get(pid, ()) if self._wanted(Selection(child))]

    def _threads_of(self, pid: int) -> list[_Item]:
        mine = self._mine[pid]
        if merged(mine):
            return []
        if self._view.words:
            return [_single(thread) for thread in mine if self._wanted(Selection(pid, thread.tid))]
        if len(mine) < ALIKE:
            return [_single(thread) for thread in mine]
        groups: dict[tuple[Any, ...], list[ThreadSeen]] = {}
        for thread in mine:
            alone = thread.tid == pid or thread.tid in self._busy or thread.cpu >= IDLE
            groups.setdefault((thread.tid,) if alone else shape(thread), []).append(thread)
        items: list[_Item] = []
        for form, group in groups.items():
            singles = tuple(_single(thread) for thread in group)
            bundle = _Item(Bundle(pid, form), tuple(thread.tid for thread in group), singles)
            items.extend([bundle] if len(group) >= ALIKE else singles)
        return items

    def _hidden(self, key: TreeKey) -> tuple[int, ...]:
        return () if isinstance(key, Bundle) else tuple(_below(self._children.get(key.pid, ()), self._children))

    # sort

    def _sorted(self, items: list[_Item]) -> list[_Item]:
        ranks: dict[Sort, Callable[[_Item], float]] = {
            "cpu": lambda item: -round(self._cpu(item), 2),
            "rss": lambda item: -self._processes[item.key.pid].rss_bytes,
            "pid": lambda item: item.tids[0] if isinstance(item.key, Bundle) else item.key.tid or item.key.pid,
            "state": lambda item: _STATES.index(self._status(item)),
        }
        return items if self._view.sort == "tree" else sorted(items, key=ranks[self._view.sort])

    def _cpu(self, item: _Item) -> float:
        if isinstance(item.key, Selection) and not item.key.tid:
            return self._processes[item.key.pid].cpu
        return sum(self._threads[tid].cpu for tid in item.tids)

    def _status(self, item: _Item) -> str:
        if isinstance(item.key, Selection) and not item.key.tid:
            return process_status(self._processes[item.key.pid], self._mine[item.key.pid])
        return status(self._threads[item.tids[0]])

    # filter

    def _wanted(self, key: Selection) -> bool:
        return not self._view.words or key in self._shown

    def _match(self) -> None:
        """Finds what matches, and with it what must be shown so that it hangs on its branch."""
        order = list(_below(self._tops, self._children))
        parents = {child: pid for pid, children in self._children.items() for child in children}
        for pid in reversed(order):
            process, mine = self._processes[pid], self._mine[pid]
            about = _about_process(process, mine)
            if self._says(about):
                self._hits.add(Selection(pid))
            if not merged(mine):
                for thread in mine:
                    if self._says(_about_thread(thread), about):
                        self._hits.add(Selection(pid, thread.tid))
            keep = self._view.keep
            kept = {Selection(keep.pid), keep} if isinstance(keep, Selection) and keep.pid == pid else set()
            found = {key for thread in mine if (key := Selection(pid, thread.tid)) in self._hits} | kept
            if found or Selection(pid) in self._hits or Selection(pid) in self._shown:
                self._shown |= {Selection(pid), *found}
                if pid in parents:
                    self._shown.add(Selection(parents[pid]))

    def _says(self, text: str, around: str = "") -> bool:
        """Whether every word is in `text` or `around` it, and one at least in `text`."""
        words = self._view.words
        return any(word in text for word in words) and all(word in text or word in around for word in words)


def merged(mine: Sequence[ThreadSeen]) -> bool:
    """Whether a process and its only thread are one row."""
    return len(mine) < 2


def words(text: str) -> tuple[str, ...]:
    """The words of a filter."""
    return tuple(text.casefold().split())


def _single(thread: ThreadSeen) -> _Item:
    return _Item(Selection(thread.pid, thread.tid), (thread.tid,))


def _about_thread(thread: ThreadSeen) -> str:
    said = (thread.name, str(thread.tid), status(thread), thread.wait, thread.why, thread.place)
    return "\n".join(said).casefold()


def _about_process(process: ProcessSeen, mine: Sequence[ThreadSeen]) -> str:
    said = [process.role, str(process.pid), process_status(process, mine), " ".join(process.command)]
    if merged(mine):
        said += map(_about_thread, mine)
    return "\n".join(said).casefold()
