"""Turns the looks of a Follower into events: what changed in the tree, stacks, the graph, what could not be seen.

    sampler = Sampler(roles=lambda pid: "worker 1" if pid == 4711 else "")      # one for each tree that is followed
    for event in sampler.take(follower.look()):                                 # after every look; often nothing
        publish(event, "diagnosis")
    for event in sampler.end():                                                 # when the tree is gone for good
        publish(event, "diagnosis")

`take` may be called as often as one likes: it gives at most four samples a second, fewer of a large lively tree, and
nothing of one that rests. The events are without `seq`, and only stacks carry the time at which they were read. What
is said of verdicts is another matter: see core.notices and core.diagnose.telling. Import this late, as it brings the
whole diagnosis.

Whatever a tree does, a sampler keeps only what lives now, and says about so many rows and bytes a second at most: a
process or thread that is not there for two samples is not mentioned, and stacks wait until there is room for them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator

from .details import Details, weight, weight_of, with_cheap
from .diagnose.follow import Look
from .diagnose.investigate import Finding
from .events import Event, GraphDrawn, NotSeen, StacksRead, TreeSampled
from .model import Graph
from .pulse import ProcessPulse, Pulse, ThreadPulse
from .secrets import redact_command
from .seen import ProcessSeen, ThreadSeen

# The least time between samples; it grows with what they hold, so that about so many rows are said a second.
EVERY_S, MAX_EVERY_S, ROWS_PER_S = 0.25, 2.0, 150
# After so long, and as many changed rows as the tree has, everything is said again.
KEYFRAME_S = 30.0
# Stacks and graphs, in bytes: a second, and how much may be saved up. The dead are read at once.
BYTES_PER_S, SAVED_BYTES = 8_000, 200_000
# The part of one core that putting findings into words may take.
DETAILS_PART = 0.04
# Characters of a command line.
MOST_COMMAND = 1000


class Sampler:
    """Says what is new in one tree. Used by one thread."""

    def __init__(self, *, roles: Callable[[int], str] = lambda pid: "") -> None:
        """`roles` names processes by PID, "" for unknown; it is asked at each sample and may change its mind."""
        self._roles = roles
        self._pulse = Pulse()
        self._due_s = 0.0
        self._finding: Finding | None = None
        self._details: Details | None = None
        self._details_sample, self._details_due_s = 0, 0.0
        self._dead: frozenset[int] = frozenset()
        self._retracted = False
        self._processes: dict[int, ProcessSeen] = {}  # what was said last
        self._threads: dict[int, ThreadSeen] = {}
        self._unsaid: set[int] = set()  # what may have changed since
        self._unsaid_threads: set[int] = set()
        self._commands: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._key_s: float | None = None
        self._rows = 0
        self._stacks = _Stacks()
        self._graph: Graph | None = None
        self._not_seen: tuple[str, ...] | None = None
        self._room = _Room()

    def take(self, look: Look) -> Iterator[Event]:
        """What a look shows that has not been said."""
        dead = frozenset(look.dead)
        urgent = dead != self._dead or (look.finding is not self._finding and look.at_s >= self._details_due_s)
        if not look.processes or (look.at_s < self._due_s and not urgent):
            return
        self._room.earn(look.at_s)
        self._pulse.take(look.processes, look.marks, look.at_s)
        self._learn(look.finding, dead, look.at_s)
        sample = self._sample(look.processes[0].pid, look.at_s)
        rows = len(sample.processes) + len(sample.threads)
        self._due_s = look.at_s + min(max(EVERY_S, rows / ROWS_PER_S), MAX_EVERY_S)
        if rows or sample.gone or sample.gone_threads:
            yield sample
        yield from self._thorough()

    def end(self) -> Iterator[Event]:
        """The tree is gone."""
        if self._processes:
            yield TreeSampled(gone=tuple(self._processes))
        self._processes, self._threads = {}, {}

    # what is new

    def _learn(self, finding: Finding | None, dead: frozenset[int], at_s: float) -> None:
        """Takes in a finding, and who is dead now."""
        if finding is not self._finding and (at_s >= self._details_due_s or dead != self._dead):
            self._finding = finding
            if finding is not None:
                began_s = time.thread_time()
                self._details, self._details_sample = Details(finding, at=time.time()), self._pulse.sample
                self._details_due_s = at_s + (time.thread_time() - began_s) / DETAILS_PART
                self._unsaid_threads.update(self._pulse.threads)
                self._unsaid.update(self._pulse.processes)
        retracted = self._details is not None and not self._details.dead <= dead
        if dead != self._dead or retracted != self._retracted:
            self._dead, self._retracted = dead, retracted
            self._unsaid.update(self._pulse.processes)
            self._unsaid_threads.update(self._pulse.threads)

    def _sample(self, root: int, at_s: float) -> TreeSampled:
        pulse = self._pulse
        gone, gone_threads = self._gone()
        self._forget(gone, gone_threads)
        roles = {pid: self._roles(pid) for pid in pulse.processes}
        self._unsaid |= pulse.stirred
        self._unsaid.update(pid for pid, seen in self._processes.items() if roles[pid] != seen.role)
        self._unsaid_threads |= pulse.stirred_threads
        known = {pid for pid, process in pulse.processes.items() if self._is_known(pid, process, root, roles[pid])}
        processes = self._new_processes(known, roles)
        threads = self._new_threads(known)
        if self._is_keyframe(at_s, len(processes) + len(threads)):
            in_order = (seen for pid in pulse.processes if (seen := self._processes.get(pid)) is not None)
            return TreeSampled(key=True, processes=tuple(in_order), threads=tuple(self._threads.values()))
        return TreeSampled(processes=processes, threads=threads, gone=gone, gone_threads=gone_threads)

    def _gone(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The processes, and the threads of others, that were said and are there no more."""
        now, threads = self._pulse.processes, self._pulse.threads
        gone = {
            pid: None
            for pid, seen in self._processes.items()
            if (process := now.get(pid)) is None or process.snapshot.start_ticks != seen.start_ticks
        }
        return tuple(gone), tuple(t for t, seen in self._threads.items() if t not in threads and seen.pid not in gone)

    def _forget(self, gone: tuple[int, ...], gone_threads: tuple[int, ...]) -> None:
        if gone or gone_threads:
            for pid in gone:
                del self._processes[pid]
            left = {tid: seen for tid, seen in self._threads.items() if seen.pid in self._processes}
            self._threads = {tid: seen for tid, seen in left.items() if tid not in set(gone_threads)}
        self._unsaid &= self._pulse.processes.keys()
        self._unsaid_threads &= self._pulse.threads.keys()

    def _is_known(self, pid: int, process: ProcessPulse, root: int, role: str) -> bool:
        """Whether a process is to be mentioned: not one that has only just come and may be gone at once."""
        return pid in self._processes or pid == root or bool(role) or process.sample < self._pulse.sample

    def _is_keyframe(self, at_s: float, rows: int) -> bool:
        self._rows += rows
        size = len(self._processes) + len(self._threads)
        due = self._key_s is None or (at_s - self._key_s >= KEYFRAME_S and self._rows >= size)
        if due:
            self._key_s, self._rows = at_s, 0
        return due

    def _new_processes(self, known: set[int], roles: dict[int, str]) -> tuple[ProcessSeen, ...]:
        news = []
        for pid in [pid for pid in self._pulse.processes if pid in self._unsaid and pid in known]:
            seen = self._process(self._pulse.processes[pid], roles[pid])
            if self._processes.get(pid) != seen:
                self._processes[pid] = seen
                news.append(seen)
        self._unsaid -= known
        return tuple(news)

    def _process(self, process: ProcessPulse, role: str) -> ProcessSeen:
        snapshot = process.snapshot
        details = self._details if process.sample <= self._details_sample else None
        return ProcessSeen(
            pid=snapshot.pid,
            ppid=snapshot.ppid,
            start_ticks=snapshot.start_ticks,
            role=role,
            command=self._command(snapshot.cmdline),
            state=process.state,
            cpu=process.cpu,
            rss_bytes=process.rss_bytes,
            forked=snapshot.forked,
            dead=snapshot.pid in self._dead,
            no_stack=details.no_stack.get(snapshot.pid, "") if details else "",
        )

    def _command(self, words: tuple[str, ...]) -> tuple[str, ...]:
        """A command line with its secrets hidden, cut where it is too long; the newest ones are remembered."""
        if words not in self._commands:
            if len(self._commands) > len(self._pulse.processes) + 8:
                self._commands.clear()
            self._commands[words] = _cut(redact_command(words))
        return self._commands[words]

    def _new_threads(self, known: set[int]) -> tuple[ThreadSeen, ...]:
        news = []
        told = [tid for tid in sorted(self._unsaid_threads) if self._is_known_thread(tid, known)]
        for tid in told:
            thread = self._pulse.threads[tid]
            detail = self._detail(tid, thread)
            seen = with_cheap(detail, pid=thread.pid, tid=tid, name=thread.name, state=thread.state, cpu=thread.cpu)
            if self._threads.get(tid) != seen:
                self._threads[tid] = seen
                news.append(seen)
        self._unsaid_threads.difference_update(told)
        return tuple(news)

    def _is_known_thread(self, tid: int, known: set[int]) -> bool:
        thread = self._pulse.threads[tid]
        is_old = thread.sample < self._pulse.sample or tid == thread.pid or self._key_s is None
        return is_old and thread.pid in known

    def _detail(self, tid: int, thread: ThreadPulse) -> ThreadSeen | None:
        """What a thorough look said of it, unless that was of another thread of this number, or is taken back."""
        if self._details is None or thread.sample > self._details_sample:
            return None
        detail = self._details.threads.get(tid)
        is_taken_back = self._retracted and thread.pid not in self._dead
        return None if detail is not None and detail.dead and is_taken_back else detail

    # what a thorough look found

    def _thorough(self) -> Iterator[Event]:
        details = self._details
        if details is None:
            return
        if details.not_seen != self._not_seen:
            self._not_seen = details.not_seen
            yield NotSeen(sentences=details.not_seen)
        yield from self._stacks.news(details, self._dead, self._processes.keys(), self._room)
        graph, before = details.graph, self._graph
        if graph is not before and graph != before:
            is_grave = before is None or graph.stuck != before.stuck
            if is_grave or self._room.has_some:
                self._graph = graph
                self._room.spend(weight_of(graph))
                yield GraphDrawn(graph=graph)


class _Stacks:
    """Which stacks have been said, and which wait for room."""

    def __init__(self) -> None:
        self._said: dict[int, StacksRead] = {}  # by PID, the longest ago first
        self._details: Details | None = None
        self._waiting: list[StacksRead] = []

    def news(self, details: Details, dead: frozenset[int], known: Collection[int], room: _Room) -> Iterator[Event]:
        """The stacks of the processes in `known` that differ from what was said, as far as there is room."""
        if details is not self._details:
            self._details = details
            self._said = {pid: event for pid, event in self._said.items() if pid in known}
            order = {pid: place for place, pid in enumerate(self._said, 1)}
            news = [event for pid, event in details.stacks.items() if not _same(event, self._said.get(pid))]
            self._waiting = sorted(news, key=lambda event: (event.pid not in dead, order.get(event.pid, 0)))
        waiting, self._waiting = self._waiting, []
        for event in waiting:
            if event.pid not in known or not (room.has_some or event.pid in dead):
                self._waiting.append(event)
                continue
            self._said.pop(event.pid, None)
            self._said[event.pid] = event
            room.spend(weight(event))
            yield event


def _same(event: StacksRead, said: StacksRead | None) -> bool:
    return said is not None and (event.stacks, event.trouble) == (said.stacks, said.trouble)


class _Room:
    """Bytes that may be said: they are earned as time passes, and may be overdrawn once."""

    def __init__(self) -> None:
        self._bytes = float(SAVED_BYTES)
        self._last_s: float | None = None

    @property
    def has_some(self) -> bool:
        return self._bytes > 0

    def earn(self, now_s: float) -> None:
        """For the time since the last call."""
        if self._last_s is not None:
            self._bytes = min(SAVED_BYTES, self._bytes + (now_s - self._last_s) * BYTES_PER_S)
        self._last_s = now_s

    def spend(self, amount: int) -> None:
        self._bytes -= amount


def _cut(words: tuple[str, ...]) -> tuple[str, ...]:
    kept: list[str] = []
    left = MOST_COMMAND
    for word in words:
        if len(word) > left:
            return (*kept, word[:left] + "…")
        kept.append(word)
        left -= len(word) + 1
    return tuple(kept)
