"""The types that several rooms share: phases, snapshots of processes, stacks, verdicts.

Everything here is frozen and turns into JSON as it stands. No I/O, no clock.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Phase(StrEnum):
    """The phases of a run, in the order in which they happen."""

    LOAD = "load"
    TOKENIZE = "tokenize"
    EMBED = "embed"
    CLEANUP = "cleanup"
    CONVERT = "convert"
    STORE = "store"
    INDEX = "index"
    VERIFY = "verify"


class Strategy(StrEnum):
    """The ways to finish a hung run."""

    RELEASE = "release"  # end only the proven-dead workers; the subject goes on
    UNBLOCK = "unblock"  # end the database session that holds the lock; the subject goes on
    SERIAL = "serial"  # a new subject with TOKENIZERS_PARALLELISM=false
    SPAWN = "spawn"
    FORKSERVER = "forkserver"
    THREAD = "thread"


class ThreadSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """One thread as /proc shows it at one moment.

    `syscall` is the line of /proc/PID/task/TID/syscall as numbers: (number, six arguments, stack pointer,
    program counter); None when the thread runs, has just moved, or the file may not be read.
    `switches` counts voluntary and involuntary context switches since the thread's birth.
    """

    tid: int
    name: str
    state: str
    syscall: tuple[int, ...] | None
    wchan: str
    switches: int
    cpu_ticks: int


class ProcessSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """One process with its threads. `start_ticks` (clock ticks since boot) tells a reused PID from the old one.

    `signals_caught` is the SigCgt mask: bit n-1 is set when signal n has a handler.
    `frozen` says that a cgroup at or above the process is frozen, so that its stillness proves nothing.
    `forked` says that it has not called execve since the fork that made it: it lives on its parent's memory.
    """

    pid: int
    ppid: int
    start_ticks: int
    state: str
    cmdline: tuple[str, ...]
    rss_bytes: int
    signals_caught: int
    frozen: bool
    threads: tuple[ThreadSnapshot, ...]
    forked: bool = False


class WaitKind(StrEnum):
    """What a thread is blocked on."""

    RUNNING = "running"
    FUTEX = "futex"  # of one address space: only a thread that shares it can wake the waiter
    SHARED_FUTEX = "shared-futex"
    PIPE_READ = "pipe-read"
    PIPE_WRITE = "pipe-write"
    SOCKET = "socket"
    ACCEPT = "accept"
    POLL = "poll"  # poll, ppoll
    SELECT = "select"  # select, pselect
    EPOLL = "epoll"
    EVENT = "eventfd"
    TIMER = "timerfd"
    CHILD = "child"
    VFORK = "vfork"
    SLEEP = "sleep"
    SIGNAL = "signal"
    FILE_LOCK = "file-lock"
    FILE = "file"
    TERMINAL = "terminal"
    IPC = "ipc"  # message queues and semaphores of System V and POSIX
    IO_URING = "io-uring"
    DISK = "disk"
    STOPPED = "stopped"
    TRACED = "traced"
    FROZEN = "frozen"
    ENDED = "ended"
    UNKNOWN = "unknown"


class Wait(msgspec.Struct, frozen=True, kw_only=True):
    """What one thread waits for, and who could end it.

    `text` is a phrase that follows the thread's name ("waits for data on pipe 12345, whose write end is held by
    PID 7"). `timed` says that a timeout ends it. `external` says in words what outside of the tree, or unseen, could
    end it; it is empty when only threads of the processes `pids` could (the waiting thread itself excepted).
    `pids` names all that could be seen, processes outside of the tree too. `inodes` and `address` are what it waits
    on: pipes and sockets, or the futex. `rest_s` is how long a timer leaves it at most, None where that is not known.
    """

    kind: WaitKind
    text: str
    timed: bool = False
    external: str = ""
    pids: tuple[int, ...] = ()
    inodes: tuple[int, ...] = ()
    address: int = 0
    op: int = 0
    rest_s: float | None = None


class DescriptorKind(StrEnum):
    """What a file descriptor stands for, as far as waits are concerned."""

    PIPE = "pipe"
    SOCKET = "socket"
    EVENTFD = "eventfd"
    EPOLL = "epoll"
    TIMERFD = "timerfd"
    PIDFD = "pidfd"
    OTHER = "other"


class Descriptor(msgspec.Struct, frozen=True):
    """An open file descriptor. `inode` is 0 where the kernel gives the object none of its own; `link` names it."""

    fd: int
    kind: DescriptorKind
    inode: int
    link: str


class TreeSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A tree of processes at one moment, with what its threads wait for.

    `at_s` is monotonic. `processes` has the root first. `waits` is by TID; empty when only the threads were looked at.
    `programs` is each process's executable without its folder, "" when that cannot be read. `musl` are the
    processes on that C library, `readline` those in which that library is at hand. `couriers` are groups of
    processes, inside and outside of the tree, that a unix socket connects: descriptors can travel between them; PID
    0 stands for somebody who cannot be seen. `titles` are the command lines of the processes outside that a wait
    names. `not_seen` says in sentences what could not be seen.
    """

    root: int
    at_s: float
    processes: tuple[ProcessSnapshot, ...]
    waits: dict[int, Wait] = {}
    descriptors: dict[int, tuple[Descriptor, ...]] = {}
    programs: dict[int, str] = {}
    musl: frozenset[int] = frozenset()
    readline: frozenset[int] = frozenset()
    couriers: tuple[frozenset[int], ...] = ()
    titles: dict[int, str] = {}
    not_seen: tuple[str, ...] = ()


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """One frame of a stack. `module` is a shared object's path (native) or a dotted module; line 0 means unknown."""

    function: str
    file: str = ""
    module: str = ""
    line: int = 0
    native: bool = False


class Stack(msgspec.Struct, frozen=True, kw_only=True):
    """One thread's stack, innermost frame first. `on_cpu`: it was not asleep while it was read.

    `raw` holds, by its place in `frames`, the name of a native frame as the symbol table has it, where it was made
    readable.
    """

    tid: int
    name: str
    frames: tuple[Frame, ...]
    owns_gil: bool = False
    on_cpu: bool = True
    raw: dict[int, str] = {}


class Certainty(StrEnum):
    """How sure a verdict is, strongest first."""

    PROVEN = "proven"  # nothing can ever wake it
    CERTAIN = "certain"  # the facts admit nothing else
    LIKELY = "likely"
    NOT_HUNG = "not-hung"
    UNDECIDED = "undecided"


# What is said with these hangs.
HANGS = (Certainty.PROVEN, Certainty.CERTAIN, Certainty.LIKELY)


class Culprit(msgspec.Struct, frozen=True, kw_only=True):
    """A thread that a verdict is about."""

    pid: int
    tid: int
    role: str = ""


class Remedy(msgspec.Struct, frozen=True, kw_only=True):
    """One way out: what to do, what it costs, and where possible the exact command."""

    title: str
    cost: str
    command: str = ""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """A named cause with its certainty, evidence that a person can check by hand, and the ways out."""

    slug: str
    title: str
    certainty: Certainty
    culprits: tuple[Culprit, ...]
    evidence: tuple[str, ...]
    explanation: str
    fixes: tuple[Remedy, ...]
    disproof: str
    links: tuple[str, ...] = ()


class NodeKind(StrEnum):
    """What stands in the graph."""

    THREAD = "thread"
    PROCESS = "process"
    BACKEND = "backend"  # a PostgreSQL server process
    OUTSIDE = "outside"  # another process that is not in the tree
    REMOTE = "remote"  # somebody who cannot be seen: a peer elsewhere, a terminal, a timer


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """`id` is `PID` for a process, `PID/TID` for a thread. `live` is None where that is not known."""

    id: str
    kind: NodeKind
    label: str
    pid: int = 0
    tid: int = 0
    live: bool | None = None


class Edge(msgspec.Struct, frozen=True, kw_only=True):
    """`source` waits for `target`: any thread of it may end the wait. `text` says what for."""

    source: str
    target: str
    kind: WaitKind
    text: str


class Graph(msgspec.Struct, frozen=True, kw_only=True):
    """Nodes by their IDs in the edges.

    `stuck` are the dead threads, `heart` those of them that all others wait for, `cycles` the groups of the heart that
    wait for each other, and `dead_ends` its threads that nobody at all could wake.
    """

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    stuck: tuple[str, ...] = ()
    heart: tuple[str, ...] = ()
    cycles: tuple[tuple[str, ...], ...] = ()
    dead_ends: tuple[str, ...] = ()


class DatabaseSession(msgspec.Struct, frozen=True, kw_only=True):
    """One row of pg_stat_activity. Times in seconds; `blockers` are the PIDs of pg_blocking_pids().

    `pid` is the backend's as the server counts. In `query` what stood between quotes is left out. `lock` is what it
    waits for (`AccessExclusiveLock on relation chunks`). `client_pids` are the processes of the tree that hold its
    connection, where that is TCP.
    """

    pid: int
    user: str
    database: str
    application: str
    state: str
    wait: str
    since_s: float
    query: str
    blockers: tuple[int, ...] = ()
    lock: str = ""
    client_pids: tuple[int, ...] = ()


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """One row of pg_stat_progress_create_index or pg_stat_progress_copy. 0 where the server does not say.

    `done` of `total` are in `unit`; `rows` were taken in. `dimensions` are those of the table's vectors.
    """

    pid: int
    command: str
    phase: str
    done: int
    total: int
    unit: str
    locker: int = 0
    rows: int = 0
    dimensions: int = 0
