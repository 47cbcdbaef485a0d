"""Which threads of a tree can ever run again, from two snapshots of it. Pure.

A thread lives when it moved, when a timer or something unseen may end its wait, or when a living thread could wake
it. Everything else is dead for ever: only dead threads could wake it. In doubt a thread lives, so that `dead` is never
said of a thread that can go on. Two things are not counted, because nothing shows them: somebody outside of the tree
who ends a process of it, and an interval timer that nobody handles, which ends its own process.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from signal import SIGABRT, SIGBUS, SIGCHLD, SIGFPE, SIGILL, SIGINT, SIGSEGV, SIGSYS, SIGTRAP, SIGWINCH

import msgspec

from .. import lastwords
from ..model import ProcessSnapshot, ThreadSnapshot, TreeSnapshot, Wait, WaitKind

# The second argument of the futex call says who waits (measured on glibc, x86-64).
PYTHON_LOCK_OP = 0x189  # FUTEX_WAIT_BITSET, private, realtime clock: glibc's sem_wait, and so CPython's locks
RUST_OP = 0x89  # FUTEX_WAIT_BITSET, private: Rust's standard library
PLAIN_OP = 0x80  # FUTEX_WAIT, private: libgomp; on musl CPython's locks as well

# Native code waits again after a signal, and a Python handler does not run before it returns.
NATIVE_OPS = frozenset({RUST_OP, PLAIN_OP})
NATIVE_OPS_ON_MUSL = frozenset({RUST_OP})

# Handlers that release nothing: CPython's own for Ctrl-C, glibc's two for threads, and those of faults, which a
# process raises in itself while it runs.
HARMLESS_SIGNALS = frozenset({int(SIGINT), 32, 33}) | {
    int(number) for number in (SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGSYS)
}

# Waits on open files, which a message can carry to another process, and which the end of a holder closes.
_ON_FILES = frozenset(
    {
        WaitKind.PIPE_READ,
        WaitKind.PIPE_WRITE,
        WaitKind.SOCKET,
        WaitKind.POLL,
        WaitKind.SELECT,
        WaitKind.EPOLL,
        WaitKind.EVENT,
        WaitKind.TIMER,
    }
)
# Waits that the end of another process may end.
_MORTAL = _ON_FILES | {WaitKind.CHILD}

# Programs that may end a process of which they know no more than the number. Others end only what is below them.
INTERPRETERS = ("python", "pypy", "bash", "dash", "zsh", "ksh", "fish", "sh", "busybox", "perl", "ruby", "node")

# Their handlers end what they have started, and then themselves, or change what they print: they wait on meanwhile.
_LAUNCHERS = frozenset({"make", "gmake", "remake"})

# The C library's sem_wait on shared memory, and so multiprocessing's locks.
_SEMAPHORE_OP = 0x109

_NAMED = 4
# The threads of a process with more than these are not told apart as wakers of each other.
_MANY = 64


class Liveness(msgspec.Struct, frozen=True, kw_only=True):
    """What two looks say about one thread.

    `why` says in words why it lives, or who, all of them dead, could wake it. `wakers` are (PID, TID), with None for
    any other thread of a process. An `ended` thread, the first one of a process that goes on without it, is neither.
    """

    pid: int
    tid: int
    live: bool
    why: str
    wakers: tuple[tuple[int, int | None], ...] = ()
    ended: bool = False


class Closure(msgspec.Struct, frozen=True, kw_only=True):
    """All threads of the second look, by TID."""

    threads: dict[int, Liveness]

    @property
    def dead_threads(self) -> tuple[Liveness, ...]:
        """The threads that can never run again."""
        return tuple(thread for thread in self.threads.values() if not (thread.live or thread.ended))

    @property
    def dead_processes(self) -> tuple[int, ...]:
        """The processes none of whose threads can ever run again."""
        living = {thread.pid for thread in self.threads.values() if thread.live}
        return tuple(dict.fromkeys(thread.pid for thread in self.threads.values() if thread.pid not in living))


def close(
    first: TreeSnapshot,
    second: TreeSnapshot,
    *,
    known_signals: frozenset[int] = frozenset(),
    idle: frozenset[int] = frozenset(),
) -> Closure:
    """The liveness of every thread in `second`.

    `first` has the waits, read before the threads of `second`. `known_signals` have handlers that are known to release
    nothing (faulthandler's). Threads in `idle` are known to wake nobody, and count as if they were not there: without
    a proof of that, nothing that follows from it is proven.
    """
    look = _Look(first, second, known_signals, idle)
    reasons = look.living()
    _propagate(look, reasons)
    threads = {
        thread.tid: _liveness(look, process, thread, reasons.get(thread.tid, ""))
        for process in second.processes
        for thread in process.threads
    }
    return Closure(threads=threads)


def _liveness(look: _Look, process: ProcessSnapshot, thread: ThreadSnapshot, reason: str) -> Liveness:
    wakers = tuple(look.wakers(process, thread.tid))
    wait = look.first.waits.get(thread.tid)
    ended = not reason and wait is not None and wait.kind is WaitKind.ENDED
    why = reason or ("it has ended" if ended else _dead(wakers))
    why = "it only sleeps, and wakes nobody" if thread.tid in look.idle else why
    return Liveness(pid=process.pid, tid=thread.tid, live=bool(reason), why=why, wakers=wakers, ended=ended)


class _Look:
    """Two snapshots, indexed. A process that is in one only counts as living, with all its threads."""

    def __init__(
        self, first: TreeSnapshot, second: TreeSnapshot, known_signals: frozenset[int], idle: frozenset[int]
    ) -> None:
        self.first, self.second, self.idle = first, second, idle
        self.before = {process.pid: process for process in first.processes}
        self.now = {process.pid: process for process in second.processes}
        harmless = HARMLESS_SIGNALS | known_signals
        by_readline = {pid: harmless | {int(SIGWINCH)} for pid in first.readline}  # a handler in C: it sets a flag
        caught = {p.pid: _caught(p, by_readline.get(p.pid, harmless)) - self._asked(p) for p in second.processes}
        self.on_child_end = {pid for pid, numbers in caught.items() if int(SIGCHLD) in numbers}
        self.handled = {pid: numbers - {int(SIGCHLD)} for pid, numbers in caught.items()}
        self.moved = {tid: why for tid, why in self._movements() if tid not in idle}
        self.restless = self._restless()
        self._tenders: dict[int, tuple[int, ...]] = {}
        self.children: dict[int, list[int]] = {}
        for process in (*first.processes, *second.processes):
            self.children.setdefault(process.ppid, []).append(process.pid)

    def _asked(self, process: ProcessSnapshot) -> frozenset[int]:
        """The signal by which a process of cvdebug's own runs is asked for its stack; its handler writes that."""
        files = (item.link for item in self.first.descriptors.get(process.pid, ()))
        return frozenset({int(lastwords.SIGNAL)}) if any(map(lastwords.is_file, files)) else frozenset()

    def living(self) -> dict[int, str]:
        """Threads that live whatever the others do, by TID, with the reason."""
        travelling = self._travelling()
        found = {}
        for process in self.second.processes:
            for thread in process.threads:
                reason = self.moved.get(thread.tid) or self._standing(process, thread.tid, travelling)
                if reason and thread.tid not in self.idle:
                    found[thread.tid] = reason
        return found

    def pids(self, process: ProcessSnapshot, tid: int) -> Iterator[int]:
        """The processes any thread of which may end the thread's wait."""
        wait = self.first.waits.get(tid)
        yield from wait.pids if wait else ()
        if self.ended_by_sigchld(process, tid, wait):
            yield from self.children.get(process.pid, ())

    def ended_by_sigchld(self, process: ProcessSnapshot, tid: int, wait: Wait | None) -> bool:
        """Whether the end of a child would run a handler that may end this wait."""
        return process.pid in self.on_child_end and self._released_by_handler(process, tid, wait)

    def wakers(self, process: ProcessSnapshot, tid: int) -> Iterator[tuple[int, int | None]]:
        """The same in threads where they are of the same process, if it has not too many."""
        for pid in dict.fromkeys(self.pids(process, tid)):
            if pid != process.pid or len(process.threads) > _MANY:
                yield pid, None
            else:
                yield from ((pid, other.tid) for other in process.threads if other.tid != tid)

    def _movements(self) -> Iterator[tuple[int, str]]:
        """Threads that were not blocked from one look to the other, with the reason."""
        for pid, process in self.now.items():
            old = self.before.get(pid)
            same = old is not None and old.start_ticks == process.start_ticks
            earlier = {thread.tid: thread for thread in old.threads} if old is not None and same else {}
            for thread in process.threads:
                if thread.tid not in earlier:
                    yield thread.tid, "it appeared between the two looks"
                elif not _slept(earlier[thread.tid], thread):
                    yield thread.tid, "it runs" if thread.state == "R" else "it moved between the two looks"

    def _restless(self) -> set[int]:
        """Processes of which something moved, appeared or ended."""
        found = self.before.keys() ^ self.now.keys()
        for pid, process in self.now.items():
            old = self.before.get(pid)
            if old is not None and {t.tid for t in old.threads} - {t.tid for t in process.threads}:
                found.add(pid)
            if any(thread.tid in self.moved for thread in process.threads):
                found.add(pid)
        return found

    def _travelling(self) -> bool:
        """Whether an open file may have hopped from process to process, out of sight of the look."""
        for group in self.first.couriers:
            restless = group & self.restless
            outside = group - self.now.keys() - self.before.keys()
            if restless and len(restless) + len(outside) > 1:
                return True
        return False

    def _standing(self, process: ProcessSnapshot, tid: int, travelling: bool) -> str:
        wait = self.first.waits.get(tid)
        if wait is None:
            return "what it waits for was not seen"
        if wait.kind is WaitKind.ENDED:
            return ""
        if wait.external or process.frozen:
            return wait.external or "a cgroup freezes it, until somebody thaws it"
        if wait.timed:
            return "a timer ends its wait"
        if wait.kind in _ON_FILES and travelling:
            return "open files travel between processes that move"
        return self._by_signal(process, tid, wait) or self._by_stranger(wait)

    def _by_stranger(self, wait: Wait) -> str:
        strangers = [pid for pid in wait.pids if pid not in self.now or pid not in self.before]
        return f"PID {strangers[0]}, which came, went or is not in the tree, could wake it" if strangers else ""

    def _by_signal(self, process: ProcessSnapshot, tid: int, wait: Wait) -> str:
        """A Python handler runs on the main thread and may end its wait; a handler in C may do anything."""
        handled = self.handled.get(process.pid)
        if not handled or not self._released_by_handler(process, tid, wait):
            return ""
        return f"a handler for signal {', '.join(map(str, sorted(handled)))} could end its wait"

    def _released_by_handler(self, process: ProcessSnapshot, tid: int, wait: Wait | None) -> bool:
        if wait is not None and wait.kind is WaitKind.CHILD and self._program(process.pid) in _LAUNCHERS:
            return False
        if wait is None or not self._program(process.pid).startswith(("python", "pypy")):
            return True
        if tid == process.pid:
            return not self._is_native(process, wait)
        # Python's wake-up descriptor: the handler in C writes to it, whichever thread reads.
        return wait.kind in _ON_FILES and process.pid in wait.pids

    def _is_native(self, process: ProcessSnapshot, wait: Wait | None) -> bool:
        """Native code waits again after a signal, and a Python handler does not run before it returns."""
        native = NATIVE_OPS_ON_MUSL if process.pid in self.first.musl else NATIVE_OPS
        return wait is not None and wait.kind is WaitKind.FUTEX and not wait.timed and wait.op in native

    def _program(self, pid: int) -> str:
        return self.first.programs.get(pid, "")

    def ends_others(self, pid: int) -> bool:
        """Whether a living process may know the others' numbers, and end them: a supervisor."""
        process = self.now.get(pid) or self.before[pid]
        program = self._program(pid)
        return process.forked or not program or program.startswith(INTERPRETERS)

    def tenders(self, pid: int) -> tuple[int, ...]:
        """Those above a process, inside the tree, that end no others."""
        if pid not in self._tenders:
            process = self.now.get(pid)
            parent = self.now.get(process.ppid) if process is not None else None
            self._tenders[pid] = ()  # a circle, which a reused PID can draw, ends here
            if parent is not None:
                own = () if self.ends_others(parent.pid) else (parent.pid,)
                self._tenders[pid] = own + self.tenders(parent.pid)
        return self._tenders[pid]


def _caught(process: ProcessSnapshot, harmless: frozenset[int]) -> frozenset[int]:
    """The signals whose handlers may release something."""
    mask = process.signals_caught
    return frozenset(n for n in range(1, mask.bit_length() + 1) if mask >> (n - 1) & 1) - harmless


def _slept(old: ThreadSnapshot, new: ThreadSnapshot) -> bool:
    return (old.state, old.syscall, old.switches) == (new.state, new.syscall, new.switches) and new.state not in "R"


def _propagate(look: _Look, reasons: dict[int, str]) -> None:
    """Adds to `reasons` every thread that a living one could wake, until nothing is added."""
    waiters = _waiters(look, reasons)
    owner = {thread.tid: process.pid for process in look.second.processes for thread in process.threads}
    awake = list(dict.fromkeys([*look.restless, *(owner[tid] for tid in reasons)]))
    seen = set(awake)
    for pid in awake:
        woken = dict.fromkeys(waiters.waking.get(pid, ()), f"PID {pid}, which lives, could wake it")
        ended = [*(waiters.mortal if look.ends_others(pid) else ()), *waiters.below.get(pid, ())]
        for tid, why in (dict.fromkeys(ended, f"PID {pid}, which lives, could end whom it waits for") | woken).items():
            if tid not in reasons:
                reasons[tid] = why
                if owner[tid] not in seen:
                    seen.add(owner[tid])
                    awake.append(owner[tid])


class _Waiters(msgspec.Struct):
    """The threads that are not known to live. `waking` by the process that could wake them, `below` by one that could
    end whom they wait for, `mortal` all those that wait for somebody who could be ended."""

    waking: dict[int, list[int]]
    below: dict[int, list[int]]
    mortal: list[int]


def _waiters(look: _Look, reasons: Mapping[int, str]) -> _Waiters:
    found = _Waiters({}, {}, [])
    for process in look.second.processes:
        for tid in (thread.tid for thread in process.threads if thread.tid not in reasons):
            pids = list(look.pids(process, tid))
            for pid in pids:
                found.waking.setdefault(pid, []).append(tid)
            others = [pid for pid in pids if pid != process.pid]
            wait = look.first.waits.get(tid)  # none of an idle thread that has just appeared
            if wait is not None and others and (_is_mortal(wait) or look.ended_by_sigchld(process, tid, wait)):
                found.mortal.append(tid)
                for pid in {above for other in others for above in look.tenders(other)}:
                    found.below.setdefault(pid, []).append(tid)
    return found


def _is_mortal(wait: Wait) -> bool:
    """Whether the end of another process may end the wait. A semaphore does not notice; a robust mutex does."""
    return wait.kind in _MORTAL or (wait.kind is WaitKind.SHARED_FUTEX and wait.op != _SEMAPHORE_OP)


def _dead(wakers: Iterable[tuple[int, int | None]]) -> str:
    names = [f"thread {tid} of PID {pid}" if tid is not None else f"PID {pid}" for pid, tid in wakers]
    if not names:
        return "nobody could wake it"
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"only dead threads could wake it: {', '.join(names[:_NAMED])}{more}"
