"""Programs that wait for a lock on a file, and those that hold one.

    lock_files.py KIND PATH

Prints `ready`: a holder when it has the lock, a waiter before it asks for it.
"""

from __future__ import annotations

import fcntl
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path


def ready(*pids: int) -> None:
    print("ready", *pids, flush=True)


def wait() -> None:
    threading.Event().wait()


def compute() -> None:
    while True:
        pass


def holding(action: Callable[[], object]) -> Callable[[str], None]:
    def hold(path: str) -> None:
        with open(path, "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            ready()
            action()

    return hold


def flock(path: str) -> None:
    ready()
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)


def twice(path: str) -> None:
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        flock(path)


def posix(path: str) -> None:
    """The record lock of a child that waits, held by its parent, which waits for it."""
    with open(path, "w") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        if (pid := os.fork()) == 0:
            with open(path, "w") as again:
                fcntl.lockf(again, fcntl.LOCK_EX)
        ready(pid)
        os.waitpid(pid, 0)


def thread(path: str) -> None:
    """A thread that is not the main one waits."""
    waiter = threading.Thread(target=flock, args=(path,))
    waiter.start()
    waiter.join()


def library(path: str) -> None:
    from filelock import FileLock

    ready()
    FileLock(path).acquire()


def hub(path: str) -> None:
    from huggingface_hub.utils._fixes import WeakFileLock

    ready()
    with WeakFileLock(path):
        pass


def patient(path: str) -> None:
    """Gives up after a while."""
    from filelock import FileLock

    ready()
    FileLock(path, timeout=600).acquire()


def soft(path: str) -> None:
    from filelock import SoftFileLock

    ready()
    with SoftFileLock(path):
        pass


def soft_thread(path: str) -> None:
    waiter = threading.Thread(target=soft, args=(path,))
    waiter.start()
    waiter.join()


def soft_holder(path: str) -> None:
    """As filelock made it before it wrote the owner into the file."""
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    ready()
    wait()
    os.close(descriptor)
    Path(path).unlink()


KINDS: dict[str, Callable[[str], None]] = {
    "holder": holding(wait),
    "sleeping-holder": holding(lambda: time.sleep(3600)),
    "busy-holder": holding(compute),
    "brief-holder": holding(lambda: time.sleep(100)),
    "flock": flock,
    "posix": posix,
    "twice": twice,
    "thread": thread,
    "library": library,
    "hub": hub,
    "patient": patient,
    "soft": soft,
    "soft-thread": soft_thread,
    "soft-holder": soft_holder,
}

if __name__ == "__main__":
    KINDS[sys.argv[1]](sys.argv[2])
