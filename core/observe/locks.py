"""Who owns the file lock that somebody waits for. Format: proc(5) for /proc/locks. Reads, and takes no lock."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from ..model import ThreadSnapshot, TreeSnapshot, WaitKind
from .calls import NAMES
from .kernel import read

LOCKS = "/proc/locks"
_PLACE = re.compile(rb"([0-9a-f]{1,8}):([0-9a-f]{1,8}):([0-9]{1,20})")


class FileLock(msgspec.Struct, frozen=True, kw_only=True):
    """A lock on a file that a process of the tree waits for. `owner` is 0 when it cannot be seen.

    `waiter` and `owner` are PIDs. `openers` have the same file open, and so may hold a lock that they inherited.
    """

    waiter: int
    owner: int
    kind: str
    inode: int
    path: str = ""
    openers: tuple[int, ...] = ()


class Row(NamedTuple):
    """One line of /proc/locks. Waiters follow their lock and carry its number. The device is (major, minor)."""

    number: int
    waits: bool
    kind: str
    pid: int
    device: tuple[int, int]
    inode: int


def parse_locks(text: bytes) -> list[Row]:
    """The lines of /proc/locks: `1: FLOCK ADVISORY WRITE 10 ...`, `1: -> FLOCK ADVISORY WRITE 11 ...`.

    Lines that cannot be read are left out.
    """
    return [row for line in text.splitlines() if (row := _row(line.split())) is not None]


def owners(text: bytes, pid: int) -> tuple[int, ...]:
    """The PIDs that own the locks which process `pid` waits for, out of /proc/locks; empty when it waits for none."""
    return tuple(owner.pid for waiter, owner in _pairs(parse_locks(text)) if waiter.pid == pid)


def file_locks(first: TreeSnapshot) -> tuple[FileLock, ...]:
    """The locks on files that processes of the tree wait for."""
    waiting = {
        process.pid: thread
        for process in first.processes
        for thread in process.threads
        if thread.tid in first.waits and first.waits[thread.tid].kind is WaitKind.FILE_LOCK
    }
    if not waiting:
        return ()
    rows = parse_locks(read(LOCKS))
    return tuple(_file_lock(waiting[w.pid], w, o) for w, o in _pairs(rows) if w.pid in waiting)


def _row(fields: list[bytes]) -> Row | None:
    waits = fields[1:2] == [b"->"]
    words = fields[2:] if waits else fields[1:]
    if len(words) < 5 or not fields[0].rstrip(b":").isdigit() or not words[3].lstrip(b"-").isdigit():
        return None
    place = _PLACE.fullmatch(words[4])
    if place is None:
        return None
    device = int(place[1], 16), int(place[2], 16)
    kind = words[0].decode("ascii", "replace")
    return Row(int(fields[0].rstrip(b":")), waits, kind, int(words[3]), device, int(place[3]))


def _pairs(rows: list[Row]) -> Iterator[tuple[Row, Row]]:
    """Each waiter with the lock that it waits for."""
    by_number: dict[int, Row] = {}
    for row in rows:
        if not row.waits:
            by_number[row.number] = row
        elif row.number in by_number:
            yield row, by_number[row.number]


def _file_lock(thread: ThreadSnapshot, waiter: Row, owner: Row) -> FileLock:
    place = ""
    if thread.syscall is not None and NAMES.get(thread.syscall[0]) in ("flock", "fcntl"):
        place = f"/proc/{waiter.pid}/fd/{thread.syscall[1] & 0xFFFFFFFF}"
    try:
        path = os.readlink(place)
        holders, _ = openers(os.stat(place))
    except OSError:
        path, holders = "", ()
    return FileLock(
        waiter=waiter.pid,
        owner=max(owner.pid, 0),
        kind=owner.kind,
        inode=owner.inode,
        path=path,
        openers=tuple(pid for pid in holders if pid != waiter.pid),
    )


def openers(wanted: os.stat_result) -> tuple[tuple[int, ...], bool]:
    """The PIDs that have this file open, and whether some process could not be looked at."""
    found, refused = [], False
    for pid in (int(name) for name in os.listdir("/proc") if name.isdigit()):
        try:
            names = os.listdir(f"/proc/{pid}/fd")
        except PermissionError:
            refused = True
            continue
        except OSError:
            continue
        if any(_is_file(pid, name, wanted) for name in names):
            found.append(pid)
    return tuple(found), refused


def _is_file(pid: int, fd: str, wanted: os.stat_result) -> bool:
    """Whether a descriptor is this file. Others may lie on a file system that does not answer, and are not touched."""
    _, told, rest = read(f"/proc/{pid}/fdinfo/{fd}").partition(b"ino:")  # from Linux 5.14 on
    if told and rest.split(b"\n", 1)[0].strip() != b"%d" % wanted.st_ino:
        return False
    link = f"/proc/{pid}/fd/{fd}"
    try:
        if not os.readlink(link).startswith("/"):
            return False
        found = os.stat(link)
    except OSError:
        return False
    return (found.st_dev, found.st_ino) == (wanted.st_dev, wanted.st_ino)
