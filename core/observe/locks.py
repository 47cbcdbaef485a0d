"""Who owns the file lock that somebody waits for. Format: proc(5) for /proc/locks."""

from __future__ import annotations


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
