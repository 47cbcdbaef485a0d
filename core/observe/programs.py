"""The Python programs that run on this machine: which processes are roots of a tree that somebody may want to see."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from . import memory, portable, tree
from .kernel import read
from .proc import parse_parent

_NAMES = (b"python", b"pypy")
# Parents by PID, owners by PID, and which of them run Python.
_Listed = tuple[dict[int, int], dict[int, int], Callable[[int], bool]]


def roots(*, everybody: bool = False) -> list[int]:
    """The PIDs of Python processes without a Python process of the same user above them, in the order of their PIDs.

    Only those of this user, unless `everybody` is asked for. The process that asks, with what it started, is none.
    """
    me, uid = os.getpid(), os.geteuid()
    parents, owners, is_python = _listed() if tree.LINUX else _listed_elsewhere()
    python = {pid for pid, owner in owners.items() if (everybody or owner == uid) and is_python(pid)}
    return sorted(
        pid
        for pid in python
        if me not in (pid, *_above(pid, parents))
        and not any(above in python and owners[above] == owners[pid] for above in _above(pid, parents) if above != me)
    )


def runs_python(pid: int) -> bool:
    """Whether a process is a Python interpreter, or has one in it. By its first word where its program is hidden."""
    try:
        program = os.path.basename(os.readlink(f"/proc/{pid}/exe"))
    except OSError:
        words = read(f"/proc/{pid}/cmdline").split(b"\0")
        return words[0].rpartition(b"/")[2].startswith(_NAMES)
    if os.fsencode(program).startswith(_NAMES):
        return True
    return b"libpython" in (memory.maps(pid) or b"")


def _listed() -> _Listed:
    parents = dict(_parents())
    owners = {pid: owner for pid in parents if (owner := _owner(pid)) is not None}
    return parents, owners, runs_python


def _listed_elsewhere() -> _Listed:
    rows = portable.everybody()
    python = {pid for pid, row in rows.items() if os.fsencode(row.program.lower()).startswith(_NAMES)}
    parents = {pid: row.parent for pid, row in rows.items()}
    owners = {pid: row.owner for pid, row in rows.items()}
    return parents, owners, python.__contains__


def _parents() -> Iterator[tuple[int, int]]:
    for name in os.listdir("/proc"):
        if name.isdigit():
            state, parent = parse_parent(read(f"/proc/{name}/stat"))
            if state not in ("", "Z", "X"):
                yield int(name), parent


def _above(pid: int, parents: dict[int, int]) -> Iterator[int]:
    """Everybody above a process; a reused PID may draw a circle."""
    seen = {pid}
    while (pid := parents.get(pid, 0)) and pid not in seen:
        seen.add(pid)
        yield pid


def _owner(pid: int) -> int | None:
    try:
        return os.stat(f"/proc/{pid}").st_uid
    except OSError:
        return None
