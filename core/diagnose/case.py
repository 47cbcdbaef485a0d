"""All that is known about one tree of processes: what the rules judge. No I/O."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cached_property

import msgspec

from ..model import Culprit, Frame, Graph, ProcessSnapshot, Stack, ThreadSnapshot, TreeSnapshot, Wait, WaitKind
from ..observe.lockfiles import PolledLock
from ..observe.semaphores import Semaphore
from ..observe.surroundings import Surroundings
from .closure import Closure, Liveness
from .graph import build
from .listing import Idleness

# What tokenizers takes for false, in any case; everything else that is set is true (its utils/parallelism.rs).
_FALSE_VALUES = frozenset({"", "off", "false", "f", "no", "n", "0"})
# Where Python code waits for the end of its workers, and where for what they compute.
_ENDS = (
    ("multiprocessing/process.py", ("join",)),
    ("multiprocessing/pool.py", ("join",)),
    ("concurrent/futures/process.py", ("shutdown",)),
    ("multiprocessing/util.py", ("_exit_function",)),
)
_RESULTS = (
    ("multiprocessing/pool.py", ("get", "wait", "next", "map", "starmap", "apply")),
    ("concurrent/futures/_base.py", ("result", "exception", "wait", "as_completed", "result_iterator")),
    ("multiprocessing/queues.py", ("get",)),
    ("multiprocessing/connection.py", ("recv", "recv_bytes")),
)
TICK_S = 1 / os.sysconf("SC_CLK_TCK")


class Variable(msgspec.Struct, frozen=True, kw_only=True):
    """An environment variable as the process sees it now. `unknown` says why it could not be read, or is empty."""

    name: str
    value: str | None = None
    unknown: str = ""

    @property
    def is_true(self) -> bool:
        """Whether tokenizers takes it for an explicit yes. Not set, or not readable, is none."""
        return not self.unknown and self.value is not None and self.value.lower() not in _FALSE_VALUES


class Case(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """One tree, looked at twice, with stacks and surroundings.

    `first` has the waits; `second` the same threads a moment later. `stacks` are by TID, innermost frame first, with
    native frames for processes that are dead; only threads that ran Python have one. `no_stacks` says by PID why
    py-spy gave none; `alike`, by PID, names a process that it looks like, from which its native frames were taken over.
    `sources` are, by TID, the texts of the innermost Python lines. `parallelism` is the live
    TOKENIZERS_PARALLELISM of dead processes, and of forked ones that wait in Rust, by PID. `lock_files` are, by
    TID, those that a thread polls. `roles` names processes that are known. `seen` are the PIDs of the tree at
    several moments between the looks. `stirred` are living threads that had moved again when the stacks had been
    read: theirs may be of later than the looks. `semaphores` are, by TID, the shared semaphores that resting
    threads wait for, with who holds them. `result_pending` says whether the root waits for a result of a worker,
    where its owner knows. `held` are, by TID, the locks that the source says a thread holds where it stands; `idle`
    are living threads that, by their source, only sleep, and can wake nobody. `without_idle`: the closure does not
    count these (see `idlers`); `without_handlers`: nor handlers for signals that ask to end. `known_signals` have
    handlers that release nothing. `notes` are what the owner of the run knows about it, as evidence.
    """

    first: TreeSnapshot
    second: TreeSnapshot
    closure: Closure
    surroundings: Surroundings = Surroundings()
    stacks: dict[int, Stack] = {}
    no_stacks: dict[int, str] = {}
    alike: dict[int, int] = {}
    sources: dict[int, str] = {}
    parallelism: dict[int, Variable] = {}
    lock_files: dict[int, PolledLock] = {}
    roles: dict[int, str] = {}
    seen: tuple[frozenset[int], ...] = ()
    stirred: frozenset[int] = frozenset()
    semaphores: dict[int, Semaphore] = {}
    result_pending: bool | None = None
    held: dict[int, tuple[str, ...]] = {}
    idle: dict[int, Idleness] = {}
    without_idle: bool = False
    without_handlers: bool = False
    known_signals: frozenset[int] = frozenset()
    notes: tuple[str, ...] = ()

    # the tree

    @property
    def root(self) -> int:
        """The PID of the root."""
        return self.second.root

    @property
    def gap_s(self) -> float:
        """The time between the two looks."""
        return self.second.at_s - self.first.at_s

    @cached_property
    def processes(self) -> dict[int, ProcessSnapshot]:
        """Of the second look, by PID, the root first."""
        return {process.pid: process for process in self.second.processes}

    @cached_property
    def before(self) -> dict[int, ProcessSnapshot]:
        """Of the first look, by PID."""
        return {process.pid: process for process in self.first.processes}

    def threads(self, pid: int) -> tuple[ThreadSnapshot, ...]:
        """The threads of a process, the main thread first; none when it is not in the tree."""
        process = self.processes.get(pid)
        return process.threads if process else ()

    @cached_property
    def children(self) -> dict[int, tuple[int, ...]]:
        """The children of each process that has some, by PID."""
        found: dict[int, tuple[int, ...]] = {}
        for process in self.second.processes:
            found[process.ppid] = (*found.get(process.ppid, ()), process.pid)
        return found

    def parent(self, pid: int) -> ProcessSnapshot | None:
        """The parent, where it is in the tree."""
        process = self.processes.get(pid)
        return self.processes.get(process.ppid) if process else None

    @cached_property
    def _owners(self) -> dict[int, int]:
        both = (*self.first.processes, *self.second.processes)
        return {thread.tid: process.pid for process in both for thread in process.threads}

    @cached_property
    def _then(self) -> dict[tuple[int, int], ThreadSnapshot]:
        return _by_number(self.first)

    @cached_property
    def _now(self) -> dict[tuple[int, int], ThreadSnapshot]:
        return _by_number(self.second)

    def owner(self, tid: int) -> int:
        """The PID of a thread of the tree, or of one that has ended since the first look.

        Of a thread that nobody saw it is its own number: rules are never stopped by what vanishes.
        """
        return self._owners.get(tid, tid)

    def thread(self, tid: int) -> ThreadSnapshot | None:
        """A thread in the second look; None when it has ended."""
        return self._now.get((self.owner(tid), tid))

    def thread_before(self, tid: int) -> ThreadSnapshot | None:
        """A thread in the first look; None when it appeared after it."""
        return self._then.get((self.owner(tid), tid))

    # waits and life

    @cached_property
    def graph(self) -> Graph:
        """Who waits for whom."""
        return build(self.first, self.closure)

    def wait(self, tid: int) -> Wait:
        """What a thread waits for; UNKNOWN for one that appeared after the first look."""
        return self.first.waits.get(tid) or Wait(kind=WaitKind.UNKNOWN, text="was not seen waiting", external="unseen")

    def liveness(self, tid: int) -> Liveness:
        """Whether a thread can ever run again, and why. One that has ended since the first look moved."""
        gone = Liveness(pid=self.owner(tid), tid=tid, live=True, why="it has ended since the first look")
        return self.closure.threads.get(tid, gone)

    def is_dead(self, tid: int) -> bool:
        """Whether a thread can never run again."""
        thread = self.closure.threads.get(tid)
        return thread is not None and not thread.live and not thread.ended

    @cached_property
    def dead_processes(self) -> tuple[int, ...]:
        """The processes none of whose threads can ever run again."""
        return tuple(pid for pid in self.closure.dead_processes if any(self.is_dead(t.tid) for t in self.threads(pid)))

    def is_dead_child(self, pid: int) -> bool:
        """Whether a process was forked and is dead, and has the one thread that a fork leaves."""
        process = self.processes.get(pid)
        return process is not None and process.forked and len(process.threads) == 1 and pid in self.dead_processes

    # motion between the looks

    def cpu_share(self, tid: int) -> float:
        """The part of one core that a thread used between the looks, 0 to 1; coarse: the kernel counts in 10 ms."""
        old, new = self.thread_before(tid), self.thread(tid)
        if old is None or new is None or self.gap_s <= 0:
            return 0.0
        return (new.cpu_ticks - old.cpu_ticks) * TICK_S / self.gap_s

    def process_share(self, pid: int) -> float:
        """The part of one core that all threads of a process used between the looks; above 1 with several cores."""
        return sum(self.cpu_share(thread.tid) for thread in self.threads(pid))

    def switches_per_s(self, tid: int) -> float:
        """The context switches of a thread between the looks, a second."""
        old, new = self.thread_before(tid), self.thread(tid)
        if old is None or new is None or self.gap_s <= 0:
            return 0.0
        return (new.switches - old.switches) / self.gap_s

    def moved(self, tid: int) -> bool:
        """Whether a thread did anything between the looks, or until its stack was read, or appeared."""
        old, new = self.thread_before(tid), self.thread(tid)
        if old is None or new is None or tid in self.stirred:
            return True
        return (old.switches, old.cpu_ticks) != (new.switches, new.cpu_ticks)

    @cached_property
    def awaited(self) -> tuple[int, ...]:
        """The threads that the root's main thread waits for, itself first: directly, or through others that wait."""
        found: dict[int, None] = {self.root: None}
        whole: set[int] = set()
        queue = [self.root]
        for tid in queue:
            thread = self.closure.threads.get(tid)
            for pid, waker in thread.wakers if thread else ():
                if waker is None and pid in whole:
                    continue
                tids = [waker] if waker is not None else [other.tid for other in self.threads(pid)]
                whole.update([pid] if waker is None else [])
                queue.extend(other for other in tids if other not in found)
                found.update(dict.fromkeys(tids))
        return tuple(found)

    # stacks

    def frames(self, tid: int) -> tuple[Frame, ...]:
        """The stack of a thread, innermost first; empty when it has none that could be read."""
        stack = self.stacks.get(tid)
        return stack.frames if stack else ()

    def native_frames(self, tid: int) -> tuple[Frame, ...]:
        """The native frames inside of the innermost Python frame: what that line is blocked in."""
        return tuple(_until_python(self.frames(tid)))

    def python_frames(self, tid: int) -> tuple[Frame, ...]:
        """The Python frames, innermost first."""
        return self._python_frames.get(tid, ())

    @cached_property
    def _python_frames(self) -> dict[int, tuple[Frame, ...]]:
        stacks = self.stacks.items()
        return {tid: tuple(frame for frame in stack.frames if not frame.native) for tid, stack in stacks}

    def python_frame(self, tid: int) -> Frame | None:
        """The innermost Python frame."""
        return next(iter(self.python_frames(tid)), None)

    def inside(self, tid: int, file: str, *functions: str) -> bool:
        """Whether a Python frame of the thread is in one of the functions of a file: `("queue.py", "put")`.

        `file` is the end of the path; functions are compared without their class.
        """
        return any(is_call(frame, file, *functions) for frame in self.python_frames(tid))

    def innermost(self, tid: int, file: str, *functions: str) -> bool:
        """The same of the innermost Python frame alone."""
        frame = self.python_frame(tid)
        return frame is not None and is_call(frame, file, *functions)

    def waits_for_result(self, pid: int) -> bool | None:
        """Whether the main thread of a process waits for a result of a worker, and not only for its end.

        None when that cannot be told.
        """
        if pid == self.root and self.result_pending is not None:
            return self.result_pending
        frames = self.python_frames(pid)
        if any(is_call(frame, file, *names) for frame in frames for file, names in _ENDS):
            return False
        return True if any(is_call(frame, file, *names) for frame in frames for file, names in _RESULTS) else None

    # names

    def culprit(self, tid: int) -> Culprit:
        """A thread as a verdict names it."""
        pid = self.owner(tid)
        return Culprit(pid=pid, tid=tid, role=self.roles.get(pid, ""))

    def who(self, tid: int) -> str:
        """A thread in words: by role or PID, with its own number when it is not the main thread."""
        return who(self.culprit(tid))


def who(culprit: Culprit) -> str:
    """A thread in words: by role or PID, with its own number when it is not the main thread."""
    process = f"{culprit.role} (PID {culprit.pid})" if culprit.role else f"PID {culprit.pid}"
    return process if culprit.tid == culprit.pid else f"thread {culprit.tid} of {process}"


def is_call(frame: Frame, file: str, *functions: str) -> bool:
    """Whether a Python frame is in one of the functions of a file, given by the end of its path."""
    return frame.file.endswith(file) and frame.function.rpartition(".")[2] in functions


def _by_number(snapshot: TreeSnapshot) -> dict[tuple[int, int], ThreadSnapshot]:
    return {(process.pid, thread.tid): thread for process in snapshot.processes for thread in process.threads}


def _until_python(frames: tuple[Frame, ...]) -> Iterator[Frame]:
    for frame in frames:
        if not frame.native:
            return
        yield frame
