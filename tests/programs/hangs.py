"""Programs that can never go on, each in a way of its own.

    hangs.py MODE

Prints `ready PID...`, naming the processes that will be dead with it, and then gets stuck.
"""

from __future__ import annotations

import asyncio
import ctypes
import multiprocessing
import multiprocessing.connection
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.process import BaseProcess

FORK = multiprocessing.get_context("fork")
SIZE = 800_000


def ready(*pids: int | None) -> None:
    print("ready", *pids, flush=True)


def pipe_full_cycle() -> None:
    command = [sys.executable, "-c", f"import os; os.write(1, b'x' * {SIZE})"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE)
    ready(child.pid)
    child.wait()


def pipe_never_eof() -> None:
    reader, _writer = os.pipe()
    ready()
    os.read(reader, 1)


def thread_lock_cycle() -> None:
    first, second = threading.Lock(), threading.Lock()
    both = threading.Barrier(2)

    def take(one: threading.Lock, other: threading.Lock) -> None:
        with one:
            both.wait()
            with other:
                pass

    helper = threading.Thread(target=take, args=(second, first))
    helper.start()
    ready()
    take(first, second)


def queue_join_before_drain() -> None:
    queue = FORK.Queue()
    child = FORK.Process(target=lambda: queue.put(b"x" * SIZE))
    child.start()
    ready(child.pid)
    child.join()


def executor_self_wait() -> None:
    with ThreadPoolExecutor(max_workers=2) as pool:
        both = threading.Barrier(2)

        def outer() -> int:
            both.wait()
            return pool.submit(int).result()

        futures = [pool.submit(outer) for _ in range(2)]
        ready()
        futures[0].result()


def exit_join() -> None:
    threading.Thread(target=threading.Event().wait).start()
    ready()


def semaphore_owner_dead() -> None:
    lock = FORK.Lock()
    taken, tell = FORK.Pipe(duplex=False)

    def take() -> None:
        lock.acquire()
        tell.send(True)
        signal.pause()

    owner = FORK.Process(target=take)
    owner.start()
    taken.recv()
    owner.kill()
    owner.join()
    waiters = [FORK.Process(target=lock.acquire) for _ in range(2)]
    for waiter in waiters:
        waiter.start()
    ready(*(waiter.pid for waiter in waiters))
    for waiter in waiters:
        waiter.join()


def child_wait() -> None:
    """A grandchild waits for a lock that nobody will release; everybody above it for its end."""

    def middle() -> None:
        inner: BaseProcess = FORK.Process(target=lambda: _held().acquire())
        inner.start()
        ready(os.getpid(), inner.pid)
        inner.join()

    outer = FORK.Process(target=middle)
    outer.start()
    outer.join()


def event_loop_blocked() -> None:
    async def main() -> None:
        server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
        with socket.create_connection(server.sockets[0].getsockname()) as client:
            client.sendall(b"hello")
            client.settimeout(None)
            ready()
            client.recv(1)

    asyncio.run(main())


def asyncio_await_never() -> None:
    """Without a handler for Ctrl-C of asyncio's own, there is nothing that could end it."""

    async def main() -> None:
        ready()
        await asyncio.get_running_loop().create_future()

    asyncio.run(main())


def task_lost() -> None:
    """A worker of a Pool leaves in the middle of a task."""
    with FORK.Pool(2) as pool:
        result = pool.apply_async(os._exit, (0,))
        ready()
        result.get()


def socket_pair() -> None:
    """Two processes wait for each other's word, one of them in select."""
    ours, theirs = socket.socketpair()
    if (child := os.fork()) == 0:
        ours.close()
        theirs.recv(1)
        os._exit(0)
    theirs.close()
    ready(child)
    select.select([ours], [], [])


def connection_wait() -> None:
    """A poll set with a pipe and the end of a child that reads from it."""
    reader, writer = FORK.Pipe(duplex=False)
    child = FORK.Process(target=reader.recv)
    child.start()
    ready(child.pid)
    multiprocessing.connection.wait([child.sentinel])
    writer.send(None)


def leader_gone() -> None:
    """The first thread has ended; another one waits on a pipe that it holds itself."""

    def read() -> None:
        reader, _writer = os.pipe()
        ready()
        os.read(reader, 1)

    threading.Thread(target=read).start()
    ctypes.CDLL(None).pthread_exit(None)


def _held() -> threading.Lock:
    lock = threading.Lock()
    lock.acquire()
    return lock


MODES: dict[str, Callable[[], object]] = {
    "pipe-full-cycle": pipe_full_cycle,
    "pipe-never-eof": pipe_never_eof,
    "thread-lock-cycle": thread_lock_cycle,
    "queue-join-before-drain": queue_join_before_drain,
    "executor-self-wait": executor_self_wait,
    "exit-join": exit_join,
    "semaphore-owner-dead": semaphore_owner_dead,
    "child-wait": child_wait,
    "event-loop-blocked": event_loop_blocked,
    "asyncio-await-never": asyncio_await_never,
    "task-lost": task_lost,
    "socket-pair": socket_pair,
    "connection-wait": connection_wait,
    "leader-gone": leader_gone,
}

if __name__ == "__main__":
    MODES[sys.argv[1]]()
