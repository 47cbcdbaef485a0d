"""Programs with locks, pools, pipes and loops at rest that are not hung: something still comes.

    threads_fine.py MODE

Prints `ready PID...` and then waits.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing.connection import Connection

FORK = multiprocessing.get_context("fork")
LONG_S = 600


def ready(*pids: int | None) -> None:
    print("ready", *pids, flush=True)


def started(target: Callable[..., object], *args: object) -> threading.Thread:
    thread = threading.Thread(target=target, args=args, daemon=True)
    thread.start()
    return thread


def beat() -> None:
    while True:
        print("beat", file=sys.stderr)
        time.sleep(0.2)


def holder_sleeps() -> None:
    """Two threads that each hold a lock wait for two others, whose owner sleeps."""
    a, b, c, d = (threading.Lock() for _ in range(4))
    meeting = threading.Barrier(4)

    def hold() -> None:
        with a, b:
            meeting.wait()
            time.sleep(LONG_S)

    def take(first: threading.Lock, second: threading.Lock) -> None:
        with first:
            meeting.wait()
            with second:
                pass

    threads = [started(hold), started(take, c, a), started(take, d, b)]
    meeting.wait()
    ready()
    threads[1].join()


def holder_timer() -> None:
    """A timer releases what looks like a circle."""
    a, b = threading.Lock(), threading.Lock()
    meeting = threading.Barrier(2)

    def take(first: threading.Lock, second: threading.Lock) -> None:
        with first:
            meeting.wait()
            with second:
                pass

    timer = threading.Timer(LONG_S, a.release)
    timer.daemon = True
    timer.start()
    started(take, a, b)
    ready()
    take(b, a)


def joins_heartbeat() -> None:
    """The work is done by a thread that only prints and sleeps."""
    thread = started(beat)
    ready()
    thread.join()


def tasks_wait_for_other_pool() -> None:
    other = ThreadPoolExecutor(1)
    inner = other.submit(time.sleep, LONG_S)
    with ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(inner.result) for _ in range(2)]
        ready()
        futures[0].result()


def tasks_wait_for_setter() -> None:
    future: Future[int] = Future()

    def answer() -> None:
        time.sleep(LONG_S)
        future.set_result(1)

    started(answer)
    with ThreadPoolExecutor(1) as pool:
        task = pool.submit(future.result)
        ready()
        task.result()


def tasks_wait_for_loop() -> None:
    """The task's result comes from an event loop in another thread, which waits for a timer."""
    loop = asyncio.new_event_loop()
    started(loop.run_forever)
    with ThreadPoolExecutor(1) as pool:
        task = pool.submit(lambda: asyncio.run_coroutine_threadsafe(asyncio.sleep(LONG_S), loop).result())
        ready()
        task.result()


def slow_reader() -> None:
    """The child's output is read, but slowly."""
    flood = "import os; os.write(1, b'x' * 800000)"
    with subprocess.Popen([sys.executable, "-c", flood], stdout=subprocess.PIPE) as child:

        def read() -> None:
            assert child.stdout
            while child.stdout.read(1):
                time.sleep(LONG_S)

        started(read)
        ready(child.pid)
        child.wait()


def slow_queue_reader() -> None:
    queue = FORK.Queue()

    def fill() -> None:
        for _ in range(2):
            queue.put(b"x" * 400_000)

    child = FORK.Process(target=fill)
    child.start()

    def read() -> None:
        while queue.get():
            time.sleep(LONG_S)

    started(read)
    ready(child.pid)
    child.join()


def slow_producer() -> None:
    """A child that was forked sleeps before it writes."""
    read_end, write_end = os.pipe()

    def produce() -> None:
        time.sleep(LONG_S)
        os.write(write_end, b"done")

    child = FORK.Process(target=produce)
    child.start()
    os.close(write_end)
    ready(child.pid)
    with open(read_end, "rb") as file:
        file.read()


def slow_command() -> None:
    ready()
    subprocess.run(["sh", "-c", "sleep 600; echo done"], stdout=subprocess.PIPE, check=True)


def send_late(connection: Connection) -> None:
    time.sleep(LONG_S)
    connection.send(1)


def slow_spawned_producer() -> None:
    """A child that was started, and got the number of the pipe, sleeps before it writes."""
    context = multiprocessing.get_context("spawn")
    hear, tell = context.Pipe(duplex=False)
    child = context.Process(target=send_late, args=(tell,))
    child.start()
    tell.close()
    ready(child.pid)
    hear.recv()


def slow_printer() -> None:
    """A program whose output is read line by line prints seldom."""
    program = "import time\nwhile True:\n    time.sleep(600)\n    print('tick', flush=True)"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as child:
        ready(child.pid)
        assert child.stdout
        child.stdout.readline()


def slow_daemon() -> None:
    """A process waits for its daemon, which has left it by a double fork, to say that it is ready."""
    read_end, write_end = os.pipe()
    if os.fork() == 0:
        if os.fork() == 0:
            time.sleep(LONG_S)
            os.write(write_end, b"ready")
        os._exit(0)
    os.close(write_end)
    os.wait()
    ready()
    os.read(read_end, 1)


def shell_pipeline() -> None:
    with subprocess.Popen("sleep 600 | cat", shell=True) as shell:
        ready(shell.pid)
        shell.wait()


def command_waits_for_us() -> None:
    """A program that reads what we write, later."""
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as cat:
        ready(cat.pid)
        time.sleep(LONG_S)


def loop_beside_main() -> None:
    """A background loop without work, and a main thread that keeps the program alive."""
    started(asyncio.new_event_loop().run_forever)
    ready()
    while True:
        time.sleep(0.2)


def loop_timer() -> None:
    async def main() -> None:
        ready()
        await asyncio.gather(asyncio.Event().wait(), asyncio.sleep(LONG_S))

    asyncio.run(main())


def loop_awaits_worker() -> None:
    """The loop awaits a thread that works on and prints."""

    async def main() -> None:
        ready()
        await asyncio.to_thread(beat)

    asyncio.run(main())


def loop_server() -> None:
    async def main() -> None:
        server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
        ready()
        await server.serve_forever()

    asyncio.run(main())


def exit_worker_polls() -> None:
    threading.Thread(target=beat).start()
    ready()


def idle_pool() -> None:
    """Idle threads of a pool beside a heartbeat."""
    pool = ThreadPoolExecutor(2)
    pool.submit(int).result()
    started(beat)
    ready()
    sys.stdin.read()


def handler_releases() -> None:
    """A lock that is taken a second time to wait for a request to end."""
    running, other = threading.Lock(), threading.Lock()
    signal.signal(signal.SIGTERM, lambda number, frame: running.release())
    running.acquire()
    meeting = threading.Barrier(2)

    def take() -> None:
        with other:
            meeting.wait()
            running.acquire()

    started(take)
    meeting.wait()
    ready()
    with other:
        pass


def slow_leftover() -> None:
    """What a shell has left behind keeps its output only for a while."""
    ready()
    subprocess.run(["sh", "-c", "sleep 30 & echo started"], stdout=subprocess.PIPE, check=True)


MODES: dict[str, Callable[[], object]] = {
    name.replace("_", "-"): action
    for name, action in list(globals().items())
    if name.startswith(
        ("holder_", "joins_", "tasks_", "slow_", "shell_", "command_", "loop_", "exit_", "idle_", "handler_")
    )
}

if __name__ == "__main__":
    MODES[sys.argv[1]]()
