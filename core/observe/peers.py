"""The connections that threads of a tree wait on, and how far a request got at the other end.

Reads the kernel's tables of sockets and the descriptors of those that a wait names; opens no connection.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property

import msgspec

from ..model import DescriptorKind, ProcessSnapshot, ThreadSnapshot, TreeSnapshot, Wait, WaitKind
from . import fds, sockets
from .calls import NAMES
from .sockets import Address, TcpSocket, Traffic, UnixSocket

_ON_SOCKETS = frozenset({WaitKind.SOCKET, WaitKind.ACCEPT, WaitKind.POLL, WaitKind.SELECT, WaitKind.EPOLL})
# Where the call has its timeout in milliseconds, counted from the call's number.
_MILLISECONDS_AT = {"poll": 3, "epoll_wait": 4, "epoll_pwait": 4}


class Connection(msgspec.Struct, frozen=True, kw_only=True):
    """One socket that a thread waits on, and its other end.

    `address` is the other end's (`127.0.0.1:11434`, or the path of a unix socket; empty when it has none), `listening`
    says that this end waits for somebody to connect. `incoming` says whether the other end connected to this one; None
    when that cannot be told. `unread_bytes` lie unread at this end, `peer_unread_bytes` at the other, None when that is
    not on this machine. `peer_pids` hold the other end, whose inode is `peer_inode`; empty and 0 when it is elsewhere,
    not visible, or gone. `accepted` is False while the other end waits in a listener's backlog, whose holders are then
    `peer_pids`; None when that is not known. `gone` says that the other end is closed, `connecting` that nobody has
    answered the call to connect. `silent_s` is the time since the last byte came or the connection was made,
    `since_sent_s` since the last one went out; None when not known. `asked` says that bytes went out and none came
    since; None when not known. `timeout_s` is the whole timeout of the system call, where its arguments show one.
    """

    pid: int
    tid: int
    inode: int
    family: str  # "tcp" or "unix"
    address: str = ""
    listening: bool = False
    incoming: bool | None = None
    unread_bytes: int = 0
    peer_unread_bytes: int | None = None
    peer_pids: tuple[int, ...] = ()
    peer_inode: int = 0
    accepted: bool | None = None
    gone: bool = False
    connecting: bool = False
    silent_s: float | None = None
    since_sent_s: float | None = None
    asked: bool | None = None
    timeout_s: float | None = None


def connections(first: TreeSnapshot) -> tuple[Connection, ...]:
    """The sockets that threads of the tree wait on, with their other ends."""
    waiting = list(_waiting(first))
    if not waiting:
        return ()
    tables = _Tables(first, {pid for thread in waiting for pid in thread.wait.pids})
    rows = (tables.tcp_row(inode) for thread in waiting for inode in thread.inodes)
    traffic = sockets.traffic(row for row in rows if row is not None and row.state == sockets.ESTABLISHED)
    found = (_connection(thread, inode, tables, traffic) for thread in waiting for inode in thread.inodes)
    return tuple(connection for connection in found if connection is not None)


class _Waiting(msgspec.Struct, frozen=True):
    """A thread and the inodes that it waits on."""

    pid: int
    tid: int
    wait: Wait
    inodes: tuple[int, ...]
    timeout_s: float | None


class _Tables:
    """The sockets of this machine, and who holds those that matter."""

    def __init__(self, first: TreeSnapshot, named: set[int]) -> None:
        self.entries = sockets.unix_sockets()
        self.unix = {entry.inode: entry for entry in self.entries if entry.inode}
        self._descriptors = {pid: fds.held(pid) for pid in named if pid not in first.descriptors} | first.descriptors

    def tcp_row(self, inode: int) -> TcpSocket | None:
        """The TCP socket of an inode. For another kind of inode the kernel's table, which is dear, is not read."""
        return self._tcp.get(inode) if inode in self.holders and inode not in self.unix else None

    @cached_property
    def rows(self) -> list[TcpSocket]:
        """All TCP sockets."""
        return sockets.tcp_sockets()

    @cached_property
    def _tcp(self) -> dict[int, TcpSocket]:
        return {row.inode: row for row in self.rows if row.inode}

    @cached_property
    def by_ends(self) -> dict[tuple[Address, Address], TcpSocket]:
        """TCP sockets by (local, remote) address."""
        return sockets.by_ends(self.rows)

    @cached_property
    def ports(self) -> frozenset[int]:
        """The ports on which somebody listens."""
        return frozenset(row.local.port for row in self.rows if row.state == sockets.LISTEN)

    @cached_property
    def holders(self) -> dict[int, tuple[int, ...]]:
        """The PIDs that hold a socket, by inode: of the tree, and of those that a wait names."""
        found: dict[int, dict[int, None]] = {}
        for pid, items in self._descriptors.items():
            for item in items:
                if item.kind is DescriptorKind.SOCKET:
                    found.setdefault(item.inode, {})[pid] = None
        return {inode: tuple(sorted(pids)) for inode, pids in found.items()}

    def backlog(self, address: Address) -> tuple[int, ...]:
        """Who may accept a connection to this address: listeners with connections that wait."""
        heard = [row.inode for row in sockets.listeners(address, self.rows) if row.received]
        return tuple(sorted({pid for inode in heard for pid in self.holders.get(inode, ())}))


def _waiting(first: TreeSnapshot) -> Iterator[_Waiting]:
    for process in first.processes:
        for thread in process.threads:
            wait = first.waits.get(thread.tid)
            if wait is not None and wait.kind in _ON_SOCKETS:
                inodes = wait.inodes or tuple(_of_call(first, process, thread))
                yield _Waiting(process.pid, thread.tid, wait, tuple(dict.fromkeys(inodes)), _timeout_s(thread))


def _of_call(first: TreeSnapshot, process: ProcessSnapshot, thread: ThreadSnapshot) -> Iterator[int]:
    """The socket that a call like accept or connect names itself."""
    if thread.syscall is not None and NAMES.get(thread.syscall[0]) in ("accept", "accept4", "connect"):
        for item in first.descriptors.get(process.pid, ()):
            if item.kind is DescriptorKind.SOCKET and item.fd == thread.syscall[1]:
                yield item.inode


def _timeout_s(thread: ThreadSnapshot) -> float | None:
    call = thread.syscall
    at = _MILLISECONDS_AT.get(NAMES.get(call[0], "")) if call else None
    if call is None or at is None or len(call) <= at:
        return None
    value = call[at] & 0xFFFFFFFF
    return None if value >> 31 else value / 1000


def _connection(thread: _Waiting, inode: int, tables: _Tables, traffic: dict[int, Traffic]) -> Connection | None:
    if inode in tables.unix:
        return _unix(thread, tables.unix[inode], tables)
    row = tables.tcp_row(inode)
    return _tcp(thread, row, tables, traffic.get(inode)) if row is not None else None


def _unix(thread: _Waiting, entry: UnixSocket, tables: _Tables) -> Connection:
    listening = entry.state == sockets.LISTEN
    peer = tables.unix.get(entry.peer)
    backlog = None
    if peer is None and not listening:
        backlog = next((other for other in tables.entries if entry.inode in other.pending), None)
    known = peer or backlog
    return Connection(
        pid=thread.pid,
        tid=thread.tid,
        inode=entry.inode,
        family="unix",
        address=known.name if known else "",
        listening=listening,
        incoming=_unix_incoming(entry, known),
        unread_bytes=0 if listening else entry.queued,
        peer_unread_bytes=peer.queued if peer else None,
        peer_pids=tables.holders.get(known.inode, ()) if known else (),
        peer_inode=entry.peer,
        accepted=False if backlog else (True if peer else None),
        timeout_s=thread.timeout_s,
    )


def _unix_incoming(entry: UnixSocket, peer: UnixSocket | None) -> bool | None:
    """Who connects has no name, as a rule, and who is accepted has its listener's."""
    if peer is None or bool(entry.name) == bool(peer.name):
        return None
    return bool(entry.name)


def _tcp(thread: _Waiting, row: TcpSocket, tables: _Tables, traffic: Traffic | None) -> Connection:
    listening = row.state == sockets.LISTEN
    other = None if listening else tables.by_ends.get((row.remote, row.local))
    waits = other is not None and not other.inode and other.state == sockets.ESTABLISHED
    accepted = None if other is None else not waits
    peers = tables.backlog(row.remote) if waits else tables.holders.get(other.inode, ()) if other else ()
    return Connection(
        pid=thread.pid,
        tid=thread.tid,
        inode=row.inode,
        family="tcp",
        address="" if listening else str(row.remote),
        listening=listening,
        incoming=_tcp_incoming(row, other, tables.ports),
        unread_bytes=0 if listening else row.received,
        peer_unread_bytes=other.received if other else None,
        peer_pids=peers,
        peer_inode=other.inode if other else 0,
        accepted=accepted,
        gone=not listening and row.state not in (sockets.ESTABLISHED, sockets.SYN_SENT),
        connecting=row.state == sockets.SYN_SENT,
        silent_s=traffic.silent_s if traffic else None,
        since_sent_s=traffic.since_sent_s if traffic else None,
        asked=_asked(traffic) if traffic else None,
        timeout_s=thread.timeout_s,
    )


def _tcp_incoming(row: TcpSocket, other: TcpSocket | None, ports: Iterable[int]) -> bool | None:
    """Somebody listens on the port of the end that was connected to; a listener that was closed since leaves doubt."""
    if row.local.port in ports:
        return True
    return False if other is None or row.remote.port in ports else None


def _asked(traffic: Traffic) -> bool:
    """Times are in steps of the kernel's clock: what came in the step of the last word counts as its answer."""
    return traffic.sent and (not traffic.received or traffic.since_sent_s < traffic.silent_s)
