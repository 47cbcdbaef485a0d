"""The objects that threads wait on, and who holds them, at one moment: everything that `wakers` asks for.

Nothing is read before it is asked for, and nothing twice. One instance serves one snapshot. Reads only.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from functools import cached_property

from ..model import Descriptor, DescriptorKind, ProcessSnapshot
from . import fds, locks, memory, proc, sockets
from .fds import Access, Table
from .kernel import read
from .memory import Region
from .sockets import Address, TcpSocket, UnixSocket


class World:
    """What surrounds the processes of one tree. `processes` has the root first."""

    def __init__(self, processes: Mapping[int, ProcessSnapshot]) -> None:
        self.processes = processes
        self.table: Table = fds.scan(processes.keys())
        self._access: dict[tuple[int, int], Access] = {}
        self._maps: dict[int, bytes | None] = {}
        self._mappers: dict[bytes, tuple[int, ...]] = {}
        self._timeouts: dict[tuple[int, int], bool | None] = {}

    @cached_property
    def remembered(self) -> dict[tuple[object, ...], object]:
        """A place for conclusions that many threads share."""
        return {}

    def descriptor(self, pid: int, fd: int) -> Descriptor | None:
        """What this descriptor stands for; None when it is not open."""
        return self._by_fd.get(pid, {}).get(fd)

    def holders(self, kind: DescriptorKind, inode: int) -> tuple[tuple[int, int], ...]:
        """(PID, descriptor) of all that hold this pipe or socket."""
        return tuple(self._by_object.get((kind, inode), ()))

    def all_of(self, kind: DescriptorKind) -> tuple[tuple[int, int], ...]:
        """(PID, descriptor) of all objects of a kind that has no inodes."""
        return self.holders(kind, 0)

    def access(self, pid: int, fd: int) -> Access:
        """How the descriptor was opened."""
        if (pid, fd) not in self._access:
            self._access[pid, fd] = fds.access(pid, fd)
        return self._access[pid, fd]

    def info(self, pid: int, fd: int) -> bytes:
        """Its fdinfo."""
        return fds.info(pid, fd)

    @cached_property
    def unix(self) -> Mapping[int, UnixSocket]:
        """Unix sockets by inode, without those that nobody accepted yet."""
        return {entry.inode: entry for entry in self._unix_entries if entry.inode}

    @cached_property
    def tcp(self) -> list[TcpSocket]:
        """TCP sockets."""
        return sockets.tcp_sockets()

    @cached_property
    def tcp_by_inode(self) -> Mapping[int, TcpSocket]:
        """TCP sockets by inode, without those that nobody accepted yet."""
        return {row.inode: row for row in self.tcp if row.inode}

    def tcp_peer(self, row: TcpSocket) -> TcpSocket | None:
        """The other end of a connection within this machine's network namespace."""
        return self._tcp_by_ends.get((row.remote, row.local))

    def timeout(self, pid: int, fd: int) -> bool | None:
        """Whether a socket has a time-out of its own; None when that cannot be seen."""
        if (pid, fd) not in self._timeouts:
            self._timeouts[pid, fd] = sockets.timeout_of(pid, fd)
        return self._timeouts[pid, fd]

    def shares_file(self, pid: int, fd: int, other: int, other_fd: int) -> bool:
        """Whether two descriptors are one open file."""
        return proc.shares_file(pid, fd, other, other_fd)

    def region(self, pid: int, address: int) -> Region | None:
        """The mapping of an address."""
        text = self._maps_of(pid)
        return memory.region(text, address) if text else None

    def mappers(self, region: Region) -> tuple[int, ...]:
        """All processes that map this file or hold a descriptor of it, by which they could."""
        if region.token not in self._mappers:
            mapping = {pid for pid in self.table.readable if region.token in (self._maps_of(pid) or b"")}
            self._mappers[region.token] = tuple(sorted(mapping | self._by_path.get(region.path, set())))
        return self._mappers[region.token]

    @cached_property
    def mates(self) -> Mapping[int, tuple[int, ...]]:
        """Other processes that live in the same memory, as a child of vfork does until it runs a program."""
        found: dict[int, tuple[int, ...]] = {}
        for pid, process in self.processes.items():
            if process.forked and proc.shares_memory(pid, process.ppid):
                found[pid] = (*found.get(pid, ()), process.ppid)
                found[process.ppid] = (*found.get(process.ppid, ()), pid)
        return found

    @cached_property
    def children(self) -> Mapping[int, tuple[int, ...]]:
        """Children by parent, inside the tree."""
        found: dict[int, tuple[int, ...]] = {}
        for pid, process in self.processes.items():
            found[process.ppid] = (*found.get(process.ppid, ()), pid)
        return found

    def kernel_may_signal(self, pid: int) -> bool:
        """Whether the process gives the kernel input and output to do, which can end in an eventfd."""
        rings = any("[io_uring]" in item.link for item in self._by_fd.get(pid, {}).values())
        return rings or b"/[aio]" in (self._maps_of(pid) or b"")

    def lock_owners(self, pid: int) -> tuple[int, ...]:
        """The owners of the file lock that a thread of this process waits for."""
        return locks.owners(self._locks, pid)

    def other_pid_namespace(self, pid: int) -> bool:
        """Whether the process counts PIDs differently from this one."""
        try:
            return os.readlink(f"/proc/{pid}/ns/pid") != os.readlink("/proc/self/ns/pid")
        except OSError:
            return True

    @cached_property
    def _tcp_by_ends(self) -> dict[tuple[Address, Address], TcpSocket]:
        return sockets.by_ends(self.tcp)

    @cached_property
    def _unix_entries(self) -> list[UnixSocket]:
        return sockets.unix_sockets()

    @cached_property
    def _locks(self) -> bytes:
        return read("/proc/locks")

    @property
    def blind_inside(self) -> tuple[int, ...]:
        """Processes of the tree whose descriptors may not be read."""
        return tuple(pid for pid in self.table.unreadable if pid in self.processes)

    @property
    def blind_outside(self) -> bool:
        """Whether somebody outside of the tree cannot be looked at, or not even listed."""
        return self.hides or any(pid not in self.processes for pid in self.table.unreadable)

    @cached_property
    def in_flight(self) -> bool:
        """Whether a unix socket holds descriptors that were sent and not received yet."""
        return any(
            self._carries(entry) for entry in self._unix_entries if entry.queued and entry.state != sockets.LISTEN
        )

    @cached_property
    def couriers(self) -> tuple[frozenset[int], ...]:
        """Groups of processes that a unix socket connects, one of them in the tree. 0: somebody unseen."""
        groups = set()
        for pid in self.processes:
            for item in self.table.descriptors.get(pid, ()):
                if item.kind is DescriptorKind.SOCKET and (entry := self.unix.get(item.inode)) is not None:
                    groups.add(self._connected(entry))
        return tuple(group for group in groups if len(group) > 1)

    @cached_property
    def hides(self) -> bool:
        """Whether /proc leaves processes out."""
        try:
            with open("/proc/self/mounts", "rb") as file:
                mounts = [line.split() for line in file]
        except OSError:
            return True
        options = [option for fields in mounts if fields[1] == b"/proc" for option in fields[3].split(b",")]
        return any(option.startswith(b"hidepid=") and option[8:] not in (b"0", b"off") for option in options)

    @cached_property
    def _by_fd(self) -> dict[int, dict[int, Descriptor]]:
        items = self.table.descriptors.items()
        return {pid: {item.fd: item for item in found} for pid, found in items if pid in self.processes}

    @cached_property
    def _by_object(self) -> dict[tuple[DescriptorKind, int], list[tuple[int, int]]]:
        found: dict[tuple[DescriptorKind, int], list[tuple[int, int]]] = {}
        for pid, items in self.table.descriptors.items():
            for item in items:
                if item.kind is not DescriptorKind.OTHER:
                    found.setdefault((item.kind, item.inode), []).append((pid, item.fd))
        return found

    @cached_property
    def _by_path(self) -> dict[str, set[int]]:
        found: dict[str, set[int]] = {}
        for pid, items in self.table.descriptors.items():
            for item in items:
                if item.kind is DescriptorKind.OTHER:
                    found.setdefault(item.link, set()).add(pid)
        return found

    def _maps_of(self, pid: int) -> bytes | None:
        if pid not in self._maps:
            self._maps[pid] = memory.maps(pid)
        return self._maps[pid]

    def _connected(self, entry: UnixSocket) -> frozenset[int]:
        here = self.holders(DescriptorKind.SOCKET, entry.inode)
        there = self.holders(DescriptorKind.SOCKET, entry.peer) if entry.peer else ()
        # Without a visible peer anybody may come: by connecting to a listener, or with a datagram.
        open_to_all = entry.state == sockets.LISTEN or (entry.kind == socket.SOCK_DGRAM and not entry.peer)
        unseen = {0} if open_to_all or (entry.peer and not there) else set()
        return frozenset(unseen | {pid for pid, _ in (*here, *there)})

    def _carries(self, entry: UnixSocket) -> bool:
        """`scm_fds` counts them (Linux 5.11); where it is missing, unread bytes may carry some."""
        holders = self.holders(DescriptorKind.SOCKET, entry.inode)
        if not holders:
            return any(pid in self.processes for pid, _ in self.holders(DescriptorKind.SOCKET, entry.peer))
        _, found, rest = self.info(*holders[0]).partition(b"scm_fds:")
        return not found or rest.split(b"\n", 1)[0].strip() != b"0"
