"""A child that takes a lock which a thread of the parent held at the fork.

    lock_fork.py process|fork held|ended

Prints `ready PID`. With `ended` the thread releases the lock and ends after the fork, and the parent is alone again.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading

KIND, THREAD = sys.argv[1:]
lock = threading.Lock()
held = threading.Event()
release = threading.Event()


def hold() -> None:
    with lock:
        held.set()
        release.wait()


def take() -> None:
    with lock:
        print("done", flush=True)


def child() -> int:
    if KIND == "process":
        process = multiprocessing.get_context("fork").Process(target=take)
        process.start()
        assert process.pid
        return process.pid
    if (pid := os.fork()) == 0:
        take()
        os._exit(0)
    return pid


if __name__ == "__main__":
    holder = threading.Thread(target=hold, daemon=True)
    holder.start()
    held.wait()
    pid = child()
    if THREAD == "ended":
        release.set()
        holder.join()
    print("ready", pid, flush=True)
    os.waitpid(pid, 0)
