"""What PostgreSQL's server processes tell without a login: their titles, their work, and whom they serve (Linux).

The server writes what each of its processes does into the process's title, which everybody may read. Reads only, and
where no descriptor of the tree leads to a server process nothing more than the list of processes.
"""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

import msgspec

from ..model import DescriptorKind, TreeSnapshot
from . import fds, proc, sockets
from .fds import Table
from .kernel import read
from .peers import Connection
from .sockets import TcpSocket, UnixSocket

# A transaction that rests between two statements is no forgotten one: so long its backend has to sleep.
PATIENCE_S = 1.0
_STEP_S = 0.05
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")

_TITLE = b"postgres: "
_CLIENT = re.compile(r"(?P<head>.+?) (?P<client>\[local\]|\S+\(\d{1,5}\))(?: (?P<activity>.*))?", re.DOTALL)
_PARALLEL = re.compile(r"(?:.*: )?parallel worker for PID (\d+)", re.DOTALL)
_AUTOVACUUM = re.compile(r"(?:.*: )?autovacuum worker(?: process)?(?: (?P<database>.*))?", re.DOTALL)
# include/net/tcp_states.h
_CLOSE_WAIT = 8

Kind = Literal["client", "autovacuum"]


class Backend(msgspec.Struct, frozen=True, kw_only=True):
    """One server process of PostgreSQL that serves a client, or an autovacuum worker, which has no client.

    Its title is `postgres: USER DATABASE CLIENT ACTIVITY`; `activity` is the last part (`TRUNCATE TABLE waiting`, `idle
    in transaction`, `CREATE INDEX`). `client_pids` hold the other end of its socket; `client_gone` says that nobody does
    any more. `cpu_share` is the part of one core that it used between two looks, its parallel workers included;
    `client_share` the same of its clients. `moved` says that it ran at all in between, or that its title changed.
    `server_pid` is its number as the server itself counts. `client_inode` is the client's socket, 0 when it was not
    found, `queued_bytes` what lies unread at either end.
    """

    pid: int
    postmaster: int
    title: str
    user: str
    database: str
    activity: str
    client_pids: tuple[int, ...] = ()
    client_gone: bool = False
    cpu_share: float = 0.0
    client_share: float = 0.0
    moved: bool = False
    server_pid: int = 0
    client_inode: int = 0
    queued_bytes: int = 0
    kind: Kind = "client"


class Title(NamedTuple):
    """What the title of a server process says. `leader` is the backend that a parallel worker works for, as the server
    counts, else 0. `client` is `[local]`, or `host(port)`."""

    user: str
    database: str
    client: str
    activity: str
    leader: int = 0
    kind: Kind = "client"


def parse_title(title: str) -> Title | None:
    """A title; None for the server's own processes. A cluster's name may stand in front; names may hold blanks."""
    if not title.startswith(_TITLE.decode()):
        return None
    text = title.removeprefix(_TITLE.decode()).rstrip()
    if worker := _PARALLEL.fullmatch(text):
        return Title("", "", "", "", leader=int(worker[1]))
    if vacuum := _AUTOVACUUM.fullmatch(text):
        return Title("", vacuum["database"] or "", "", "autovacuum", kind="autovacuum")
    found = _CLIENT.fullmatch(text)
    if found is None:
        return None
    user, _, database = found["head"].rpartition(": ")[2].partition(" ")
    return Title(user, database, found["client"], found["activity"] or "") if database else None


class _Reading(NamedTuple):
    """One server process at one moment."""

    title: str
    parts: Title
    postmaster: int
    start_ticks: int
    cpu_ticks: int
    switches: int


class _Links(NamedTuple):
    """The socket tables of the tree and of the server, by inode."""

    unix: Mapping[int, UnixSocket]
    tcp: Mapping[int, TcpSocket]

    def peer(self, inode: int) -> int:
        """The inode of the other end; 0 when it has none, or is not in these tables."""
        entry = self.unix.get(inode)
        if entry is not None:
            return entry.peer
        row = self.tcp.get(inode)
        other = sockets.peer_of(row, list(self.tcp.values())) if row is not None else None
        return other.inode if other is not None else 0

    def is_cut(self, inode: int) -> bool:
        """Whether the other end of a connected socket is closed."""
        entry, row = self.unix.get(inode), self.tcp.get(inode)
        if entry is not None:
            return entry.kind == socket.SOCK_STREAM and entry.state != sockets.LISTEN and not entry.peer
        return row is not None and row.state == _CLOSE_WAIT

    def queued(self, *inodes: int) -> int:
        """The bytes that nobody has read yet."""
        entries = [self.unix[inode].queued for inode in inodes if inode in self.unix]
        rows = [self.tcp[inode].received + self.tcp[inode].unsent for inode in inodes if inode in self.tcp]
        return sum(entries) + sum(rows)


class Watch:
    """The backends that serve a tree, and their neighbours, from its first look to `finish`."""

    def __init__(self, first: TreeSnapshot, connections: Iterable[Connection]) -> None:
        """`connections` are those that threads wait on; a connection that nobody waits on right now counts as well."""
        self._at_s = time.monotonic()
        self._root = first.root
        self._inodes = {item.inode for items in first.descriptors.values() for item in items if _is_socket(item.kind)}
        self._inodes |= {connection.inode for connection in connections}
        self._inside = {process.pid for process in first.processes}
        self._first = _readings() if self._inodes else {}
        self._servers: set[int] = set()
        if self._first:
            links = _links(self._root, self._first)
            self._servers = {self._first[pid].postmaster for pid in self._serving(self._first, links)}
        self._client_ticks: dict[int, int] = {}
        if self._servers:
            self._client_ticks = _ticks(self._clients(fds.scan(()), links).values())

    def finish(self, patience_s: float = PATIENCE_S) -> tuple[Backend, ...]:
        """What they do now, and how busy they were since.

        Where the tree waits for a lock and somebody rests in a transaction it takes its time, `patience_s` in all.
        """
        if not self._servers:
            return ()
        now = self._now()
        while self._may_be_blocked(now) and time.monotonic() < self._at_s + patience_s:
            time.sleep(_STEP_S)
            now = self._now()
        gap_s = max(time.monotonic() - self._at_s, _TICK_S)
        links, table = _links(self._root, now), fds.scan(())
        clients = self._clients(table, links)
        ticks = _ticks(clients.values())
        serving = self._serving(now, links)
        return tuple(
            self._backend(pid, reading, now, links, clients.get(pid, ()), serving.get(pid, 0), ticks, gap_s)
            for pid, reading in now.items()
            if not reading.parts.leader
        )

    def _now(self) -> dict[int, _Reading]:
        return {pid: reading for pid, reading in _readings().items() if reading.postmaster in self._servers}

    def _may_be_blocked(self, now: Mapping[int, _Reading]) -> bool:
        """Whether a lock is waited for while an open transaction rests, both since the first look."""
        rests = [pid for pid in now if not self._moved(pid, now[pid])]
        idle = any(now[pid].parts.activity.startswith("idle in transaction") for pid in rests)
        return idle and any(reading.parts.activity.endswith(" waiting") for reading in now.values())

    def _moved(self, pid: int, now: _Reading) -> bool:
        old = self._first.get(pid)
        return old is None or (old.title, old.start_ticks, old.switches) != (now.title, now.start_ticks, now.switches)

    def _backend(
        self,
        pid: int,
        reading: _Reading,
        now: Mapping[int, _Reading],
        links: _Links,
        clients: tuple[int, ...],
        client_inode: int,
        client_ticks: Mapping[int, int],
        gap_s: float,
    ) -> Backend:
        parts, server_pid = reading.parts, _inner_pid(pid)
        own = _sockets_of(pid)
        team = [pid, *(other for other, worker in now.items() if worker.parts.leader == server_pid)]
        used = sum(now[other].cpu_ticks - self._first[other].cpu_ticks for other in team if other in self._first)
        known = [client for client in clients if client in self._client_ticks]
        client_used = sum(client_ticks.get(client, 0) - self._client_ticks[client] for client in known)
        return Backend(
            pid=pid,
            postmaster=reading.postmaster,
            title=reading.title,
            user=parts.user,
            database=parts.database,
            activity=parts.activity,
            client_pids=clients,
            client_gone=not clients and any(links.is_cut(inode) for inode in own),
            cpu_share=max(0.0, used * _TICK_S / gap_s),
            client_share=max(0.0, client_used * _TICK_S / gap_s),
            moved=self._moved(pid, reading),
            server_pid=server_pid,
            client_inode=client_inode,
            queued_bytes=links.queued(client_inode, *own),
            kind=parts.kind,
        )

    def _serving(self, readings: Mapping[int, _Reading], links: _Links) -> dict[int, int]:
        """The tree's socket by backend that has its other end.

        Another user's backend does not show its sockets; then its title tells, where the connection is TCP.
        """
        rows = (links.tcp[inode] for inode in self._inodes if inode in links.tcp)
        by_name = {_as_in_title(row): row.inode for row in rows}
        found = {pid: by_name[r.parts.client] for pid, r in readings.items() if r.parts.client in by_name}
        by_peer = {peer: inode for inode in self._inodes if (peer := links.peer(inode))}
        for pid in readings:
            if pid not in self._inside:
                found.update({pid: by_peer[inode] for inode in _sockets_of(pid) if inode in by_peer})
        return found

    def _clients(self, table: Table, links: _Links) -> dict[int, tuple[int, ...]]:
        """Whoever holds the other end, by backend of the servers."""
        holders: dict[int, list[int]] = {}
        for pid, items in table.descriptors.items():
            for item in items:
                if _is_socket(item.kind):
                    holders.setdefault(item.inode, []).append(pid)
        readings = self._now()
        serving = self._serving(readings, links)
        found: dict[int, tuple[int, ...]] = {}
        for pid in readings:
            ends = {peer for inode in _sockets_of(pid) if (peer := links.peer(inode))} | {serving.get(pid, 0)}
            found[pid] = tuple(sorted({client for end in ends for client in holders.get(end, ())}))
        return found


def _is_socket(kind: DescriptorKind) -> bool:
    return kind is DescriptorKind.SOCKET


def _readings() -> dict[int, _Reading]:
    """All server processes that have a client, work for one, or vacuum."""
    numbers = (int(name) for name in os.listdir("/proc") if name.isdigit())
    return {pid: reading for pid in numbers if (reading := _reading(pid)) is not None}


def _reading(pid: int) -> _Reading | None:
    line = read(f"/proc/{pid}/cmdline")
    if not line.startswith(_TITLE):
        return None
    title = " ".join(proc.parse_cmdline(line)).rstrip()
    parts = parse_title(title)
    stat = proc.parse_stat(read(f"/proc/{pid}/stat"))
    switches = proc.parse_switches(read(f"/proc/{pid}/status"))
    if parts is None or stat is None or switches is None:
        return None
    return _Reading(title, parts, stat.ppid, stat.start_ticks, stat.cpu_ticks, switches)


def _sockets_of(pid: int) -> tuple[int, ...]:
    """The inodes of its sockets; none when it may not be looked at."""
    folder = f"/proc/{pid}/fd"
    found = []
    try:
        for name in os.listdir(folder):
            item = fds.parse_link(int(name), os.readlink(f"{folder}/{name}"))
            if _is_socket(item.kind):
                found.append(item.inode)
    except (OSError, ValueError):
        pass
    return tuple(found)


def _links(root: int, readings: Mapping[int, _Reading]) -> _Links:
    """TCP as the tree and as the server see it: either may live in a network of its own."""
    rows: dict[int, TcpSocket] = {}
    for pid in {root, *(reading.postmaster for reading in readings.values())}:
        for name in ("tcp", "tcp6"):
            text = read(f"/proc/{pid}/net/{name}").decode("ascii", "replace")
            rows.update((row.inode, row) for row in sockets.parse_tcp(text) if row.inode)
    return _Links({entry.inode: entry for entry in sockets.unix_sockets() if entry.inode}, rows)


def _as_in_title(row: TcpSocket) -> str:
    """A client's address as the server writes it into a title."""
    host, _, port = str(row.local).rpartition(":")
    return f"{host.strip('[]')}({port})"


def _ticks(groups: Iterable[Iterable[int]]) -> dict[int, int]:
    """The CPU time of processes so far, in clock ticks."""
    pids = {pid for group in groups for pid in group}
    stats = {pid: proc.parse_stat(read(f"/proc/{pid}/stat")) for pid in pids}
    return {pid: stat.cpu_ticks for pid, stat in stats.items() if stat is not None}


def _inner_pid(pid: int) -> int:
    """Its number in its own PID namespace: proc(5), NSpid."""
    _, found, rest = read(f"/proc/{pid}/status").partition(b"\nNSpid:")
    numbers = rest.split(b"\n", 1)[0].split()
    return int(numbers[-1]) if found and numbers and numbers[-1].isdigit() else pid
