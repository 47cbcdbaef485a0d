"""A lock that processes share, whose owner was killed; and locks that only look so.

    semaphores.py KIND [--method M] [--waiters N] [--monitor] [--thread]

Prints `ready PID...`, the waiting processes, and then gets stuck.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from typing import Any


def ready(*pids: int | None) -> None:
    print("ready", *pids, flush=True)


def take_and_tell(lock: Any, tell: Any) -> None:
    lock.acquire()
    tell.send(os.getpid())
    time.sleep(3600)


def take(lock: Any) -> None:
    with lock:
        pass


def take_in_a_thread(lock: Any) -> None:
    thread = threading.Thread(target=take, args=(lock,))
    thread.start()
    thread.join()


def drain(queue: Any) -> None:
    while queue.get() is not None:
        pass


def put(queue: Any) -> None:
    queue.put(1)


def nap(_number: int) -> None:
    time.sleep(0.05)


def own(context: BaseContext, lock: Any) -> BaseProcess:
    """A process that has the lock."""
    taken, tell = context.Pipe(duplex=False)
    owner = context.Process(target=take_and_tell, args=(lock, tell))  # type: ignore[attr-defined]
    owner.start()
    taken.recv()
    return owner  # type: ignore[no-any-return]


def start(context: BaseContext, target: Callable[[Any], None], argument: Any, count: int) -> list[BaseProcess]:
    processes = [context.Process(target=target, args=(argument,)) for _ in range(count)]  # type: ignore[attr-defined]
    for process in processes:
        process.start()
    return processes


def wait_for(processes: list[BaseProcess]) -> None:
    ready(*(process.pid for process in processes))
    for process in processes:
        process.join()


def killed(context: BaseContext, options: argparse.Namespace) -> None:
    """The owner of a Lock or an RLock is killed."""
    lock = context.RLock() if options.kind == "rlock" else context.Lock()
    owner = own(context, lock)
    owner.kill()
    owner.join()
    wait_for(start(context, take_in_a_thread if options.thread else take, lock, options.waiters))


def left(context: BaseContext, options: argparse.Namespace) -> None:
    """The owner ends without giving it back; the waiter is the parent."""
    lock = context.Lock()
    (owner,) = start(context, lambda lock: lock.acquire() and None, lock, 1)
    owner.join()
    ready(os.getpid())
    lock.acquire()


def queue(context: BaseContext, options: argparse.Namespace) -> None:
    """A consumer of a Queue is killed while it waits for an item, which it does with the Queue's lock."""
    items = context.Queue()
    consumers = start(context, drain, items, options.waiters + 1)
    time.sleep(0.5)
    reader = next(process for process in consumers if "pipe" in _wchan(process.pid))
    reader.kill()
    reader.join()
    wait_for([process for process in consumers if process is not reader])


def pool(context: BaseContext, options: argparse.Namespace) -> None:
    """An idle worker of a Pool is killed while it has the lock of the tasks."""
    with context.Pool(options.waiters) as workers:
        workers.map(nap, range(options.waiters * 2))
        children = multiprocessing.active_children()
        reader = None
        while reader is None:
            reader = next((process for process in children if "pipe" in _wchan(process.pid)), None)
        assert reader.pid
        os.kill(reader.pid, signal.SIGKILL)
        reader.join()
        ready(*(process.pid for process in children if process is not reader))
        workers.map(nap, range(8))


def held(context: BaseContext, options: argparse.Namespace) -> None:
    """The owner lives, and sleeps."""
    lock = context.Lock()
    owner = own(context, lock)
    wait_for([*start(context, take, lock, options.waiters), owner])


def held_by_parent(context: BaseContext, options: argparse.Namespace) -> None:
    """The parent has the lock, and waits for those who want it: a circle."""
    lock = context.Lock()
    with lock:
        wait_for(start(context, take, lock, options.waiters))


def take_and_end(lock: Any) -> None:
    lock.acquire()


def give_back(lock: Any) -> None:
    time.sleep(600)
    lock.release()


def acquire(lock: Any) -> None:
    lock.acquire()


def handed_on(context: BaseContext, options: argparse.Namespace) -> None:
    """Who took it has ended, and another process will give it back."""
    lock = context.Lock()
    (first,) = start(context, take_and_end, lock, 1)
    first.join()
    wait_for([*start(context, acquire, lock, options.waiters), *start(context, give_back, lock, 1)])


def unwritten(context: BaseContext, options: argparse.Namespace) -> None:
    """The process that should have put an item has ended."""
    items = context.Queue()
    (producer,) = start(context, lambda _items: None, items, 1)
    producer.join()
    ready(os.getpid())
    items.get()


def unset(context: BaseContext, options: argparse.Namespace) -> None:
    """An event that a handler sets."""
    event = context.Event()
    signal.signal(signal.SIGTERM, lambda *_: event.set())
    ready(os.getpid())
    event.wait()


def finish_slowly(items: Any) -> None:
    items.get()
    time.sleep(600)
    items.task_done()


def joined(context: BaseContext, options: argparse.Namespace) -> None:
    """The parent waits until the item of a queue is done."""
    items = context.JoinableQueue()
    (consumer,) = start(context, finish_slowly, items, 1)
    items.put(1)
    ready(consumer.pid)
    items.join()


def full(context: BaseContext, options: argparse.Namespace) -> None:
    """A Queue of one item is full, and the one who put it has ended."""
    items = context.Queue(1)
    (first,) = start(context, put, items, 1)
    first.join()
    wait_for(start(context, put, items, options.waiters))


def signalled(context: BaseContext, options: argparse.Namespace) -> None:
    """A semaphore at 0 that nobody raises: nobody owns it."""
    semaphore = context.Semaphore(0)  # with spawn its name goes with the object
    wait_for(start(context, take, semaphore, options.waiters))


def idle(context: BaseContext, options: argparse.Namespace) -> None:
    """Consumers of a Queue wait for an item."""
    items = context.Queue()
    consumers = start(context, drain, items, options.waiters + 1)
    ready(*(process.pid for process in consumers))
    os.read(0, 1)


def _wchan(pid: int | None) -> str:
    with open(f"/proc/{pid}/wchan") as file:
        return file.read()


def tick() -> None:
    while True:
        time.sleep(0.2)


KINDS: dict[str, Callable[[BaseContext, argparse.Namespace], None]] = {
    "lock": killed,
    "rlock": killed,
    "left": left,
    "queue": queue,
    "pool": pool,
    "held": held,
    "held-by-parent": held_by_parent,
    "handed-on": handed_on,
    "unwritten": unwritten,
    "unset": unset,
    "joined": joined,
    "full": full,
    "signalled": signalled,
    "idle": idle,
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--method", default="fork")
    parser.add_argument("--waiters", type=int, default=2)
    parser.add_argument("--monitor", action="store_true")
    parser.add_argument("--thread", action="store_true")
    options = parser.parse_args()
    if options.monitor:
        threading.Thread(target=tick, daemon=True).start()
    KINDS[options.kind](multiprocessing.get_context(options.method), options)


if __name__ == "__main__":
    main()
