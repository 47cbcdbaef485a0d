"""A native call that waits and keeps the GIL, so that no other thread can bring what it waits for.

    gil.py pipe|semaphore|thread

Prints `ready` and hangs: `pipe` in read of the C library, `semaphore` in sem_wait, `thread` in read off the main
thread.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
import time

PYTHON_API = ctypes.PyDLL(None)  # calls through it keep the GIL


def read_pipe() -> None:
    reader, writer = os.pipe()
    threading.Timer(0.05, os.write, (writer, b".")).start()
    PYTHON_API.read(reader, ctypes.create_string_buffer(1), 1)


def wait_for_semaphore() -> None:
    semaphore = ctypes.create_string_buffer(64)
    PYTHON_API.sem_init(semaphore, 0, 0)
    threading.Timer(0.05, PYTHON_API.sem_post, (semaphore,)).start()
    PYTHON_API.sem_wait(semaphore)


def tick() -> None:
    while True:
        time.sleep(0.01)


if __name__ == "__main__":
    print("ready", flush=True)
    if sys.argv[1] == "thread":
        threading.Thread(target=read_pipe).start()
        tick()
    threading.Thread(target=tick, daemon=True).start()
    (read_pipe if sys.argv[1] == "pipe" else wait_for_semaphore)()
