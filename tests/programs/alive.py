"""Programs that look hung and are not: something can still come.

    alive.py MODE

Prints `ready PID...`, naming helpers where a test needs them, and then waits.
"""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import multiprocessing
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable

FORK = multiprocessing.get_context("fork")
FOR_EVER_S = 600


def ready(*pids: int | None) -> None:
    print("ready", *pids, flush=True)


def held() -> threading.Lock:
    lock = threading.Lock()
    lock.acquire()
    return lock


def child(action: Callable[[], object]) -> int:
    if (pid := os.fork()) == 0:
        action()
        os._exit(0)
    return pid


def sleep() -> None:
    ready()
    time.sleep(FOR_EVER_S)


def timer_lock() -> None:
    lock = held()
    timer = threading.Timer(FOR_EVER_S, lock.release)
    timer.start()
    ready()
    lock.acquire()


def idle_pool() -> None:
    with FORK.Pool(2):
        ready()
        sys.stdin.read()


def square(number: int) -> int:
    time.sleep(0.001)
    return number * number


def busy_pool() -> None:
    with FORK.Pool(2) as pool:
        ready()
        while True:
            pool.map(square, range(20), chunksize=1)


def stopped() -> None:
    """The child would release the parent, once it is told to go on."""
    pid = child(lambda: os.kill(os.getpid(), signal.SIGSTOP))
    os.waitpid(pid, os.WUNTRACED)
    ready(pid)
    os.waitpid(pid, 0)


def lock_ping_pong() -> None:
    ping, pong = threading.Lock(), held()

    def answer() -> None:
        while True:
            pong.acquire()
            ping.release()

    threading.Thread(target=answer, daemon=True).start()
    ready()
    while True:
        ping.acquire()
        pong.release()


def pipe_ping_pong() -> None:
    (ask_r, ask_w), (answer_r, answer_w) = os.pipe(), os.pipe()

    def answer() -> None:
        while True:
            os.read(ask_r, 1)
            os.write(answer_w, b".")

    ready(child(answer))
    while True:
        os.write(ask_w, b".")
        os.read(answer_r, 1)


def child_computes() -> None:
    def compute() -> None:
        while True:
            pass

    pid = child(compute)
    ready(pid)
    os.waitpid(pid, 0)


def signal_pause() -> None:
    ready()
    signal.pause()


def sigwait() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    ready()
    signal.sigwait([signal.SIGUSR1])


def outside_pipe() -> None:
    """The test holds the other end of the standard input; this process and its child hold none."""
    pid = child(lambda: os.read(0, 1))
    ready(pid)
    os.waitpid(pid, 0)


def shared_file_futex() -> None:
    """Both processes wait on a semaphore in a file that anybody may map."""
    libc = ctypes.CDLL(None)
    with tempfile.NamedTemporaryFile() as file:
        file.truncate(mmap.PAGESIZE)
        memory = mmap.mmap(file.fileno(), mmap.PAGESIZE)
        semaphore = ctypes.byref(ctypes.c_char.from_buffer(memory))
        libc.sem_init(semaphore, 1, 0)
        ready(child(lambda: libc.sem_wait(semaphore)))
        libc.sem_wait(semaphore)


def alarm() -> None:
    def expire(*_: object) -> None:
        raise TimeoutError

    signal.signal(signal.SIGALRM, expire)
    signal.setitimer(signal.ITIMER_REAL, FOR_EVER_S)
    ready()
    held().acquire()


def alarm_pipe() -> None:
    signal.signal(signal.SIGALRM, lambda *_: None)
    signal.alarm(FOR_EVER_S)
    reader, _writer = os.pipe()
    ready()
    os.read(reader, 1)


def watchdog() -> None:
    """The child is dead; a thread of the parent will end it and so release the parent."""
    pid = child(lambda: held().acquire())
    threading.Timer(FOR_EVER_S, os.kill, (pid, signal.SIGKILL)).start()
    ready(pid)
    os.waitpid(pid, 0)


def monitor() -> None:
    """The same with a process of its own that keeps watch."""
    worker = child(lambda: held().acquire())

    def watch() -> None:
        time.sleep(FOR_EVER_S)
        os.kill(worker, signal.SIGKILL)

    ready(worker, child(watch))
    os.waitpid(worker, 0)


def in_flight() -> None:
    """The only living write end is in a message that a sleeping process will receive; the reader holds one itself."""
    here, there = socket.socketpair()
    sleeper = child(lambda: time.sleep(FOR_EVER_S))
    reader, writer = os.pipe()
    waiting = child(lambda: os.read(reader, 1))
    socket.send_fds(here, [b"."], [writer])
    os.close(writer)
    here.close()
    os.close(reader)
    ready(waiting, sleeper)
    there.recv(0)
    os.waitpid(waiting, 0)


def socket_timeout() -> None:
    """The socket has a timeout of its own, which the system call does not show."""
    here, _there = socket.socketpair()
    here.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, (FOR_EVER_S).to_bytes(8, "little") + bytes(8))
    ready()
    here.recv(1)


def armed_timerfd() -> None:
    libc = ctypes.CDLL(None)
    timer = libc.timerfd_create(1, 0)
    libc.timerfd_settime(timer, 0, (ctypes.c_long * 4)(0, 0, FOR_EVER_S, 0), None)
    ready()
    select.select([timer], [], [])


def accept() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        ready()
        server.accept()


def terminal_child() -> None:
    """A child that runs another program, which sleeps."""
    program = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    ready(program.pid)
    program.wait()


def file_lock() -> None:
    with tempfile.NamedTemporaryFile() as file:
        fcntl.flock(file, fcntl.LOCK_EX)

        def take() -> None:
            with open(file.name) as again:
                fcntl.flock(again, fcntl.LOCK_EX)

        pid = child(take)
        ready(pid)
        os.waitpid(pid, 0)


MODES: dict[str, Callable[[], object]] = {
    "sleep": sleep,
    "timer-lock": timer_lock,
    "idle-pool": idle_pool,
    "busy-pool": busy_pool,
    "stopped": stopped,
    "lock-ping-pong": lock_ping_pong,
    "pipe-ping-pong": pipe_ping_pong,
    "child-computes": child_computes,
    "pause": signal_pause,
    "sigwait": sigwait,
    "outside-pipe": outside_pipe,
    "shared-file-futex": shared_file_futex,
    "alarm": alarm,
    "alarm-pipe": alarm_pipe,
    "watchdog": watchdog,
    "monitor": monitor,
    "in-flight": in_flight,
    "socket-timeout": socket_timeout,
    "armed-timerfd": armed_timerfd,
    "accept": accept,
    "program": terminal_child,
    "file-lock": file_lock,
}

if __name__ == "__main__":
    MODES[sys.argv[1]]()
