"""A healthy program whose wait looks endless, because what ends it is easily left out of account.

    ends.py MODE

`launcher-*`: the main thread only waits for Ctrl-C, while a process that it started works. `kept-*`: a child waits
until its parent ends it. `winch-*`: a handler for a resized window ends the wait, and readline is there, which has one
too. `gil-*`: a native call keeps the GIL and waits for a process that works on its own. `nap-*`: somebody waits for the
end of a thread or process that only sleeps. `told-helper`: a started program writes to a pipe whose number is in its
environment. Prints `ready`.
"""

from __future__ import annotations

import asyncio
import ctypes
import logging
import multiprocessing
import os
import queue
import readline  # noqa: F401  its handler is what the `winch` modes are about
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from logging.handlers import QueueListener

FORK = multiprocessing.get_context("fork")
PYTHON_API = ctypes.PyDLL(None)  # calls through it keep the GIL
LONG_S = 600
SERVER = ("-m", "http.server", "0", "--bind", "127.0.0.1")


def nap() -> None:
    time.sleep(LONG_S)


def naps_again() -> None:
    while True:
        time.sleep(LONG_S)


def in_loop(begin: Callable[[], Awaitable[object]]) -> None:
    async def main() -> None:
        await begin()

    asyncio.run(main())


def start_server() -> None:
    subprocess.Popen([sys.executable, *SERVER], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def launcher_event() -> None:
    start_server()
    threading.Event().wait()


def launcher_worker() -> None:
    FORK.Process(target=naps_again).start()
    threading.Event().wait()


def launcher_threads() -> None:
    """With a thread that waits for something to do."""
    QueueListener(queue.Queue(), logging.NullHandler()).start()
    launcher_event()


def launcher_loop() -> None:
    start_server()
    in_loop(lambda: asyncio.Event().wait())


def kept_holder() -> None:
    """A helper that is there until its parent, who is busy with something else, terminates it."""
    FORK.Process(target=threading.Event().wait, daemon=True).start()
    nap()


def kept_loop() -> None:
    FORK.Process(target=in_loop, args=(lambda: asyncio.Event().wait(),), daemon=True).start()
    naps_again()


def winch_event() -> None:
    resized = threading.Event()
    signal.signal(signal.SIGWINCH, lambda *_: resized.set())
    resized.wait()


def winch_loop() -> None:
    async def main() -> None:
        resized = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGWINCH, resized.set)
        await resized.wait()

    asyncio.run(main())


def tick() -> None:
    while True:
        time.sleep(0.01)


def gil_command() -> None:
    threading.Thread(target=tick, daemon=True).start()
    PYTHON_API.system(b"sleep 600; true")


def gil_pipe() -> None:
    with subprocess.Popen(["/bin/sh", "-c", "sleep 600; echo"], stdout=subprocess.PIPE) as child:
        threading.Thread(target=tick, daemon=True).start()
        assert child.stdout
        PYTHON_API.read(child.stdout.fileno(), ctypes.create_string_buffer(1), 1)


def nap_thread() -> None:
    thread = threading.Thread(target=nap)
    thread.start()
    in_loop(lambda: asyncio.get_running_loop().run_in_executor(None, thread.join))


def nap_process() -> None:
    process = FORK.Process(target=nap)
    process.start()
    in_loop(lambda: asyncio.get_running_loop().run_in_executor(None, process.join))


def told_helper() -> None:
    """The number of the pipe is above 2, and in no argument."""
    reader, writer = os.pipe()
    subprocess.Popen(["/bin/sleep", "600"], pass_fds=[writer], env={"LOG_FD": str(writer)})
    os.close(writer)
    os.read(reader, 1)


MODES: dict[str, Callable[[], object]] = {
    name.replace("_", "-"): action
    for name, action in list(globals().items())
    if name.startswith(("launcher_", "kept_", "winch_", "gil_", "nap_", "told_"))
}

if __name__ == "__main__":
    print("ready", flush=True)
    MODES[sys.argv[1]]()
