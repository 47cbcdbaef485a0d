"""A child that takes a lock which a thread of the parent held at the fork.

    fork_locks.py queue|handler|file|lock|import|rlock|both fork|process|pool [helper]

Prints `ready PID...`. The first three are locks that logging takes on a record's way; `both` forks one child for
logging and one for a plain lock. With `helper` a thread that sleeps is started in the child before it gets stuck.
"""

from __future__ import annotations

import fcntl
import logging
import logging.handlers
import multiprocessing
import os
import queue
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

LOCK, KIND = sys.argv[1:3]
HELPER = "helper" in sys.argv[3:]
log = logging.getLogger("program")
log.propagate = False
held = threading.Event()
FOREVER = threading.Event()


class SlowQueue(queue.Queue[logging.LogRecord]):
    """Stores each record somewhere slow, with the queue's mutex held."""

    def _put(self, item: logging.LogRecord) -> None:
        held.set()
        FOREVER.wait()


class SlowHandler(logging.Handler):
    """Has a lock of its own around a slow sink."""

    def __init__(self) -> None:
        super().__init__()
        self.own = threading.Lock()

    def emit(self, record: logging.LogRecord) -> None:
        with self.own:
            held.set()
            FOREVER.wait()


def write_log() -> None:
    log.warning("a record")


def write_much() -> None:
    while True:
        write_log()


def in_thread(work: Callable[[], object]) -> None:
    threading.Thread(target=work, daemon=True).start()


def with_queue() -> Callable[[], object]:
    log.addHandler(logging.handlers.QueueHandler(SlowQueue()))
    in_thread(write_log)
    held.wait()
    return write_log


def with_handler() -> Callable[[], object]:
    log.addHandler(SlowHandler())
    in_thread(write_log)
    held.wait()
    return write_log


def with_file() -> Callable[[], object]:
    """A log file that nobody reads, as a full disk or a dead mount would be: its writer is blocked with the lock."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log"
        os.mkfifo(path)
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        log.addHandler(logging.FileHandler(path))
    fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, 4096)
    writer = threading.Thread(target=write_much, daemon=True)
    writer.start()
    while "write" not in Path(f"/proc/self/task/{writer.native_id}/wchan").read_text():
        time.sleep(0.005)
    return write_log


def with_lock() -> Callable[[], object]:
    lock = threading.Lock()

    def hold() -> None:
        with lock:
            held.set()
            FOREVER.wait()

    def take() -> None:
        with lock:
            held.clear()

    in_thread(hold)
    held.wait()
    return take


def with_rlock() -> Callable[[], object]:
    lock = threading.RLock()

    def hold() -> None:
        with lock:
            held.set()
            FOREVER.wait()

    in_thread(hold)
    held.wait()
    return lock.acquire


def with_import() -> Callable[[], object]:
    """Another thread is inside of an import, whose module has a lock."""
    folder = tempfile.mkdtemp()
    Path(folder, "slow_module.py").write_text("import __main__; __main__.held.set(); __main__.FOREVER.wait()\n")
    sys.path.insert(0, folder)

    def load() -> None:
        import slow_module  # type: ignore[import-not-found]  # noqa: F401

    in_thread(load)
    held.wait()
    shutil.rmtree(folder)
    return load


LOCKS = {
    "queue": with_queue,
    "handler": with_handler,
    "file": with_file,
    "lock": with_lock,
    "rlock": with_rlock,
    "import": with_import,
}


def idle() -> None:
    while True:
        time.sleep(1)


def child(work: Callable[[], object]) -> None:
    if HELPER:
        in_thread(idle)
    work()


def start(work: Callable[[], object]) -> int:
    if KIND == "process":
        process = multiprocessing.get_context("fork").Process(target=child, args=(work,))
        process.start()
        assert process.pid
        return process.pid
    if (pid := os.fork()) == 0:
        child(work)
        os._exit(0)
    return pid


def with_pool(work: Callable[[], object]) -> None:
    with multiprocessing.get_context("fork").Pool(1, initializer=child, initargs=(work,)) as pool:
        print("ready", *(worker.pid for worker in multiprocessing.active_children()), flush=True)
        pool.map(abs, [1])


def main() -> None:
    works = [LOCKS[name]() for name in (("queue", "lock") if LOCK == "both" else (LOCK,))]
    if KIND == "pool":
        with_pool(works[0])
    pids = [start(work) for work in works]
    print("ready", *pids, flush=True)
    for pid in pids:
        os.waitpid(pid, 0)


if __name__ == "__main__":
    main()
