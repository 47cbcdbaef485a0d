"""A forked child in one of many waits, most of which look like a deadlock and are none.

    waits.py MODE

Prints `ready PID` when the child is about to wait. The parent waits for the child.
"""

from __future__ import annotations

import faulthandler
import os
import queue
import select
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable

MODE = sys.argv[1]


def held_lock() -> threading.Lock:
    lock = threading.Lock()
    lock.acquire()
    return lock


def read_pipe() -> None:
    os.read(os.pipe()[0], 1)


def poll_for_ever() -> None:
    poller = select.poll()
    poller.register(os.pipe()[0], select.POLLIN)
    poller.poll()


def with_handler(number: int) -> None:
    signal.signal(number, lambda *_: None)
    held_lock().acquire()


def with_faulthandler() -> None:
    with tempfile.TemporaryFile() as file:
        faulthandler.register(signal.SIGUSR1, file=file)
        held_lock().acquire()


def with_child() -> None:
    """SIGCHLD is handled, and a child lives whose end would raise it."""
    signal.signal(signal.SIGCHLD, lambda *_: None)
    if os.fork() == 0:
        time.sleep(600)
        os._exit(0)
    held_lock().acquire()


def two_threads() -> None:
    lock = held_lock()
    threading.Timer(600, lock.release).start()
    lock.acquire()


def empty_queue() -> None:
    queue.SimpleQueue[int]().get()


def event_wait() -> None:
    threading.Event().wait()


def spin() -> None:
    while True:
        pass


MODES: dict[str, Callable[[], object]] = {
    "read": read_pipe,
    "poll": poll_for_ever,
    "sleep": lambda: time.sleep(600),
    "timed-lock": lambda: held_lock().acquire(timeout=600),
    "lock": lambda: held_lock().acquire(),
    "sigterm": lambda: with_handler(signal.SIGTERM),
    "sigalrm": lambda: with_handler(signal.SIGALRM),
    "sigchld": with_child,
    "faulthandler": with_faulthandler,
    "two-threads": two_threads,
    "queue": empty_queue,
    "event": event_wait,
    "spin": spin,
}

if __name__ == "__main__":
    told, tell = os.pipe()
    if (pid := os.fork()) == 0:
        os.write(tell, b".")
        MODES[MODE]()
        os._exit(0)
    os.read(told, 1)
    print("ready", pid, flush=True)
    os.waitpid(pid, 0)
