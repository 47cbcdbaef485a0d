"""Deadlocks that belong to no class of their own, or to one only at a second glance.

    circles.py MODE

Prints `ready PID...` and then gets stuck.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import queue
import signal
import socket
import sys
import threading
from collections.abc import Callable

FORK = multiprocessing.get_context("fork")


def ready(*pids: int | None) -> None:
    print("ready", *pids, flush=True)


def messages() -> None:
    """Two processes that each want the other's message first, over a pair of pipes."""
    ask, answer = os.pipe(), os.pipe()
    if (child := os.fork()) == 0:
        os.read(ask[0], 1)
        os.write(answer[1], b".")
        os._exit(0)
    ready(child)
    os.read(answer[0], 1)
    os.write(ask[1], b".")


def sockets() -> None:
    """The same over sockets, in a ring of three."""
    pairs = [socket.socketpair() for _ in range(3)]

    def listen(number: int) -> None:
        pairs[number][0].recv(1)
        pairs[(number + 1) % 3][1].send(b".")

    children = [FORK.Process(target=listen, args=(number,)) for number in range(3)]
    for child in children:
        child.start()
    ready(*(child.pid for child in children))
    for child in children:
        child.join()


def shared_locks() -> None:
    """Two processes take two shared locks in different order."""
    locks = FORK.Lock(), FORK.Lock()
    meeting = FORK.Barrier(3)

    def take(first: int) -> None:
        with locks[first]:
            meeting.wait()
            with locks[1 - first]:
                pass

    children = [FORK.Process(target=take, args=(first,)) for first in range(2)]
    for child in children:
        child.start()
    meeting.wait()
    ready(*(child.pid for child in children))
    for child in children:
        child.join()


class Gate:
    """A condition of one's own, that nobody notifies."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.open = False

    def pass_through(self) -> None:
        """Waits until it is open."""
        with self.changed:
            while not self.open:
                self.changed.wait()


def conditions() -> None:
    gate = Gate()
    threads = [threading.Thread(target=gate.pass_through) for _ in range(3)]
    for thread in threads:
        thread.start()
    ready()
    for thread in threads:
        thread.join()


def queues() -> None:
    """Each thread wants an item from the other one's queue first."""
    here: queue.Queue[int] = queue.Queue()
    there: queue.Queue[int] = queue.Queue()

    def work() -> None:
        there.put(here.get())

    threading.Thread(target=work, daemon=True).start()
    ready()
    here.put(there.get())


def itself() -> None:
    """Both ends of a connection are in one loop, and each waits for the end of what the other one says."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readuntil(b"end"))

    async def ask() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"begin")
        await writer.drain()
        ready()
        await reader.readuntil(b"end")

    asyncio.run(ask())


def forked() -> None:
    """A lock was held at the fork, and the child has inherited the handler by which the parent ends."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))
    lock, held, done = threading.Lock(), threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            held.set()
            done.wait()

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait()
    if (pid := os.fork()) == 0:
        with lock:
            os._exit(0)
    done.set()
    holder.join()
    ready(pid)
    os.waitpid(pid, 0)


MODES: dict[str, Callable[[], object]] = {
    "messages": messages,
    "sockets": sockets,
    "shared-locks": shared_locks,
    "conditions": conditions,
    "queues": queues,
    "itself": itself,
    "forked": forked,
}

if __name__ == "__main__":
    MODES[sys.argv[1]]()
