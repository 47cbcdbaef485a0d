"""Whether processes that are not dead do anything: what makes a tree stuck as a whole. Reads /proc, changes nothing.

Stillness is no proof. It is asked only where a process of the tree is proven dead, to say that the rest waits for it.
"""

from __future__ import annotations

import os

from ..model import ProcessSnapshot, ThreadSnapshot
from ..observe import proc

_READ_CALL = {"x86_64": 0, "aarch64": 63}.get(proc.MACHINE, -1)


def waits(before: ProcessSnapshot | None, now: ProcessSnapshot) -> bool:
    """Whether the main thread slept through two looks, or used no time on a processor (it polls)."""
    old, new = _main(before), _main(now)
    if old is None or new is None or old.state != "S" or new.state != "S":
        return False
    return old.switches == new.switches or old.cpu_ticks == new.cpu_ticks


def idle(before: ProcessSnapshot | None, now: ProcessSnapshot) -> bool:
    """Whether every thread slept through two looks and waits for the tree: a worker without a task.

    Such a worker waits on a lock that processes share, or reads from a pipe, without a timeout.
    """
    if before is None or len(before.threads) != len(now.threads):
        return False
    return all(
        _slept(old, new) and _waits_for_the_tree(now.pid, new)
        for old, new in zip(before.threads, now.threads, strict=True)
    )


def _main(process: ProcessSnapshot | None) -> ThreadSnapshot | None:
    """The first thread, whose TID is the PID."""
    threads = process.threads if process else ()
    return next((thread for thread in threads if process and thread.tid == process.pid), None)


def _slept(old: ThreadSnapshot, new: ThreadSnapshot) -> bool:
    return old.state == new.state == "S" and (old.tid, old.switches) == (new.tid, new.switches)


def _waits_for_the_tree(pid: int, thread: ThreadSnapshot) -> bool:
    wait = proc.futex(thread)
    if wait is not None:
        return not wait.timed
    call = thread.syscall
    return call is not None and call[0] == _READ_CALL and _is_pipe(pid, call[1])


def _is_pipe(pid: int, descriptor: int) -> bool:
    try:
        return os.readlink(f"/proc/{pid}/fd/{descriptor}").startswith("pipe:")
    except OSError:
        return False
