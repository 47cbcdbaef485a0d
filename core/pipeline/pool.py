"""The subject's workers: started by any start method, fed batch by batch, waited for without a timer.

Every wait is on the workers' pipes alone, as a plain pipeline's would be: when all workers hang, so does the subject.
A worker that ends early shows as end-of-file on its pipe.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import selectors
import threading
import warnings
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection, Pipe
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..embedding.protocol import Remote, Traffic
from ..errors import WorkerError
from ..events import Log, WorkerEnded, WorkerStarted
from ..exits import ended
from .emitter import Emitter
from .kit import Kit
from .spec import WorkerSpec
from .trouble import Trouble
from .worker import enter_process, work

Indices = NDArray[np.int64]

MOST_IN_FLIGHT = 2
"""Requests to a server that embeds: it works at one at a time, and so has the next one at hand when it is done."""


class Worker:
    """One worker: its pipe, its process or thread, and what it was given."""

    def __init__(self, role: str, pid: int, orders: Connection, runner: Any) -> None:
        self.role = role
        self.pid = pid
        self.orders = orders
        self.runner = runner
        self.given: list[Indices] = []
        self.busy_with: Indices | None = None

    def embed(self, indices: Indices) -> None:
        self.busy_with = indices
        self.given.append(indices)
        self.orders.send(("embed", indices))

    def end_of(self) -> int:
        """Waits for its end; the exit code as `multiprocessing` gives it (0 for a thread)."""
        self.runner.join()
        return int(getattr(self.runner, "exitcode", 0) or 0)


class Pool:
    """`spec.settings` says how many workers, and how they start. Use it as a context manager."""

    def __init__(
        self, spec: WorkerSpec, kit: Kit, emitter: Emitter, subject_pid: int, *, trouble: Trouble | None = None
    ) -> None:
        """`trouble` is what the scenario breaks between the subject and its workers."""
        self._spec = spec
        self._kit = kit
        self._emitter = emitter
        self._subject_pid = subject_pid
        self._trouble = trouble or Trouble()
        self._selector = selectors.DefaultSelector()
        self.workers: list[Worker] = []
        self.traffic = Traffic()

    def __enter__(self) -> Pool:
        self._trouble.before_fork()
        for number in range(1, self._spec.settings.workers + 1):
            self._start(msgspec.structs.replace(self._spec, role=f"worker {number}"))
        self._trouble.after_fork(len(self.workers))
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        for worker in self.workers:
            worker.orders.close()
        if kind is None:
            for worker in self.workers:
                worker.end_of()
        self._selector.close()

    def _start(self, spec: WorkerSpec) -> None:
        ours, theirs = Pipe()
        method = spec.settings.start_method
        runner: Any
        if method == "thread":
            shared = (theirs, spec, self._kit, (), Trouble())
            runner = threading.Thread(target=work, args=shared, name=spec.role, daemon=True)
            runner.start()
            pid = self._subject_pid
        else:
            context: Any = multiprocessing.get_context(method)
            kit, trouble = (self._kit, self._trouble) if method == "fork" else (None, Trouble())
            foreign = [ours, *(worker.orders for worker in self.workers)] if method == "fork" else []
            runner = context.Process(
                target=enter_process, args=(theirs, spec, kit, foreign, trouble), name=spec.role, daemon=True
            )
            with forking():
                runner.start()
            pid = runner.pid
            theirs.close()
        worker = Worker(spec.role, pid, ours, runner)
        self.workers.append(worker)
        self._selector.register(ours, selectors.EVENT_READ, worker)
        self._emitter.emit(WorkerStarted(role=spec.role, pid=pid))

    def embed(self, batches: Iterator[Indices], embedded: Callable[[int], None]) -> None:
        """Gives each worker one batch after the other; `embedded(n)` is called for every batch that is done.

        Where a server embeds, only so many workers ask it as it can be kept busy with.
        Raises WorkerError when a worker fails or ends: what it had finished is in the spool.
        """
        busy = 0
        asking = self.workers[:MOST_IN_FLIGHT] if isinstance(self._kit.embedder, Remote) else self.workers
        for worker in asking:
            busy += self._next_batch(worker, batches)
        while busy:
            for worker, answer in self._answers():
                if answer is None:
                    raise self._ended_early(worker)
                embedded(answer[1])
                worker.busy_with = None
                busy += self._next_batch(worker, batches) - 1

    def _next_batch(self, worker: Worker, batches: Iterator[Indices]) -> int:
        indices = next(batches, None)
        if indices is None:
            return 0
        with contextlib.suppress(BrokenPipeError):  # it has ended: its end-of-file says so
            worker.embed(indices)
        return 1

    def count(self, shares: list[Indices], counted: Callable[[int], None]) -> list[Worker]:
        """Has each worker count the tokens of its share, and ends it; those that ended before they were through.

        `counted(n)` is called as counts arrive. The wait is untimed.
        """
        lost: list[Worker] = []
        for worker, share in zip(self.workers, shares, strict=True):
            with contextlib.suppress(BrokenPipeError):
                worker.orders.send(("count", share))
        unfinished = set(self.workers)
        while unfinished:
            for worker, answer in self._answers():
                if answer is None:
                    unfinished.discard(worker)
                    lost.append(worker)
                elif answer[0] == "counted":
                    counted(answer[1])
                else:
                    unfinished.discard(worker)
                    self._dismiss(worker)
        return lost

    def _answers(self) -> Iterator[tuple[Worker, Any]]:
        """Waits for answers; None stands for the end of the worker. Failures are raised."""
        for worker in self._wait():
            try:
                answer = worker.orders.recv()
            except (EOFError, ConnectionResetError):
                self._selector.unregister(worker.orders)
                code = worker.end_of()
                self._emitter.emit(WorkerEnded(role=worker.role, pid=worker.pid, exit_code=code))
                yield worker, None
                continue
            if answer[0] == "failed":
                raise WorkerError(f"{worker.role} (PID {worker.pid}) failed: {answer[1]}", hint=answer[2])
            if answer[0] == "said":
                self._emitter.emit(Log(text=f"{worker.role}: {answer[1]}", level="warning"))
                continue
            if answer[0] == "asked":
                self.traffic = self.traffic.plus(answer[1])
                continue
            yield worker, answer

    def _wait(self) -> list[Worker]:
        """The workers that have something to say. While events wait for room in the pipe, that is waited for too."""
        while True:
            if self._emitter.backlog:
                self._selector.register(self._emitter.fd, selectors.EVENT_WRITE)
            ready = self._selector.select()
            if self._emitter.fd in self._selector.get_map():
                self._selector.unregister(self._emitter.fd)
                self._emitter.flush()
            workers = [key.data for key, _ in ready if key.data is not None]
            if workers:
                return workers

    def _dismiss(self, worker: Worker) -> None:
        self._selector.unregister(worker.orders)
        with contextlib.suppress(BrokenPipeError):
            worker.orders.send(None)
        code = worker.end_of()
        self._emitter.emit(WorkerEnded(role=worker.role, pid=worker.pid, exit_code=code))

    def _ended_early(self, worker: Worker) -> WorkerError:
        batch = worker.busy_with
        doing = f"chunks {batch[0]} to {batch[-1]} in its hands" if batch is not None else "nothing to do"
        return WorkerError(
            f"{worker.role} (PID {worker.pid}) {ended(worker.end_of())} with {doing}",
            hint="What was embedded is kept: cvdebug resume goes on from there.",
        )


@contextlib.contextmanager
def forking() -> Iterator[None]:
    """Python 3.12 warns of forks beside threads. Here that is the point, and must not end the run when a user turns
    warnings into errors.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def batches(indices: Indices, size: int) -> Iterator[Indices]:
    """`indices` in runs of at most `size`."""
    for first in range(0, len(indices), size):
        yield indices[first : first + size]


def shares(given: list[list[Indices]], wanted: Indices, total: int) -> list[Indices]:
    """Who counts what: each worker the `wanted` of `total` chunks that it was given, and the rest in turn."""
    owner = np.full(total, -1, dtype=np.int16)
    for number, chunks in enumerate(given):
        for indices in chunks:
            owner[indices] = number
    owners = owner[wanted]
    orphans = np.flatnonzero(owners == -1)
    for number in range(len(given)):
        owners[orphans[number :: len(given)]] = number
    return [wanted[owners == number] for number in range(len(given))]
