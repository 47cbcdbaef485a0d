"""A healthy crowd: processes with many threads, almost all of them blocked, and some that work a little.

    crowd.py PROCESSES THREADS

Prints `ready PID...` when all are there, and ends at the end of its input.
"""

from __future__ import annotations

import os
import sys
import threading
import time

PROCESSES, THREADS = int(sys.argv[1]), int(sys.argv[2])


def work() -> None:
    """A little work four times a second, and threads that wait for it."""
    for _ in range(THREADS - 1):
        threading.Thread(target=threading.Event().wait, daemon=True).start()
    while True:
        sum(range(2000))
        time.sleep(0.25)


if __name__ == "__main__":
    pids = []
    for _ in range(PROCESSES - 1):
        if (pid := os.fork()) == 0:
            work()
        pids.append(pid)
    for _ in range(THREADS - 1):
        threading.Thread(target=threading.Event().wait, daemon=True).start()
    while any(len(os.listdir(f"/proc/{pid}/task")) < THREADS for pid in pids):
        time.sleep(0.01)
    print("ready", *pids, flush=True)
    sys.stdin.read()
