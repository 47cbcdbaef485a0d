"""Programs whose threads or tasks wait for each other, or for nobody, and can never go on.

    threads.py MODE

Prints `ready PID...` and then gets stuck.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import multiprocessing.pool
import queue
import signal
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from http.server import BaseHTTPRequestHandler, HTTPServer

FORK = multiprocessing.get_context("fork")


def ready(*pids: int | None) -> None:
    print("ready", *pids, flush=True)


def watch() -> None:
    beats = 0
    while True:
        beats += 1
        time.sleep(0.2)


def started(target: Callable[..., object], *args: object, daemon: bool = False) -> threading.Thread:
    thread = threading.Thread(target=target, args=args, daemon=daemon)
    thread.start()
    return thread


Lock = AbstractContextManager[object]


def nested(meeting: threading.Barrier, first: Lock, second: Lock) -> None:
    with first:
        meeting.wait()
        with second:
            pass


# thread-lock-cycle


def locks_three() -> None:
    """Three threads in a ring, without `with`; the main thread is none of them, and a helper waits for ever."""
    locks = [threading.Lock() for _ in range(3)]
    meeting = threading.Barrier(4)

    def take(number: int) -> None:
        locks[number].acquire()
        meeting.wait()
        locks[(number + 1) % 3].acquire()

    started(threading.Event().wait, daemon=True)
    threads = [started(take, number) for number in range(3)]
    meeting.wait()
    ready()
    for thread in threads:
        thread.join()


def locks_reentrant() -> None:
    meeting = threading.Barrier(2)
    one, other = threading.RLock(), threading.Condition()
    started(nested, meeting, one, other)
    ready()
    nested(meeting, other, one)


def locks_semaphore() -> None:
    meeting = threading.Barrier(3)
    one, other = threading.Semaphore(), threading.Lock()
    with ThreadPoolExecutor(2) as pool:
        pool.submit(nested, meeting, one, other)
        pool.submit(nested, meeting, other, one)
        meeting.wait()
        ready()


def locks_twice() -> None:
    lock = threading.Lock()

    def inner() -> None:
        with lock:
            pass

    ready()
    with lock:
        inner()


def locks_join() -> None:
    """The one who holds the lock waits for the end of the one who wants it."""
    lock = threading.Lock()

    def work() -> None:
        with lock:
            pass

    with lock:
        thread = started(work)
        ready()
        thread.join()


def locks_monitored() -> None:
    meeting = threading.Barrier(2)
    one, other = threading.Lock(), threading.Lock()
    started(watch, daemon=True)
    started(lambda: time.sleep(600), daemon=True)
    started(time.sleep, 600, daemon=True)
    started(nested, meeting, one, other)
    ready()
    nested(meeting, other, one)


def locks_asked_to_end() -> None:
    """The main thread, which joins, would end the program when it is asked to."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))
    locks_in_threads()


def locks_twice_forked() -> None:
    """A forked worker takes its own lock twice: nobody held it at the fork."""
    worker = FORK.Process(target=locks_twice)
    worker.start()
    worker.join()


def locks_beside_server() -> None:
    """A thread that serves could do anything, were it asked."""
    server = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    started(server.serve_forever, daemon=True)
    locks_in_threads()


def locks_in_threads() -> None:
    meeting = threading.Barrier(3)
    one, other = threading.Lock(), threading.Lock()
    threads = [started(nested, meeting, one, other), started(nested, meeting, other, one)]
    meeting.wait()
    ready()
    for thread in threads:
        thread.join()


def locks_below_main() -> None:
    """The main thread looks on."""
    meeting = threading.Barrier(3)
    one, other = threading.Lock(), threading.Lock()
    threads = [started(nested, meeting, one, other), started(nested, meeting, other, one)]
    meeting.wait()
    ready()
    while any(thread.is_alive() for thread in threads):
        time.sleep(0.2)


# executor-self-wait


def executor_map() -> None:
    pool = ThreadPoolExecutor(3, thread_name_prefix="load")

    def outer(number: int) -> list[int]:
        meeting.wait()
        return list(pool.map(abs, range(number)))

    meeting = threading.Barrier(4)
    futures = [pool.submit(outer, 2) for _ in range(3)]
    meeting.wait()
    ready()
    wait(futures)


def executor_crossed() -> None:
    """Two pools whose tasks wait for tasks of the other one, used by a thread that is not the main thread."""
    one, other = ThreadPoolExecutor(1), ThreadPoolExecutor(1)
    meeting = threading.Barrier(3)

    def outer(pool: ThreadPoolExecutor) -> None:
        meeting.wait()
        wait([pool.submit(int)])

    def run() -> None:
        future = one.submit(outer, other)
        other.submit(outer, one)
        meeting.wait()
        ready()
        future.result()

    started(run).join()


def executor_monitored() -> None:
    stop = threading.Event()

    def look() -> None:
        while not stop.wait(0.2):
            print("waiting", file=sys.stderr)

    started(look, daemon=True)
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(lambda: pool.submit(int).result())
        ready()
        future.result()


def executor_thread_pool() -> None:
    """multiprocessing's pool of threads, which looks after its threads ten times a second."""
    with multiprocessing.pool.ThreadPool(2) as pool:
        meeting = threading.Barrier(3)

        def outer(number: int) -> list[int]:
            meeting.wait()
            return pool.map(abs, [number])

        result = pool.map_async(outer, range(2), chunksize=1)
        meeting.wait()
        ready()
        result.get()


# exit-join-waits-thread


def exit_queue() -> None:
    """A consumer that nobody told to stop; a daemon waits beside it."""
    items: queue.Queue[int] = queue.Queue()

    def consume() -> None:
        while items.get():
            pass

    started(threading.Event().wait, daemon=True)
    started(consume)
    items.put(1)
    ready()


def exit_pool() -> None:
    """A task of a pool waits for ever; concurrent.futures joins its threads at the exit."""
    pool = ThreadPoolExecutor(4)
    pool.submit(queue.SimpleQueue[int]().get)
    pool.submit(int).result()
    ready()


def exit_child() -> None:
    """In a forked child of a child."""

    def inner() -> None:
        started(threading.Event().wait)
        ready()

    def middle() -> None:
        child = FORK.Process(target=inner)
        child.start()
        child.join()

    outer = FORK.Process(target=middle)
    outer.start()
    outer.join()


# asyncio-await-never


def await_forever() -> None:
    """Without asyncio.run there is no handler of Ctrl-C but Python's own."""
    loop = asyncio.new_event_loop()
    locks = [asyncio.Lock(), asyncio.Lock()]

    async def take(first: asyncio.Lock, second: asyncio.Lock) -> None:
        async with first:
            await asyncio.sleep(0)
            async with second:
                pass

    async def main() -> None:
        ready()
        await asyncio.gather(take(*locks), take(*reversed(locks)))

    task = loop.create_task(main())
    loop.run_forever()
    task.cancel()


def await_queue() -> None:
    """Consumers without a producer; threads of the loop's own executor are idle, and a helper waits for ever."""

    async def main() -> None:
        items: asyncio.Queue[int] = asyncio.Queue()
        await asyncio.gather(*(asyncio.to_thread(time.sleep, 0.01) for _ in range(3)))
        consumers = [asyncio.create_task(items.get()) for _ in range(5)]
        ready()
        await asyncio.wait(consumers)

    started(threading.Event().wait, daemon=True)
    asyncio.run(main())


def await_in_thread() -> None:
    async def main() -> None:
        ready()
        await asyncio.Event().wait()

    started(asyncio.run, main()).join()


def await_monitored() -> None:
    async def main() -> None:
        ready()
        await asyncio.get_running_loop().create_future()

    started(watch, daemon=True)
    asyncio.run(main())


# event-loop-blocked


def loop_queue() -> None:
    items: queue.Queue[int] = queue.Queue()

    async def produce() -> None:
        await asyncio.sleep(0)
        items.put(1)

    async def consume() -> None:
        ready()
        items.get()

    async def main() -> None:
        await asyncio.gather(consume(), produce())

    asyncio.run(main())


def loop_client() -> None:
    """A blocking HTTP client asks the server of its own loop; idle threads are there as well."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.close()

    async def main() -> None:
        await asyncio.to_thread(int)
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        ready()
        port = server.sockets[0].getsockname()[1]
        urllib.request.urlopen(f"http://127.0.0.1:{port}/")

    asyncio.run(main())


def loop_result() -> None:
    """In a thread: the loop waits for the result of a coroutine that it has to run itself."""

    async def main() -> None:
        future: Future[None] = asyncio.run_coroutine_threadsafe(asyncio.sleep(0), asyncio.get_running_loop())
        ready()
        future.result()

    started(asyncio.run, main()).join()


def loop_monitored() -> None:
    started(watch, daemon=True)
    loop_queue()


MODES: dict[str, Callable[[], object]] = {
    name.replace("_", "-"): action
    for name, action in list(globals().items())
    if name.startswith(("locks_", "executor_", "exit_", "await_", "loop_"))
}

if __name__ == "__main__":
    MODES[sys.argv[1]]()
