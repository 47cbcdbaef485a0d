"""A healthy program that looks as hung as a program can, and counts what it gets done.

    healthy.py baton|storm

`baton`: one baton goes round through every kind of wait, so that at any moment almost everybody is blocked, and the
one who is not may be anywhere: a pipe, a semaphore that processes share, sockets, asyncio with a thread, an eventfd, a
pipe end that travels in messages while its reader holds one too, a program that is run, a process that stops itself,
a Pool, an executor. `storm`: the same, with forks, programs, locks and pipes in full motion beside it.
Prints `ready`, then at the end of its input the number of rounds.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import random
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

FORK = multiprocessing.get_context("fork")


def child(action: Callable[[], object]) -> int:
    if (pid := os.fork()) == 0:
        random.seed(os.getpid())
        try:
            action()
        finally:
            os._exit(1)
    return pid


def double(number: int) -> int:
    dawdle()
    return 2 * number


def dawdle() -> None:
    """Now and then somebody keeps the baton for longer than a look takes, at work or asleep."""
    if random.random() < 0.1:
        end_s = time.monotonic() + random.random() * 0.06
        if random.random() < 0.5:
            time.sleep(end_s - time.monotonic())
        while time.monotonic() < end_s:
            pass


class Ring:
    """The stations between the main process's word and its answer. All are made before the first fork."""

    def __init__(self) -> None:
        self.start_r, self.start_w = os.pipe()
        self.semaphore = FORK.Semaphore(0)
        self.to_loop, self.loop_end = socket.socketpair()
        self.event = os.eventfd(0)
        self.courier, self.carrier = socket.socketpair()
        self.data_r, self.data_w = os.pipe()
        self.end_r, self.end_w = os.pipe()
        stopper = child(self.stop_and_answer)
        for station in (self.release, self.pass_on, self.loop, self.send_descriptor, self.carry):
            child(station)
        child(lambda: self.run_program(stopper))

    def release(self) -> None:
        while os.read(self.start_r, 1):
            dawdle()
            self.semaphore.release()

    def pass_on(self) -> None:
        while self.semaphore.acquire():
            dawdle()
            self.to_loop.sendall(b".")

    def loop(self) -> None:
        async def serve() -> None:
            self.loop_end.setblocking(False)
            while await asyncio.get_running_loop().sock_recv(self.loop_end, 1):
                await asyncio.to_thread(self.signal_event)

        asyncio.run(serve())

    def signal_event(self) -> None:
        dawdle()
        os.eventfd_write(self.event, 1)

    def send_descriptor(self) -> None:
        """Gives the write end away, and gets it back: nobody else but the reader keeps one."""
        while True:
            select.select([self.event], [], [])
            os.eventfd_read(self.event)
            dawdle()
            socket.send_fds(self.courier, [b"."], [self.data_w])
            os.close(self.data_w)
            _, (self.data_w,), _, _ = socket.recv_fds(self.courier, 1, 1)

    def carry(self) -> None:
        os.close(self.data_w)
        while True:
            _, (writer,), _, _ = socket.recv_fds(self.carrier, 1, 1)
            dawdle()
            os.write(writer, b".")
            socket.send_fds(self.carrier, [b"."], [writer])
            os.close(writer)

    def run_program(self, stopper: int) -> None:
        while os.read(self.data_r, 1):
            subprocess.run(["true"], check=True)
            dawdle()
            while _state(stopper) != "T":
                time.sleep(0.0001)
            os.kill(stopper, signal.SIGCONT)

    def stop_and_answer(self) -> None:
        while True:
            os.kill(os.getpid(), signal.SIGSTOP)
            os.write(self.end_w, b".")

    def round(self) -> None:
        os.write(self.start_w, b".")
        os.read(self.end_r, 1)


def _state(pid: int) -> str:
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0]


def storm() -> None:
    """Everything in motion: locks, pipes, forks and programs."""

    def locks() -> None:
        ping, pong = threading.Lock(), threading.Lock()
        pong.acquire()

        def answer() -> None:
            while pong.acquire():
                ping.release()

        threading.Thread(target=answer, daemon=True).start()
        while ping.acquire():
            pong.release()
            time.sleep(0.0001)

    def forks() -> None:
        while True:
            os.waitpid(child(lambda: os._exit(0)), 0)
            subprocess.run(["true"], check=True)

    child(locks)
    child(forks)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    ring = Ring()
    if sys.argv[1] == "storm":
        storm()
    with FORK.Pool(2) as pool, ThreadPoolExecutor(2) as executor:
        print("ready", flush=True)
        rounds = 0
        while not select.select([sys.stdin], [], [], 0)[0]:
            ring.round()
            assert pool.map(double, range(4), chunksize=1) == [0, 2, 4, 6]
            assert list(executor.map(double, range(4))) == [0, 2, 4, 6]
            rounds += 1
        print(rounds, flush=True)
    os.killpg(0, signal.SIGKILL)
