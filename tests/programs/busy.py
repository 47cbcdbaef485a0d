"""A healthy program that does all that looks suspicious, as fast as it can, and counts what it gets done.

Prints `ready PID` of a child that plays ping-pong over locks with its own thread. The parent forks short-lived
children, runs short-lived programs, and prints the count at the end of its input.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading


def ping_pong() -> None:
    ping, pong = threading.Lock(), threading.Lock()
    pong.acquire()

    def answer() -> None:
        while True:
            pong.acquire()
            ping.release()

    threading.Thread(target=answer, daemon=True).start()
    while True:
        ping.acquire()
        pong.release()


def short_life() -> None:
    """A child with one thread that takes a free lock, over and over, and ends."""
    if (pid := os.fork()) == 0:
        lock = threading.Lock()
        for _ in range(2000):
            with lock:
                pass
        os._exit(0)
    os.waitpid(pid, 0)


if __name__ == "__main__":
    if (child := os.fork()) == 0:
        ping_pong()
    print("ready", child, flush=True)
    ended = threading.Event()
    threading.Thread(target=lambda: ended.set() if not sys.stdin.read() else None, daemon=True).start()
    done = 0
    while not ended.is_set():
        short_life()
        subprocess.run(["true"], check=True)
        done += 1
    print(done, flush=True)
