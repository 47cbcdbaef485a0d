"""What PostgreSQL's server processes tell without a login: their titles, their work, and whom they serve (Linux).

The server writes what each of its processes does into the process's title, which everybody may read. Reads only, and
where no descriptor of the tree leads to a server process nothing more than the list of processes.
"""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Collection, Iterable, Mapping
from typing import Literal, NamedTuple

import msgspec

from ..model import DescriptorKind, TreeSnapshot
from . import fds, proc, sockets
from .fds import Table
from .kernel import read
from .peers import Connection
from .sockets import Address, TcpSocket, UnixSocket

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
    in transaction`, `CREATE INDEX`). `client_pids` hold the other end of its socket; `client_gone` says that nobody
    does any more. `cpu_share` is the part of one core that it used between two looks, its parallel workers included;
    `client_share` the same of its clients, and `client_runs` says that one of them runs right now. `moved` says that
    it ran at all in between, or that its title changed.
    `earlier` is the activity at the first look, "new" when it was not there yet.
    `server_pid` is its number as the server itself counts. `client_inode` is the client's socket, 0 when it was not
    found, `queued_bytes` what lies unread at either end. `stopped` says that a signal or a debugger held it in both
    looks.
    """

    pid: int
    postmaster: int
    title: str
    user: str
    database: str
    activity: str
    earlier: str = ""
    client_pids: tuple[int, ...] = ()
    client_gone: bool = False
    cpu_share: float = 0.0
    client_share: float = 0.0
    client_runs: bool = False
    moved: bool = False
    server_pid: int = 0
    client_inode: int = 0
    queued_bytes: int = 0
    stopped: bool = False
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
    stopped: bool


class _Links(NamedTuple):
    """The socket tables of the tree and of the server, by inode."""

    unix: Mapping[int, UnixSocket]
    tcp: Mapping[int, TcpSocket]
    by_ends: Mapping[tuple[Address, Address], TcpSocket]

    def peer(self, inode: int) -> int:
        """The inode of the other end; 0 when it has none, or is not in these tables."""
        entry = self.unix.get(inode)
        if entry is not None:
            return entry.peer
        row = self.tcp.get(inode)
        other = self.by_ends.get((row.remote, row.local)) if row is not None else None
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
        links = _links(self._root, self._first, self._inodes) if self._first else None
        self._own = frozenset(self._serving(self._first, links)) if links else frozenset()
        self._servers = {self._first[pid].postmaster for pid in self._own}
        self._client_ticks: dict[int, int] = {}
        if links and self._waits(self._first):
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
        links, table = _links(self._root, now, self._inodes), fds.scan(())
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
        """Whether the tree waits for a lock while somebody's open transaction rests, both since the first look."""
        idle = (pid for pid, reading in now.items() if reading.parts.activity.startswith("idle in transaction"))
        return self._waits(now) and any(not self._moved(pid, now[pid]) for pid in idle)

    def _waits(self, now: Mapping[int, _Reading]) -> bool:
        """Whether the tree waits for a lock: only then it matters what other people's clients do."""
        return any(now[pid].parts.activity.endswith(" waiting") for pid in self._own if pid in now)

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
        known = [client for client in clients if client in self._client_ticks and client != os.getpid()]
        client_used = sum(client_ticks.get(client, 0) - self._client_ticks[client] for client in known)
        return Backend(
            pid=pid,
            postmaster=reading.postmaster,
            title=reading.title,
            user=parts.user,
            database=parts.database,
            activity=parts.activity,
            earlier=self._first[pid].parts.activity if pid in self._first else "new",
            client_pids=clients,
            client_gone=not clients and any(links.is_cut(inode) for inode in own),
            cpu_share=max(0.0, used * _TICK_S / gap_s),
            client_share=max(0.0, client_used * _TICK_S / gap_s),
            client_runs=any(_runs(client) for client in clients if client != os.getpid()),
            moved=self._moved(pid, reading),
            server_pid=server_pid,
            client_inode=client_inode,
            queued_bytes=links.queued(client_inode, *own),
            kind=parts.kind,
            stopped=reading.stopped and pid in self._first and self._first[pid].stopped,
        )

    def _serving(self, readings: Mapping[int, _Reading], links: _Links) -> dict[int, int]:
        """The tree's socket by backend that has its other end.

        Another user's backend does not show its sockets; then its title tells, where the connection is TCP.
        """
        rows = (links.tcp[inode] for inode in self._inodes if inode in links.tcp)
        by_name = {_as_in_title(row): row.inode for row in rows}
        found = {pid: by_name[r.parts.client] for pid, r in readings.items() if r.parts.client in by_name}
        by_peer = {peer: inode for inode in self._inodes if (peer := links.peer(inode))}
        for pid in readings.keys() - self._inside:
            inode = next((by_peer[inode] for inode in _sockets_of(pid) if inode in by_peer), 0)
            found.update({pid: inode} if inode else {})
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
    return _Reading(title, parts, stat.ppid, stat.start_ticks, stat.cpu_ticks, switches, stat.state in "tT")


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


def _links(root: int, readings: Mapping[int, _Reading], inodes: Collection[int]) -> _Links:
    """TCP, where the tree has such sockets, as it and as the server see it: either may live in a network of its own."""
    unix = {entry.inode: entry for entry in sockets.unix_sockets() if entry.inode}
    pids = [root, *dict.fromkeys(reading.postmaster for reading in readings.values())]
    networks = {} if unix.keys() >= set(inodes) else {_network(pid): pid for pid in pids}
    rows = [row for pid in networks.values() for row in _tcp(pid)]
    return _Links(unix, {row.inode: row for row in rows if row.inode}, {(row.local, row.remote): row for row in rows})


def _network(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/ns/net")
    except OSError:
        return str(pid)


def _tcp(pid: int) -> Iterable[TcpSocket]:
    for name in ("tcp", "tcp6"):
        try:
            with open(f"/proc/{pid}/net/{name}", encoding="ascii", errors="replace") as file:
                yield from sockets.parse_tcp(file.read())
        except OSError:
            continue


def _as_in_title(row: TcpSocket) -> str:
    """A client's address as the server writes it into a title."""
    host, _, port = str(row.local).rpartition(":")
    return f"{host.strip('[]')}({port})"


def _ticks(groups: Iterable[Iterable[int]]) -> dict[int, int]:
    """The CPU time of processes so far, in clock ticks."""
    pids = {pid for group in groups for pid in group}
    stats = {pid: proc.parse_stat(read(f"/proc/{pid}/stat")) for pid in pids}
    return {pid: stat.cpu_ticks for pid, stat in stats.items() if stat is not None}


def _runs(pid: int) -> bool:
    return proc.parse_parent(read(f"/proc/{pid}/stat"))[0] == "R"


def _inner_pid(pid: int) -> int:
    """Its number in its own PID namespace: proc(5), NSpid."""
    _, found, rest = read(f"/proc/{pid}/status").partition(b"\nNSpid:")
    numbers = rest.split(b"\n", 1)[0].split()
    return int(numbers[-1]) if found and numbers and numbers[-1].isdigit() else pid
