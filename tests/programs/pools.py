"""A Pool that loses a task, or never answers.

    pools.py lost --submit HOW --end HOW --method M ...      a worker ends in the middle of a task
    pools.py shm --method M ...                              the same, by a full /dev/shm of its own (root only)
    pools.py result --submit HOW ...                         an exception that cannot be unpickled
    pools.py storm --submit HOW ...                          an initializer that raises

Prints `ready` and then gets stuck.
"""

from __future__ import annotations

import argparse
import ctypes
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing import shared_memory
from multiprocessing.pool import Pool
from typing import Any

_ROOM = b"size=256k"
_TOO_MUCH = 1 << 20


class Picky(Exception):
    """It can be pickled, and not unpickled: `__init__` wants what `args` does not have."""

    def __init__(self, text: str, *, why: str) -> None:
        super().__init__(text)
        self.why = why


def square(number: int) -> int:
    return number * number


def leave(number: int, end: str) -> int:
    """The fourth task never answers."""
    if number == 3:
        if end == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif end == "segv":
            ctypes.string_at(0)
        elif end == "exit":
            os._exit(1)
        else:
            sys.exit("enough")
    return number * number


def leave_by_kill(number: int) -> int:
    return leave(number, "kill")


def leave_by_segv(number: int) -> int:
    return leave(number, "segv")


def leave_by_exit(number: int) -> int:
    return leave(number, "exit")


def leave_by_sysexit(number: int) -> int:
    return leave(number, "sysexit")


def fill(number: int) -> int:
    """Writes more than fits: the kernel answers with SIGBUS."""
    if number == 3:
        block = shared_memory.SharedMemory(create=True, size=_TOO_MUCH)
        assert block.buf is not None
        block.buf[:] = b"x" * _TOO_MUCH
    return number


def refuse(number: int) -> int:
    if number == 3:
        raise Picky("no", why="because")
    return number


def fail() -> None:
    raise RuntimeError("the initializer cannot")


TASKS: dict[str, Callable[[int], int]] = {
    "kill": leave_by_kill,
    "segv": leave_by_segv,
    "exit": leave_by_exit,
    "sysexit": leave_by_sysexit,
}


def submit(pool: Pool, how: str, task: Callable[[int], int], count: int) -> Any:
    """Hands out `count` tasks and waits for their answers."""
    if how == "map":
        return pool.map(task, range(count), chunksize=1)
    if how == "starmap":
        return pool.starmap(task, [(number,) for number in range(count)])
    if how == "imap":
        return sum(pool.imap(task, range(count)))
    if how == "unordered":
        return list(pool.imap_unordered(task, iter(range(count))))
    if how == "join":
        for number in range(count):
            pool.apply_async(task, (number,))
        pool.close()
        return pool.join()
    results = [pool.apply_async(task, (number,)) for number in range(count)]
    return [result.get(1e6 if how == "timed" else None) for result in results]


def a_small_shm() -> None:
    """A /dev/shm of this process and its children alone."""
    libc = ctypes.CDLL(None, use_errno=True)
    new_mounts, recursive, private = 0x20000, 0x4000, 0x40000
    steps = (
        libc.unshare(new_mounts),
        libc.mount(b"none", b"/", None, recursive | private, None),
        libc.mount(b"tmpfs", b"/dev/shm", b"tmpfs", 0, _ROOM),
    )
    assert not any(steps), os.strerror(ctypes.get_errno())


def tick() -> None:
    while True:
        time.sleep(0.3)


def work(options: argparse.Namespace) -> None:
    task = {"shm": fill, "result": refuse, "storm": square}.get(options.what) or TASKS[options.end]
    context = multiprocessing.get_context(options.method)
    initializer = fail if options.what == "storm" else None
    if options.monitor:
        threading.Thread(target=tick, name="monitor", daemon=True).start()
    with context.Pool(options.workers, initializer, maxtasksperchild=options.lives) as pool:
        if options.warm:
            pool.map(square, range(8))
        print("ready", flush=True)
        if options.thread:
            thread = threading.Thread(target=submit, args=(pool, options.submit, task, options.count))
            thread.start()
            thread.join()
        else:
            submit(pool, options.submit, task, options.count)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what")
    parser.add_argument("--submit", default="apply")
    parser.add_argument("--end", default="kill")
    parser.add_argument("--method", default="fork")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--count", type=int, default=8)
    parser.add_argument("--lives", type=int)
    for switch in ("--monitor", "--warm", "--thread", "--nested"):
        parser.add_argument(switch, action="store_true")
    options = parser.parse_args()
    if options.what == "shm":
        a_small_shm()
    if options.nested:
        middle = multiprocessing.get_context("fork").Process(target=work, args=(options,))
        middle.start()
        middle.join()
    else:
        work(options)


if __name__ == "__main__":
    main()
