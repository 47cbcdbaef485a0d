"""Who holds which pipe, socket and event: the open descriptors of all processes that may be read (Linux).

One pass over /proc/*/fd, repeated for processes that appear meanwhile: a short-lived child may hold what its parent
has just closed. Processes and descriptors vanish while they are read; that is no error. Nothing is opened but files
of /proc.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from typing import NamedTuple

from ..model import Descriptor, DescriptorKind
from .kernel import read

# include/linux/sched.h: kernel threads, which hold no descriptors.
_PF_KTHREAD = 0x200000
# How often processes that appeared during the pass are read as well. A tree that forks faster cannot be seen whole.
_MAX_ROUNDS = 8

_ANONYMOUS = {
    "anon_inode:[eventfd]": DescriptorKind.EVENTFD,
    "anon_inode:[eventpoll]": DescriptorKind.EPOLL,
    "anon_inode:[timerfd]": DescriptorKind.TIMERFD,
    "anon_inode:[pidfd]": DescriptorKind.PIDFD,
}
# Of processes outside of the tree only what can wake somebody is kept.
_KEPT = ("pipe:", "socket:", "anon_inode:[eventfd]")


class Access(NamedTuple):
    """How a descriptor was opened. `closes` says that exec closes it, so that it was not inherited through one."""

    reads: bool
    writes: bool
    closes: bool


class Table(NamedTuple):
    """Descriptors by PID, of the tree all, of others those that can wake somebody.

    `readable` are the processes that answered, `unreadable` the living ones that refuse; `complete` says that no
    process was missed.
    """

    descriptors: dict[int, tuple[Descriptor, ...]]
    readable: tuple[int, ...]
    unreadable: tuple[int, ...]
    complete: bool


def parse_link(fd: int, link: str) -> Descriptor:
    """What a link of /proc/PID/fd stands for."""
    kind = _ANONYMOUS.get(link)
    if kind is not None:
        return Descriptor(fd, kind, 0, link)
    prefix, _, rest = link.partition(":[")
    number = rest[:-1]
    if rest.endswith("]") and number.isascii() and number.isdigit() and prefix in ("pipe", "socket", "pidfd"):
        return Descriptor(fd, DescriptorKind(prefix), int(number), link)
    return Descriptor(fd, DescriptorKind.OTHER, 0, link)


def parse_access(fdinfo: bytes) -> Access:
    """The `flags` of a fdinfo file. What cannot be read is taken for everything: reads, writes and survives exec."""
    _, found, rest = fdinfo.partition(b"flags:")
    try:
        flags = int(rest.split(b"\n", 1)[0], 8) if found else os.O_RDWR
    except ValueError:
        flags = os.O_RDWR
    mode = flags & os.O_ACCMODE
    return Access(mode != os.O_WRONLY, mode != os.O_RDONLY, bool(flags & os.O_CLOEXEC))


def access(pid: int, fd: int) -> Access:
    """How this descriptor is open now."""
    return parse_access(info(pid, fd))


def info(pid: int, fd: int) -> bytes:
    """Its fdinfo; empty when it is gone."""
    return read(f"/proc/{pid}/fdinfo/{fd}") or read(f"/proc/{folder_of(pid)}/fdinfo/{fd}")


def scan(tree: Collection[int]) -> Table:
    """All descriptors of the tree, and those of everybody else that can wake somebody."""
    found: dict[int, tuple[Descriptor, ...]] = {}
    unreadable: list[int] = []
    seen: set[int] = set()
    inside = frozenset(tree)
    for _ in range(_MAX_ROUNDS):
        fresh = [pid for pid in _pids() if pid not in seen]
        if not fresh:
            break
        seen.update(fresh)
        for pid in fresh:
            descriptors = _of(pid, whole=pid in inside)
            if descriptors is None:
                unreadable.append(pid)
            else:
                found[pid] = descriptors
    return Table(found, tuple(found), tuple(unreadable), not fresh)


def held(pid: int) -> tuple[Descriptor, ...]:
    """What one process holds that can wake somebody; empty when it refuses or is gone."""
    return _of(pid, whole=False) or ()


def folder_of(pid: int) -> str:
    """The folder below /proc that still answers: when the first thread has ended, that of another one."""
    try:
        if os.stat(f"/proc/{pid}/task").st_nlink <= 3 or os.listdir(f"/proc/{pid}/fd"):
            return str(pid)
        others = [tid for tid in os.listdir(f"/proc/{pid}/task") if int(tid) != pid]
    except OSError:
        return str(pid)
    return f"{pid}/task/{others[-1]}" if others else str(pid)


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _of(pid: int, *, whole: bool) -> tuple[Descriptor, ...] | None:
    """None when the process lives and refuses."""
    folder = f"/proc/{pid}/fd"
    try:
        names = os.listdir(folder)
        if not names:
            folder = f"/proc/{folder_of(pid)}/fd"
            names = os.listdir(folder)
    except PermissionError:
        return () if _is_kernel_thread(pid) else None
    except OSError:
        return ()
    return tuple(_links(folder, names, whole=whole))


def _links(folder: str, names: list[str], *, whole: bool) -> Iterable[Descriptor]:
    for name in names:
        try:
            link = os.readlink(f"{folder}/{name}")
        except OSError:
            continue
        if whole or link.startswith(_KEPT) or link.endswith(" (deleted)"):
            yield parse_link(int(name), link)


def _is_kernel_thread(pid: int) -> bool:
    """A process that ended meanwhile counts as one: it holds nothing either."""
    text = read(f"/proc/{pid}/stat")
    fields = text[text.rfind(b")") + 1 :].split()
    return len(fields) < 7 or not fields[6].isdigit() or bool(int(fields[6]) & _PF_KTHREAD)
