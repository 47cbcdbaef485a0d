"""Which process a person means, and why it cannot be looked at, before anything is looked at.

Where there is no /proc as Linux has it, `portable` answers.
"""

from __future__ import annotations

import os

from ..errors import ObserveError, UsageError
from . import permissions, portable, proc, tree
from .kernel import read

# include/linux/sched.h: "I am a kernel thread".
_PF_KTHREAD = 0x0020_0000
_LIST = "cvdebug ps lists the Python programs that run."


def target(word: str) -> int:
    """The PID that `word` names, of a process that can be looked at.

    Raises UsageError for what is no PID of another process, ObserveError for a process that cannot be looked at.
    """
    if not (word.isascii() and word.isdecimal()) or int(word) == 0:
        raise UsageError(f"{word!r} is not a PID", hint=f"A PID is a positive number: {_LIST}")
    pid = int(word)
    if pid == os.getpid():
        raise UsageError(f"process {pid} is this cvdebug itself", hint=_LIST)
    refuse_unfit(pid)
    return pid


def refuse_unfit(pid: int) -> None:
    """Raises ObserveError for what is no process, has ended, or never ran a program."""
    if not tree.LINUX:
        if not portable.members(pid):
            raise ObserveError(f"process {pid} cannot be looked at: there is none", hint=_LIST)
        return
    status = _status(pid)
    if not status:
        limit = permissions.unseen(pid)
        why = f"{limit.what} cannot be looked at: {limit.why}" if limit else f"process {pid} has just ended"
        raise ObserveError(why, hint=limit.remedy if limit else _LIST)
    leader = int(status.get(b"Tgid", b"0") or 0)
    if leader and leader != pid:
        raise ObserveError(f"{pid} is a thread of process {leader}", hint=f"Try cvdebug attach {leader}.")
    if status.get(b"State", b"")[:1] in (b"Z", b"X") and status.get(b"Threads", b"1") in (b"0", b"1"):
        parent = int(status.get(b"PPid", b"0") or 0)
        raise ObserveError(
            f"process {pid} has ended; only its parent, PID {parent}, has not asked for its exit code yet",
            hint=f"The parent is the one to look at: cvdebug attach {parent}." if parent else "",
        )
    stat = proc.parse_stat(read(f"/proc/{pid}/stat"))
    if stat is not None and stat.flags & _PF_KTHREAD:
        raise ObserveError(f"process {pid} ({stat.name}) is a thread of the kernel, and runs no program")


def require_sight(pid: int) -> None:
    """Raises ObserveError when not even the waits of a process may be seen: no verdict on it means anything then."""
    if limit := permissions.blindness(pid):
        raise ObserveError(f"process {pid} hides {limit.what}: {limit.why}", hint=limit.remedy)


def booted_at() -> float | None:
    """From when start times count, in seconds since 1970: the system's start; None when that is not known."""
    if not tree.LINUX:
        return portable.EPOCH
    for line in read("/proc/stat").splitlines():
        if line.startswith(b"btime ") and line[6:].strip().isdigit():
            return float(line[6:])
    return None


def _status(pid: int) -> dict[bytes, bytes]:
    pairs = (line.partition(b":") for line in read(f"/proc/{pid}/status").splitlines())
    return {key: value.strip() for key, _, value in pairs}
