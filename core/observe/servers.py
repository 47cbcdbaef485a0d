"""Those that a tree waits for, and whether they may still work: the other ends of connections, owners of file locks.

A server counts as idle only when every thread of it and of its descendants sleeps from one look to the other, in a
wait that is known to be for new requests, for itself, or for ever. Whatever is doubtful counts as work. Reads only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from signal import SIGALRM, SIGPROF, SIGVTALRM

import msgspec

from ..model import DescriptorKind, ProcessSnapshot, ThreadSnapshot, TreeSnapshot, WaitKind
from . import asleep, memory, proc, sockets, sources
from .calls import NAMES
from .kernel import read
from .peers import Connection
from .waits import Request, decode
from .wakers import resolve
from .world import World

# Servers beyond this many are not looked at, and so count as working.
_MAX_SERVERS = 8
# A timer that is further away than this does not answer the request that somebody waits for now. Retries wait for ten
# minutes, and jobs that come back each quarter of an hour are common.
LONG_S = 1800.0
# PostgreSQL's processes name themselves in their titles; they have rules of their own.
_DATABASE_TITLE = "postgres: "

# include/uapi/linux/time.h
_ABSOLUTE, _CLOCK_REALTIME, _FUTEX_CLOCK_REALTIME, _FUTEX_COMMAND, _FUTEX_WAIT_BITSET = 1, 0, 0x100, 0x7F, 9
_TIMESPEC_BYTES = 16
_TIMERS = 1 << (SIGALRM - 1) | 1 << (SIGVTALRM - 1) | 1 << (SIGPROF - 1)
_HELD = {WaitKind.STOPPED: "is stopped", WaitKind.TRACED: "is held by a debugger", WaitKind.FROZEN: "is frozen"}
_SETS = frozenset({WaitKind.POLL, WaitKind.SELECT, WaitKind.EPOLL, WaitKind.SOCKET, WaitKind.FILE})


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """A process that somebody waits for, with all its descendants (`members`).

    `busy` says in words what of it may still work, or is empty: then `idle` says what each thread does instead.
    `reads` are the sockets, by inode, from which one of its threads waits to read.
    """

    pid: int
    title: str
    members: tuple[int, ...]
    busy: str
    idle: tuple[str, ...] = ()
    reads: frozenset[int] = frozenset()


class _Case(msgspec.Struct):
    """One thread's state in words: why it may work (`busy`), or what it does instead, and what it would read from.
    `polls` is its TID where it comes and goes without doing anything."""

    busy: str = ""
    words: str = ""
    polls: int = 0
    reads: frozenset[int] = frozenset()


class Watch:
    """The servers of some threads, from one moment to `finish`."""

    def __init__(self, waiting: Mapping[int, Iterable[int]]) -> None:
        """`waiting` are, by the TID of a thread, the PIDs that it waits for; such threads do not count as work."""
        self._clients = {tid: frozenset(pids) for tid, pids in waiting.items()}
        pids = dict.fromkeys(pid for found in self._clients.values() for pid in found)
        self._families = _families([pid for pid in pids if pid > 0 and not _is_database(pid)][:_MAX_SERVERS])
        self._early: dict[int, ProcessSnapshot] = {}
        self._threads: dict[int, list[_Case]] = {}
        if self._families:
            self._look()

    def finish(self) -> dict[int, Server]:
        """By PID, what each server did from the beginning until now."""
        now = proc.snapshot_again(self._early.values())
        families = _families(list(self._families))
        return {pid: self._server(pid, members, now, families.get(pid, ())) for pid, members in self._families.items()}

    def _look(self) -> None:
        self._early = proc.snapshot({pid for members in self._families.values() for pid in members})
        judge = _Judge(self._early)
        for pid, members in self._families.items():
            asking = self._asking(pid)
            early = [self._early[member] for member in members if member in self._early]
            pairs = ((process, thread) for process in early for thread in process.threads)
            threads = (pair for pair in pairs if pair[1].tid not in asking)
            self._threads[pid] = list(judge.threads(threads, frozenset(members)))

    def _asking(self, pid: int) -> frozenset[int]:
        return frozenset(tid for tid, peers in self._clients.items() if pid in peers)

    def _server(
        self, pid: int, members: tuple[int, ...], now: dict[int, ProcessSnapshot], later: tuple[int, ...]
    ) -> Server:
        cases = self._threads[pid]
        busy = next((case.busy for case in cases if case.busy), "")
        early = {member: self._early[member] for member in members if member in self._early}
        return Server(
            pid=pid,
            title=" ".join(early[pid].cmdline) if pid in early else "",
            members=members,
            busy=_moved(early, now, self._asking(pid), frozenset(case.polls for case in cases))
            or ("it started another process" if set(later) - set(members) else busy),
            idle=tuple(case.words for case in cases),
            reads=frozenset().union(*(case.reads for case in cases)),
        )


def _moved(
    early: dict[int, ProcessSnapshot], now: dict[int, ProcessSnapshot], asking: frozenset[int], polls: frozenset[int]
) -> str:
    """What moved between the looks; a process or thread that came or went counts. Of those that poll, only CPU time."""
    for pid, process in early.items():
        later = now.get(pid)
        if later is None or later.start_ticks != process.start_ticks:
            return f"PID {pid} ended"
        if _steps(process, asking, polls) != _steps(later, asking, polls):
            return f"PID {pid} moved between the two looks"
    return "" if early else "it could not be looked at"


def _steps(process: ProcessSnapshot, asking: frozenset[int], polls: frozenset[int]) -> dict[int, tuple[int, int]]:
    return {t.tid: (0 if t.tid in polls else t.switches, t.cpu_ticks) for t in process.threads if t.tid not in asking}


class _Judge:
    """Says of the threads of servers whether they may work. Who holds what is read only when that decides."""

    def __init__(self, processes: Mapping[int, ProcessSnapshot]) -> None:
        self._processes = processes
        self._members: frozenset[int] = frozenset()

    @cached_property
    def _world(self) -> World:
        return World(self._processes)

    @cached_property
    def _ports(self) -> frozenset[int]:
        return frozenset(row.local.port for row in self._world.tcp if row.state == sockets.LISTEN)

    def threads(
        self, threads: Iterable[tuple[ProcessSnapshot, ThreadSnapshot]], members: frozenset[int]
    ) -> Iterator[_Case]:
        """What each thread of one server does, up to the first one that may work."""
        self._members = members
        for process, thread in threads:
            case = self.thread(process, thread)
            yield case
            if case.busy:
                return

    def thread(self, process: ProcessSnapshot, thread: ThreadSnapshot) -> _Case:
        pid, name = process.pid, f"thread {thread.tid} of PID {process.pid}"
        request = decode(thread, lambda address, size: memory.read_bytes(pid, address, size), frozen=process.frozen)
        if request.kind is WaitKind.ENDED:
            return _Case(words=f"{name} has ended")
        if request.kind in _HELD:
            return _Case(words=f"{name} {_HELD[request.kind]}")
        if process.signals_caught & _TIMERS:
            return _Case(busy=f"PID {pid} has a handler for the signal of a timer")
        if request.timed and len(process.threads) > 1 and self._polls_for_clients(pid, request):
            return _Case(
                words=f"{name} asks now and then whether somebody connects, and nothing else", polls=thread.tid
            )
        if request.timed:
            left_s = remaining_s(pid, thread)
            if left_s is None or left_s < LONG_S:
                return _Case(busy=f"a timer ends the wait of {name}")
            if request.kind is WaitKind.SLEEP or (request.kind in _SETS and not request.descriptors):
                return _Case(words=f"{name} sleeps for {left_s:.0f} s more")
        return self._untimed(process, name, request)

    def _untimed(self, process: ProcessSnapshot, name: str, request: Request) -> _Case:
        match request.kind:
            case WaitKind.FUTEX:
                return _Case(words=f"{name} waits on a private futex, with no timer near")
            case WaitKind.SHARED_FUTEX:
                wait = resolve(process, request, self._world)
                own = not wait.external and self._members.issuperset(wait.pids)
                return _own(own, f"{name} waits on a futex that only this server shares", name)
            case WaitKind.CHILD:
                wait = resolve(process, request, self._world)
                own = not wait.external and self._members.issuperset(wait.pids)
                return _own(own, f"{name} waits for a child", name)
            case WaitKind.SIGNAL:
                return _Case(words=f"{name} waits for a signal")
            case WaitKind.ACCEPT:
                return _Case(words=f"{name} waits in accept for somebody to connect")
        if request.kind in _SETS and request.descriptors and not request.writes:
            return self._on_descriptors(process.pid, name, request)
        return _Case(busy=f"what {name} waits for may be work")

    def _polls_for_clients(self, pid: int, request: Request) -> bool:
        """Whether it looks at nothing but sockets to which clients connect, as the servers of the standard library do
        twice a second while other threads answer. A loop of asyncio, which has timers for other things, has an epoll.
        """
        if request.kind not in (WaitKind.POLL, WaitKind.SELECT):
            return False
        items = [self._world.descriptor(pid, fd) for fd in request.descriptors]
        sets = [item.inode if item is not None and item.kind is DescriptorKind.SOCKET else 0 for item in items]
        return bool(sets) and all(self._listens(inode) for inode in sets)

    def _listens(self, inode: int) -> bool:
        unix, row = self._world.unix.get(inode), self._world.tcp_by_inode.get(inode)
        return sockets.LISTEN in (unix.state if unix else 0, row.state if row else 0)

    def _on_descriptors(self, pid: int, name: str, request: Request) -> _Case:
        members = list(self._members_of(pid, request))
        for fd, inode in members:
            if (why := self._why_busy(pid, fd, inode)) is not None:
                return _Case(busy=f"{name} waits for {why}")
        return _Case(
            words=f"{name} waits for new requests, or for others of its own server",
            reads=frozenset(inode for _, inode in members if inode),
        )

    def _members_of(self, pid: int, request: Request) -> Iterator[tuple[int, int]]:
        """(descriptor, inode) of all that it waits for; inode 0 where the object has none or it cannot be read."""
        for fd in request.descriptors:
            item = self._world.descriptor(pid, fd)
            if item is not None and item.kind is DescriptorKind.EPOLL:
                for member, inode in sources.parse_epoll(self._world.info(pid, fd)):
                    yield member, inode or 0
            else:
                yield fd, item.inode if item else 0

    def _why_busy(self, pid: int, fd: int, inode: int) -> str | None:
        """What a server may wait for on this descriptor in order to answer a request; None when nothing is."""
        item = self._world.descriptor(pid, fd)
        if item is None:
            return f"descriptor {fd}, which cannot be seen"
        match item.kind:
            case DescriptorKind.SOCKET:
                return self._why_busy_socket(item.inode)
            case DescriptorKind.PIPE:
                own = fd == 0 or self._all_own(DescriptorKind.PIPE, item.inode)
                return None if own else f"{item.link}, which others hold as well"
            case DescriptorKind.EVENTFD:
                return "the kernel's input and output" if self._world.kernel_may_signal(pid) else None
        return None if fd == 0 else item.link

    def _why_busy_socket(self, inode: int) -> str | None:
        unix, row = self._world.unix.get(inode), self._world.tcp_by_inode.get(inode)
        if unix is not None:
            peer = self._world.unix.get(unix.peer)
            incoming = unix.state == sockets.LISTEN or (peer is not None and bool(unix.name) and not peer.name)
            own = bool(unix.peer) and self._all_own(DescriptorKind.SOCKET, unix.peer)
            return None if incoming or own else f"the other end of unix socket {inode}"
        if row is not None and (row.state == sockets.LISTEN or row.local.port in self._ports):
            return None
        return f"an answer from {row.remote}" if row else f"socket {inode}"

    def _all_own(self, kind: DescriptorKind, inode: int) -> bool:
        holders = {pid for pid, _ in self._world.holders(kind, inode)}
        return bool(holders) and self._members.issuperset(holders)


def _own(own: bool, words: str, name: str) -> _Case:
    return _Case(words=words) if own else _Case(busy=f"somebody outside of this server may end the wait of {name}")


def clients(first: TreeSnapshot, connections: Iterable[Connection]) -> dict[int, set[int]]:
    """Whom the threads of a tree wait for, by TID: servers that its connections lead to, owners of locks on files."""
    found: dict[int, set[int]] = {}
    for each in connections:
        if each.incoming is False and each.address:
            found.setdefault(each.tid, set()).update(each.peer_pids)
    for tid, wait in first.waits.items():
        if wait.kind is WaitKind.FILE_LOCK:
            found.setdefault(tid, set()).update(wait.pids)
    return found


def remaining_s(pid: int, thread: ThreadSnapshot) -> float | None:
    """How long the timer of a thread's wait still runs; None when that cannot be told.

    Where the call gives a deadline it is read; where it gives a time, that began when the thread ran last.
    """
    call = thread.syscall
    if call is None or len(call) != 9:
        return None
    name, args = NAMES.get(call[0], ""), call[1:7]
    match name:
        case "clock_nanosleep" if args[1] & _ABSOLUTE:
            return _until(pid, args[2], realtime=args[0] == _CLOCK_REALTIME)
        case "futex" if args[1] & _FUTEX_COMMAND == _FUTEX_WAIT_BITSET:
            return _until(pid, args[3], realtime=bool(args[1] & _FUTEX_CLOCK_REALTIME))
        case "clock_nanosleep":
            total_s = _timespec(pid, args[2])
        case "nanosleep":
            total_s = _timespec(pid, args[0])
        case "pselect6":
            total_s = _timespec(pid, args[4])
        case "poll":
            total_s = (args[2] & 0x7FFFFFFF) / 1000
        case "epoll_wait" | "epoll_pwait":
            total_s = (args[3] & 0x7FFFFFFF) / 1000
        case _:
            return None
    if total_s is None or total_s < LONG_S:
        return total_s
    slept_s = asleep.asleep_s([(pid, thread.tid)]).get(thread.tid)
    return None if slept_s is None else total_s - slept_s


def _until(pid: int, address: int, *, realtime: bool) -> float | None:
    deadline_s = _timespec(pid, address)
    return None if deadline_s is None else deadline_s - (time.time() if realtime else time.monotonic())


def _timespec(pid: int, address: int) -> float | None:
    data = memory.read_bytes(pid, address, _TIMESPEC_BYTES)
    if len(data) != _TIMESPEC_BYTES:
        return None
    return int.from_bytes(data[:8], "little", signed=True) + int.from_bytes(data[8:], "little", signed=True) / 1e9


def _families(pids: Iterable[int]) -> dict[int, tuple[int, ...]]:
    """Each of these processes with all its descendants, in one pass over all processes."""
    wanted = list(pids)
    if not wanted:
        return {}
    children: dict[int, list[int]] = {}
    for pid, parent in proc.parents():
        children.setdefault(parent, []).append(pid)
    return {pid: tuple(_below(pid, lambda parent: children.get(parent, []))) for pid in wanted}


def _below(top: int, children: Callable[[int], list[int]]) -> list[int]:
    found = [top]
    for pid in found:
        found.extend(child for child in children(pid) if child not in found)
    return found


def _is_database(pid: int) -> bool:
    return read(f"/proc/{pid}/cmdline").startswith(_DATABASE_TITLE.encode())
