"""Pools that are well, and look as if they had lost a task.

    pools_fine.py MODE

Prints `ready` and goes on until its input ends.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

FORK = multiprocessing.get_context("fork")


def square(number: int) -> int:
    return number * number


def doze(number: int) -> int:
    time.sleep(60)
    return number


def ready() -> None:
    print("ready", flush=True)


def idle() -> None:
    """Nobody waits for an answer; the Pool has replaced its workers."""
    with FORK.Pool(2, maxtasksperchild=1) as pool:
        pool.map(square, range(6), chunksize=1)
        ready()
        os.read(0, 1)


def handled() -> None:
    """A task was lost, and the program knows."""
    with FORK.Pool(2) as pool:
        with contextlib.suppress(multiprocessing.TimeoutError):
            pool.apply_async(os._exit, (1,)).get(0.5)
        ready()
        os.read(0, 1)


def busy() -> None:
    """One worker works on a long task, the others are replacements and idle."""
    with FORK.Pool(3, maxtasksperchild=1) as pool:
        pool.map(square, range(9), chunksize=1)
        result = pool.apply_async(doze, (1,))
        ready()
        result.get()


def native() -> None:
    """The long task is a function without frames of its own."""
    with FORK.Pool(2, maxtasksperchild=1) as pool:
        pool.map(square, range(6), chunksize=1)
        result = pool.apply_async(time.sleep, (60,))
        ready()
        result.get()


def slow_source() -> None:
    """The Pool waits for the next task, which comes from a queue that another thread fills now and then."""
    with FORK.Pool(2, maxtasksperchild=2) as pool:
        gate = threading.Semaphore(0)

        def numbers() -> Iterator[int]:
            for number in range(1000):
                gate.acquire()
                yield number

        def open_gate() -> None:
            while True:
                time.sleep(0.6)
                gate.release()

        threading.Thread(target=open_gate, daemon=True).start()
        ready()
        for _ in pool.imap(square, numbers()):
            pass


def bursts() -> None:
    """Short tasks after long rests, with a new worker for each."""
    with FORK.Pool(2, maxtasksperchild=1) as pool:
        ready()
        rest = threading.Event()
        while True:
            rest.wait(0.31)
            pool.apply(square, (3,))


def churn() -> None:
    """Workers come and go by the hundred, and every one of them answers."""
    with FORK.Pool(2, maxtasksperchild=1) as pool:
        ready()
        pool.map(square, range(200_000), chunksize=1)


def commands() -> None:
    """Other children come and go while a long task runs."""

    def run() -> None:
        while True:
            subprocess.run(["true"], check=True)

    with FORK.Pool(2) as pool:
        threading.Thread(target=run, daemon=True).start()
        ready()
        pool.apply(doze, (1,))


def two() -> None:
    """One Pool has lost a task that nobody misses, the other one works."""
    with FORK.Pool(2) as first, FORK.Pool(2) as second:
        with contextlib.suppress(multiprocessing.TimeoutError):
            first.apply_async(os._exit, (1,)).get(0.5)
        ready()
        second.apply(doze, (1,))


MODES: dict[str, Callable[[], None]] = {
    "idle": idle,
    "handled": handled,
    "busy": busy,
    "native": native,
    "slow-source": slow_source,
    "bursts": bursts,
    "churn": churn,
    "commands": commands,
    "two": two,
}

if __name__ == "__main__":
    MODES[sys.argv[1]]()
