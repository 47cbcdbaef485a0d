"""Programs whose processes wait for each other over pipes and queues, and can never go on.

    pipes.py MODE

Prints `ready PID...` and then gets stuck.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable

FORK = multiprocessing.get_context("fork")
SPAWN = multiprocessing.get_context("spawn")
SIZE = 800_000
FLOOD = f"import os; os.write(1, b'x' * {SIZE})"


def ready(*pids: int | None) -> None:
    print("ready", *pids, flush=True)


def watch() -> None:
    while True:
        time.sleep(0.5)


def monitored() -> None:
    threading.Thread(target=watch, daemon=True).start()


def full_shell() -> None:
    """The output of a grandchild, awaited in a thread that the main thread joins."""
    command = ["sh", "-c", f'{sys.executable} -c "{FLOOD}"; exit 3']

    def call() -> None:
        with subprocess.Popen(command, stdout=subprocess.PIPE) as shell:
            ready(shell.pid)
            shell.wait()

    caller = threading.Thread(target=call)
    caller.start()
    caller.join()


def full_stderr() -> None:
    """The parent reads one output to its end while the child fills the other."""
    command = [sys.executable, "-c", FLOOD.replace("write(1", "write(2")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        ready(child.pid)
        assert child.stdout
        child.stdout.read()


def full_both() -> None:
    """Each writes to the other before it reads."""
    command = [sys.executable, "-c", f"{FLOOD}; os.read(0, 1)"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        ready(child.pid)
        assert child.stdin
        child.stdin.write(b"y" * SIZE)


def flood(connection: multiprocessing.connection.Connection) -> None:
    connection.send_bytes(b"x" * SIZE)


def full_connection() -> None:
    """The parent joins before it receives. A duplex pipe of multiprocessing is a pair of sockets."""
    ours, theirs = SPAWN.Pipe()
    child = SPAWN.Process(target=flood, args=(theirs,))
    child.start()
    ready(child.pid)
    child.join()
    ours.recv_bytes()


def full_monitored() -> None:
    monitored()
    with subprocess.Popen([sys.executable, "-c", FLOOD], stdout=subprocess.PIPE) as child:
        ready(child.pid)
        child.wait()


def full_asked_to_end() -> None:
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))
    with subprocess.Popen([sys.executable, "-c", FLOOD], stdout=subprocess.PIPE) as child:
        ready(child.pid)
        child.wait()


def fill(queue: multiprocessing.Queue[bytes], count: int) -> None:
    for _ in range(count):
        queue.put(b"x" * (SIZE // count))


def queue_nested() -> None:
    """Three workers of a process that is a child itself; they are joined one after the other."""

    def middle() -> None:
        queue = FORK.JoinableQueue()
        workers = [FORK.Process(target=fill, args=(queue, 10)) for _ in range(3)]
        for worker in workers:
            worker.start()
        ready(*(worker.pid for worker in workers))
        for worker in workers:
            worker.join()

    outer = FORK.Process(target=middle)
    outer.start()
    outer.join()


def queue_spawned() -> None:
    queue = SPAWN.Queue()
    child = SPAWN.Process(target=fill, args=(queue, 1))
    child.start()
    ready(child.pid)
    child.join()


def queue_monitored() -> None:
    monitored()
    queue = FORK.Queue()
    child = FORK.Process(target=fill, args=(queue, 1))
    child.start()
    ready(child.pid)
    child.join()


def eof_own() -> None:
    """A file that is read to its end in a thread; the process has the other end as well."""
    read_end, write_end = os.pipe()

    def read() -> None:
        with open(read_end, "rb") as file:
            file.read()

    reader = threading.Thread(target=read)
    reader.start()
    os.write(write_end, b"last words")
    ready()
    reader.join()


def eof_parent() -> None:
    """The parent waits for a child that reads to the end, and keeps the write end itself."""
    read_end, write_end = os.pipe()
    child = subprocess.Popen(["cat"], stdin=read_end)
    os.write(write_end, b"last words")
    ready(child.pid)
    child.wait()


def eof_leftover() -> None:
    """A shell that has ended has left a program behind, and with it its output."""
    ready()
    subprocess.run(["sh", "-c", "sleep 600 & echo started"], stdout=subprocess.PIPE, check=True)


def eof_leftover_both() -> None:
    """The same with the errors as well, which are read together."""
    ready()
    subprocess.run(["sh", "-c", "sleep 600 & echo started"], capture_output=True, check=True)


def eof_leaked() -> None:
    """A program that was started has inherited a pipe it knows nothing of."""
    read_end, write_end = os.pipe()
    sleeper = subprocess.Popen(["sleep", "600"], pass_fds=[write_end])
    os.close(write_end)
    ready(sleeper.pid)
    with open(read_end, "rb") as file:
        file.read()


def eof_helper() -> None:
    """A helper that was forked between the pipe and its writer."""
    read_end, write_end = os.pipe()
    helper = FORK.Process(target=watch, daemon=True)
    helper.start()
    os.close(write_end)
    ready(helper.pid)
    with open(read_end, "rb") as file:
        file.read()


MODES: dict[str, Callable[[], object]] = {
    name.replace("_", "-"): action
    for name, action in list(globals().items())
    if name.startswith(("full_", "queue_", "eof_"))
}

if __name__ == "__main__":
    MODES[sys.argv[1]]()
