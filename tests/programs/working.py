"""A program that is not hung: it computes, sleeps, waits with a timer, for a lock that is in use, or for a signal.

    working.py MODE [helper|monitor]

Prints `ready`, and goes on for ten minutes. `helper` adds a thread that sleeps all the time,
`monitor` one that looks at the clock now and then.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

FORK = multiprocessing.get_context("fork")
LONG_S = 600.0
SPIN = "while True: pass"


def spin(_: object = None) -> None:
    end_s = time.monotonic() + LONG_S
    while time.monotonic() < end_s:
        sum(range(1000))


def doze(_: object = None) -> None:
    time.sleep(LONG_S)


def steps(_: object = None) -> None:
    end_s = time.monotonic() + LONG_S
    while time.monotonic() < end_s:
        sum(range(1000))
        time.sleep(0.05)


def ready() -> None:
    print("ready", flush=True)


def forked(action: Callable[[], object]) -> int:
    if (pid := os.fork()) == 0:
        action()
        os._exit(0)
    return pid


def in_fork(action: Callable[[], object]) -> None:
    os.waitpid(forked(action), 0)


def in_pool(action: Callable[[object], object]) -> None:
    with FORK.Pool(2) as pool:
        pool.map(action, range(1))


def in_executor(action: Callable[[object], object]) -> None:
    with ProcessPoolExecutor(2, mp_context=FORK) as executor:
        executor.submit(action, 0).result()


def in_thread(action: Callable[[], object]) -> None:
    thread = threading.Thread(target=action, daemon=True)
    thread.start()
    thread.join()


def in_thread_pool(action: Callable[[object], object]) -> None:
    with ThreadPoolExecutor(3) as executor:
        executor.submit(action, 0).result()


def in_program(code: str) -> None:
    subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True)


def in_polled_program(code: str) -> None:
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        process.wait(timeout=LONG_S)


def in_asyncio(code: str) -> None:
    async def run() -> None:
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=subprocess.PIPE)
        await process.communicate()

    asyncio.run(run())


def as_code(code: str) -> None:
    os.execv(sys.executable, [sys.executable, "-c", code])


def native(kind: str) -> None:
    if kind == "rayon":
        from tokenizers import Tokenizer, models, pre_tokenizers

        tokenizer = Tokenizer(models.WordLevel({"a": 0}, unk_token="a"))
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        texts = ["a b c d e f g " * 200] * 5000
        while True:
            tokenizer.encode_batch_fast(texts)
    import numpy as np

    matrix = np.ones((3000, 3000))
    while True:
        np.dot(matrix, matrix)


def produce(work: queue.Queue[int]) -> None:
    for number in range(int(LONG_S * 20)):
        time.sleep(0.05)
        work.put(number)


def consume() -> None:
    work: queue.Queue[int] = queue.Queue()
    threading.Thread(target=produce, args=(work,), daemon=True).start()
    while True:
        work.get()


async def ticking() -> None:
    while True:
        await asyncio.sleep(0.05)


def held(action: Callable[[], object]) -> threading.Lock:
    """A lock that another thread holds while it does something."""
    lock, taken = threading.Lock(), threading.Event()

    def hold() -> None:
        with lock:
            taken.set()
            action()

    threading.Thread(target=hold, daemon=True).start()
    taken.wait()
    return lock


def wait_for(lock: threading.Lock) -> None:
    with lock:
        pass


def wait_for_shared(action: Callable[[], object], *, both_children: bool) -> None:
    lock, taken = FORK.Lock(), FORK.Event()

    def hold() -> None:
        with lock:
            taken.set()
            action()

    forked(hold)
    taken.wait()

    def take() -> None:
        with lock:
            pass

    if both_children:
        in_fork(take)
    take()


def hold_timed() -> None:
    lock = threading.Lock()
    lock.acquire()
    lock.acquire(timeout=LONG_S)


def alarmed(number: int, timer: int) -> None:
    """A lock that nobody releases, but for the handler of a timer's signal."""
    signal.signal(number, lambda *_: os._exit(0))
    signal.setitimer(timer, LONG_S)
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()


def pool_timeout() -> None:
    with FORK.Pool(2) as pool:
        pool.apply_async(doze, (0,)).get(timeout=LONG_S)


def queue_timeout() -> None:
    FORK.Queue().get(timeout=LONG_S)


def event_with_handler() -> None:
    event = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: event.set())
    event.wait()


def loop_with_handler() -> None:
    async def wait() -> None:
        stop = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        await stop.wait()

    asyncio.run(wait())


def sigwait() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    signal.sigwait({signal.SIGUSR1})


def sigtimedwait() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    signal.sigtimedwait({signal.SIGUSR1}, LONG_S)


MODES: dict[str, Callable[[], object]] = {
    "busy-fork": lambda: in_fork(spin),
    "busy-nested": lambda: in_fork(lambda: in_fork(spin)),
    "busy-pool": lambda: in_pool(spin),
    "busy-executor": lambda: in_executor(spin),
    "busy-program": lambda: in_program(SPIN),
    "busy-polled": lambda: in_polled_program(SPIN),
    "busy-asyncio": lambda: in_asyncio(SPIN),
    "native-rayon": lambda: native("rayon"),
    "native-blas": lambda: native("blas"),
    "steps": steps,
    "steps-code": lambda: as_code("import time\nwhile True:\n    time.sleep(0.05)"),
    "steps-thread": lambda: in_thread(steps),
    "steps-threads": lambda: in_thread_pool(steps),
    "steps-fork": lambda: in_fork(steps),
    "steps-pool": lambda: in_pool(steps),
    "steps-queue": consume,
    "steps-asyncio": lambda: asyncio.run(ticking()),
    "timed-sleep": doze,
    "timed-code": lambda: as_code(f"import time; time.sleep({LONG_S})"),
    "timed-lock": hold_timed,
    "timed-alarm": lambda: alarmed(signal.SIGALRM, signal.ITIMER_REAL),
    "timed-pool": pool_timeout,
    "timed-queue": queue_timeout,
    "timed-event": lambda: threading.Event().wait(LONG_S),
    "timed-thread": lambda: in_thread(doze),
    "timed-child": lambda: in_fork(doze),
    "timed-program": lambda: in_polled_program(f"import time; time.sleep({LONG_S})"),
    "timed-asyncio": lambda: asyncio.run(asyncio.sleep(LONG_S)),
    "lock-busy": lambda: wait_for(held(spin)),
    "lock-sleeps": lambda: wait_for(held(doze)),
    "lock-steps": lambda: wait_for(held(steps)),
    "lock-shared": lambda: wait_for_shared(doze, both_children=False),
    "lock-shared-busy": lambda: wait_for_shared(spin, both_children=True),
    "signal-pause": signal.pause,
    "signal-sigwait": sigwait,
    "signal-timed": sigtimedwait,
    "signal-event": event_with_handler,
    "signal-loop": loop_with_handler,
    "spin": spin,
    "spin-code": lambda: as_code(SPIN),
    "spin-thread": lambda: in_thread(spin),
    "spin-threads": lambda: in_thread_pool(spin),
}


def look_at_clock() -> None:
    while True:
        time.sleep(0.1)


if __name__ == "__main__":
    others = {"helper": doze, "monitor": look_at_clock}
    for name in sys.argv[2:]:
        threading.Thread(target=others[name], daemon=True).start()
    ready()
    MODES[sys.argv[1]]()
