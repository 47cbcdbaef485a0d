"""A whole tree of processes at one moment: threads, descriptors, what each thread waits for, and what was not seen.

A look is two snapshots: `take` reads the threads and then who holds what they wait on; `retake` reads the threads
once more. Between the two, a thread that shows no movement was blocked all the time, and the holders were read while
it was. Nothing is stopped, signalled or written to.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Collection, Iterable, Mapping

from ..model import Descriptor, ProcessSnapshot, ThreadSnapshot, TreeSnapshot, Wait, WaitKind
from . import environment, handlers, memory, permissions, portable, proc
from .kernel import read
from .proc import FUTEX_WAIT
from .waits import Request, decode
from .wakers import resolve
from .world import World

# The lock of musl's C library looks like libgomp's on glibc.
_PLAIN_OP = 0x80 | FUTEX_WAIT
_GONE = frozenset("Xx")
# How often a thread is looked at that moves while it is.
_TRIES = 2
# Elsewhere `portable` gives what psutil does.
LINUX = sys.platform == "linux"

# A process by PID and start time (clock ticks since boot), which tells a reused PID.
Known = tuple[int, int]


def take(root: int, *, known: Iterable[Known] = ()) -> TreeSnapshot:
    """The tree of `root` with all that its threads wait for; no processes when `root` is gone.

    The tree has the descendants of `root`, what is left of its session when it leads one, and those of `known` that
    still live: orphans that were seen below it before.
    """
    if not LINUX:
        return portable.take(root)
    at_s = time.monotonic()
    processes = _processes(root, known)
    world = World(processes)
    waits = {thread.tid: _wait(process, thread, world) for process in processes.values() for thread in process.threads}
    return TreeSnapshot(
        root=root,
        at_s=at_s,
        processes=tuple(processes.values()),
        waits=waits,
        descriptors={pid: found for pid in processes if (found := _descriptors(pid, world))},
        programs={pid: _program(pid) for pid in processes},
        musl=frozenset(pid for pid, process in processes.items() if _may_be_musl(process, waits)),
        readline=frozenset(pid for pid, process in processes.items() if _has_readline(process)),
        couriers=world.couriers,
        titles=_titles(waits, processes),
        not_seen=tuple(_not_seen(processes, world)),
    )


def retake(first: TreeSnapshot) -> TreeSnapshot:
    """The threads of the same tree now, with whatever was added to it, and without their waits."""
    if not LINUX:
        return portable.take(first.root)
    at_s = time.monotonic()
    pids = members(first.root, [(process.pid, process.start_ticks) for process in first.processes])
    known = [process for process in first.processes if process.pid in pids]
    processes = proc.snapshot_again(known) | proc.snapshot(set(pids) - {process.pid for process in known})
    return TreeSnapshot(root=first.root, at_s=at_s, processes=tuple(processes.values()))


def snapshot(root: int) -> tuple[ProcessSnapshot, ...]:
    """The processes of the tree alone, the root first; none when it is gone."""
    return tuple(_processes(root, ()).values()) if LINUX else portable.take(root).processes


def members(root: int, known: Iterable[Known] = ()) -> list[int]:
    """The PIDs of the tree, root first, parents before children; empty when the root is gone.

    A process whose first thread has ended counts as long as another thread of it lives. The process that looks, and
    what it started, does not belong to the tree, unless it is the root.
    """
    if not LINUX:
        return portable.members(root)
    rows = dict(_rows())
    if root not in rows:
        return []
    remembered = dict(known)
    children: dict[int, list[int]] = {}
    orphans = []
    for pid, (parent, session, start_ticks) in rows.items():
        children.setdefault(parent, []).append(pid)
        if session == root or remembered.get(pid) == start_ticks:
            orphans.append(pid)
    found: dict[int, None] = {}
    for top in (root, *orphans):
        found.update(dict.fromkeys(_below(top, children)))
    return _without_ourselves(root, list(found), children)


def _below(top: int, children: Mapping[int, list[int]]) -> list[int]:
    """`top` and its descendants, parents before children. A reused PID may draw a circle."""
    found = {top: None}
    queue = [top]
    for pid in queue:
        new = [child for child in children.get(pid, ()) if child not in found]
        found.update(dict.fromkeys(new))
        queue.extend(new)
    return queue


def _without_ourselves(root: int, pids: list[int], children: Mapping[int, list[int]]) -> list[int]:
    """Without the process that looks and what it started, where it looks at a tree that it belongs to."""
    me = os.getpid()
    if me == root or me not in pids:
        return pids
    ours = set(_below(me, children))
    return pids if root in ours else [pid for pid in pids if pid not in ours]


def _rows() -> Iterable[tuple[int, tuple[int, int, int]]]:
    """(PID, (parent, session, start time)) of every living process."""
    for name in os.listdir("/proc"):
        if name.isdigit() and (row := parse_row(read(f"/proc/{name}/stat"))) is not None:
            yield int(name), row


def parse_row(text: bytes) -> tuple[int, int, int] | None:
    """Parent, session and start time of a stat line; None when it is cut short, or the process has ended for good."""
    fields = text[text.rfind(b")") + 1 :].split(None, 20)
    if len(fields) < 21 or fields[0].decode("ascii", "replace") in _GONE:
        return None
    try:
        parent, session, threads, start_ticks = (int(fields[n]) for n in (1, 3, 17, 19))
    except ValueError:
        return None
    return None if fields[0] == b"Z" and threads <= 1 else (parent, session, start_ticks)


def _processes(root: int, known: Iterable[Known]) -> dict[int, ProcessSnapshot]:
    return proc.snapshot(members(root, known))


def _wait(process: ProcessSnapshot, thread: ThreadSnapshot | None, world: World) -> Wait:
    """What lies in memory counts only while the thread still rests in the call that refers to it."""
    for _ in range(_TRIES):
        if thread is None:
            break
        read_memory = _Memory(process.pid)
        request = decode(thread, read_memory, frozen=process.frozen)
        if not read_memory.was_read or not _has_moved(process.pid, thread):
            return resolve(process, request, world)
        thread = proc.thread(process.pid, thread.tid)
    return resolve(process, Request(kind=WaitKind.RUNNING, external="it runs"), world)


class _Memory:
    """Reads the memory of a process, and remembers whether it was asked to."""

    def __init__(self, pid: int) -> None:
        self._pid, self.was_read = pid, False

    def __call__(self, address: int, size: int) -> bytes:
        self.was_read = True
        return memory.read_bytes(self._pid, address, size)


def _has_moved(pid: int, thread: ThreadSnapshot) -> bool:
    """Whether the thread has run since it was looked at, or runs now: it is counted only when it rests again."""
    status = read(f"/proc/{pid}/task/{thread.tid}/status")
    return proc.parse_switches(status) != thread.switches or proc.parse_state(status) != thread.state


def _descriptors(pid: int, world: World) -> tuple[Descriptor, ...]:
    return world.table.descriptors.get(pid, ())


def _program(pid: int) -> str:
    try:
        return os.path.basename(os.readlink(f"/proc/{pid}/exe"))
    except OSError:
        return ""


def _may_be_musl(process: ProcessSnapshot, waits: Mapping[int, Wait]) -> bool:
    wait = waits.get(process.pid)
    return wait is not None and wait.op == _PLAIN_OP and environment.uses_musl(process.pid)


def _has_readline(process: ProcessSnapshot) -> bool:
    """Whether the handler that it has for a resized window is readline's. pytest imports it in every run."""
    caught = process.signals_caught >> (signal.SIGWINCH - 1) & 1
    if not caught or b"readline" not in (memory.maps(process.pid) or b""):
        return False
    return not handlers.has_python_handler(process.pid, process.start_ticks, signal.SIGWINCH)


def _titles(waits: Mapping[int, Wait], inside: Collection[int]) -> dict[int, str]:
    """The command lines of those outside of the tree that a wait names."""
    outside = {pid for wait in waits.values() for pid in wait.pids if pid not in inside}
    return {pid: " ".join(proc.parse_cmdline(read(f"/proc/{pid}/cmdline"))) for pid in sorted(outside)}


def _not_seen(processes: Mapping[int, ProcessSnapshot], world: World) -> Iterable[str]:
    yield from map(str, permissions.system())
    silent = (pid for pid, process in processes.items() if any(_is_silent(thread) for thread in process.threads))
    yield from permissions.of_many(sorted({*world.blind_inside, *silent}))
    if world.blind_outside:
        yield str(permissions.outside(hidden=world.hides))
    if not world.table.complete:
        yield "all holders of pipes and sockets: processes appear faster than they can be looked at"


def _is_silent(thread: ThreadSnapshot) -> bool:
    """Whether it sleeps and its system call is a secret, or was not to be had in time."""
    return thread.state == "S" and thread.syscall is None
