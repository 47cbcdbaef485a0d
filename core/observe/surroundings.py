"""What surrounds a tree of processes: connections and their other ends, database servers, locks on files, room.

`Survey` asks the modules that read them. Everything is empty where nothing was looked for or could be seen.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

import msgspec

from ..model import ProcessSnapshot, TreeSnapshot, WaitKind
from . import activity, backends, held, locks, peers, proc, servers
from .activity import Activity
from .backends import Backend
from .held import Held
from .kernel import read
from .locks import FileLock
from .peers import Connection
from .servers import Server

_READS = (WaitKind.PIPE_READ, WaitKind.POLL)
_NUMBER = re.compile(rb"(?:(?<![0-9A-Za-z.])|(?<=[fF][dD]))[0-9]{1,9}(?![0-9A-Za-z.])")
_TELLS = re.compile(
    rb"FD|PIPE|SOCK|HANDLE|CHANNEL|NOTIFY|LISTEN|DESCRIPTOR|INPUT|OUTPUT|STD|READ|WRITE|EVENT", re.IGNORECASE
)
_SHARED_MEMORY = "/dev/shm"


class Stranger(msgspec.Struct, frozen=True, kw_only=True):
    """A process outside of the tree that somebody in it waits for, in both looks; None when it was gone."""

    pid: int
    title: str
    first: ProcessSnapshot | None
    second: ProcessSnapshot | None


class Room(msgspec.Struct, frozen=True, kw_only=True):
    """Free and total bytes of a file system, as the tree sees it."""

    path: str
    free_bytes: int
    total_bytes: int


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """`connections` are those that threads of the tree wait on. `backends` are PostgreSQL server processes that
    serve the tree, and the other backends of the same server. `activity` is what the server itself says, where it
    was asked. `strangers` are by PID. `servers`, by PID, hold the other ends of connections that the tree made, or
    own the locks on files that it waits for; database servers are not among them. `held`, by TID, are threads that
    do not run because of somebody else or the disk. `told` are, of those in the tree that could end a read of a pipe,
    the numbers that their environment names, by PID: a descriptor that a program can know of. `shared_memory` is
    /dev/shm."""

    connections: tuple[Connection, ...] = ()
    backends: tuple[Backend, ...] = ()
    activity: Activity | None = None
    file_locks: tuple[FileLock, ...] = ()
    strangers: dict[int, Stranger] = {}
    servers: dict[int, Server] = {}
    held: dict[int, Held] = {}
    told: dict[int, frozenset[int]] = {}
    shared_memory: Room | None = None


class Survey:
    """The surroundings of a tree, from its first look to `finish`."""

    def __init__(self, first: TreeSnapshot, *, dsn: str = "", backends_too: bool = True) -> None:
        """`first` has the waits. With `dsn` the database is asked too; the DSN may hold a password. `backends_too`:
        its processes are looked at, and who else is served by them."""
        self._first = first
        self._connections = peers.connections(first)
        self._servers = servers.Watch(servers.clients(first, self._connections))
        self._backends = backends.Watch(first, self._connections) if backends_too else None
        self._activity = activity.Watch(dsn, first) if dsn else None
        outside = set(first.titles) | {pid for each in self._connections for pid in each.peer_pids}
        self._early = proc.snapshot(outside - {process.pid for process in first.processes} - {0})

    def finish(self) -> Surroundings:
        """What there is now, with what moved since the beginning."""
        asked = self._activity.finish() if self._activity else None
        # The server itself says how long a session has rested.
        patience_s = 0.0 if asked and not asked.unknown else backends.PATIENCE_S
        return Surroundings(
            connections=self._connections,
            backends=self._backends.finish(patience_s) if self._backends else (),
            activity=asked,
            file_locks=locks.file_locks(self._first),
            strangers={stranger.pid: stranger for stranger in self._strangers()},
            servers=self._servers.finish(),
            held=held.held(self._first),
            told=dict(_told(self._first)),
            shared_memory=_room(self._first.root, _SHARED_MEMORY),
        )

    def _strangers(self) -> Iterable[Stranger]:
        now = proc.snapshot(self._early)
        for pid, early in self._early.items():
            title = self._first.titles.get(pid) or " ".join(early.cmdline)
            yield Stranger(pid=pid, title=title, first=early, second=now.get(pid))


def numbers(text: bytes) -> frozenset[int]:
    """The numbers in a text that may be descriptors: not those of a version, as in 8.4.2, or within a word."""
    return frozenset(int(number) for number in _NUMBER.findall(text))


def numbers_of_variables(environment: bytes) -> frozenset[int]:
    """The same of an environment. A variable that is only a number, as SHLVL, counts something, unless its name says
    that it tells a descriptor."""
    variables = (text.partition(b"=") for text in environment.split(b"\0"))
    told = (value for name, _, value in variables if not value.strip().isdigit() or _TELLS.search(name))
    return frozenset().union(*map(numbers, told))


def _told(first: TreeSnapshot) -> Iterable[tuple[int, frozenset[int]]]:
    """Without those whose environment may not be read."""
    inside = {process.pid for process in first.processes}
    writers = {pid for wait in first.waits.values() if wait.kind in _READS for pid in wait.pids}
    for pid in sorted(writers & inside):
        if text := read(f"/proc/{pid}/environ"):
            yield pid, numbers_of_variables(text)


def _room(pid: int, path: str) -> Room | None:
    """Through the process's own root folder: a container has a /dev/shm of its own."""
    try:
        found = os.statvfs(f"/proc/{pid}/root{path}")
    except OSError:
        return None
    return Room(path=path, free_bytes=found.f_bavail * found.f_frsize, total_bytes=found.f_blocks * found.f_frsize)
