"""A healthy program of a kind that is easily taken for a hung one: it works on, slowly and in silence.

    lookalikes.py MODE [FOLDER]

Prints `ready`. Each works in short steps for ten minutes, except where its function says something else. FOLDER is
for files of its own.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import multiprocessing
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from logging.handlers import QueueHandler, QueueListener
from pathlib import Path

FORK = multiprocessing.get_context("fork")
STEPS = "import time\nfor step in range(12000): time.sleep(0.05)"


def steps(_: object = None) -> None:
    for _step in range(12000):
        time.sleep(0.05)


def pytest_xdist() -> None:
    """Two workers run tests that sleep."""
    tests = Path(sys.argv[2]) / "test_slow.py"
    tests.write_text("import time\ndef test_a(): time.sleep(600)\ndef test_b(): time.sleep(600)\n")
    os.execv(sys.executable, [sys.executable, "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider", str(tests)])


def shell_pipeline() -> None:
    os.execv("/bin/sh", ["sh", "-c", f"{sys.executable} -c '{STEPS}' | sort; true"])


def communicate() -> None:
    with subprocess.Popen([sys.executable, "-c", STEPS], stdin=-1, stdout=-1, stderr=-1) as process:
        process.communicate(b"input")


def thread_at_exit() -> None:
    """The main thread is at its end, and waits for a thread that is not a daemon."""
    threading.Thread(target=steps).start()


def loop_with_executor() -> None:
    async def run() -> None:
        await asyncio.get_running_loop().run_in_executor(None, steps)

    asyncio.run(run())


def pool(method: str) -> None:
    with multiprocessing.get_context(method).Pool(2) as workers:
        workers.map(steps, range(1))


def shared_queue() -> None:
    """A child feeds a queue; the parent takes from it."""
    numbers: multiprocessing.Queue[int] = FORK.Queue()

    def produce() -> None:
        for number in range(12000):
            numbers.put(number)
            time.sleep(0.05)

    FORK.Process(target=produce, daemon=True).start()
    while True:
        numbers.get()


def log_listener() -> None:
    """A thread writes what others log, who do little."""
    records: queue.Queue[object] = queue.Queue()
    QueueListener(records, logging.NullHandler()).start()
    logging.getLogger().addHandler(QueueHandler(records))
    with ThreadPoolExecutor(4) as executor:
        executor.submit(steps).result()


def managed_lock() -> None:
    """A child holds a lock of a manager, and sleeps; the parent waits for the lock."""
    with FORK.Manager() as manager:
        lock, taken = manager.Lock(), FORK.Event()

        def hold() -> None:
            with lock:
                taken.set()
                steps()

        FORK.Process(target=hold, daemon=True).start()
        taken.wait()
        lock.acquire()


def condition() -> None:
    """Threads wait for a notification that one of them gives, now and then."""
    changed = threading.Condition()

    def notify() -> None:
        for _step in range(12000):
            time.sleep(0.05)
            with changed:
                changed.notify_all()

    def wait() -> None:
        while True:
            with changed:
                changed.wait()

    for action in (wait, wait, notify):
        threading.Thread(target=action, daemon=True).start()
    wait()


MODES: dict[str, Callable[[], object]] = {
    "xdist": pytest_xdist,
    "pipeline": shell_pipeline,
    "communicate": communicate,
    "at-exit": lambda: atexit.register(steps),
    "thread-at-exit": thread_at_exit,
    "loop-executor": loop_with_executor,
    "pool-spawn": lambda: pool("spawn"),
    "pool-forkserver": lambda: pool("forkserver"),
    "queue": shared_queue,
    "log-listener": log_listener,
    "managed-lock": managed_lock,
    "condition": condition,
}

if __name__ == "__main__":
    print("ready", flush=True)
    MODES[sys.argv[1]]()
