"""Embeds by processes that hand in their work through a queue, and joins them before it reads it: a scenario's fault.

A worker writes its vectors into the spool, as every worker does, and puts a copy of them with their texts on a
`multiprocessing.Queue`, for the subject to compare. What comes of the order of join and read is the queue's own.
"""

from __future__ import annotations

import contextlib
import fcntl
import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from .. import lastwords
from ..embedding.protocol import Remote
from ..errors import CvdebugError, SpoolError, WorkerError
from ..events import WorkerEnded, WorkerStarted
from ..exits import ended
from . import kit as kits
from .content import Content
from .emitter import Emitter
from .pool import Indices, forking
from .spec import WorkerSpec
from .worker import embed

# Linux's usual size, also where its pages are larger or the user's pipes have been cut down: from about ten chunks on
# the copies do not fit.
PIPE_BYTES = 1 << 16


class _Worker(NamedTuple):
    role: str
    process: Any
    told: Connection  # how many chunks it has embedded, batch by batch; end-of-file when it is through


class QueuedProcesses:
    """`spec.settings` says how many workers, and how they start; not `thread`, which has nothing to join."""

    def __init__(self, spec: WorkerSpec, kit: kits.Kit, emitter: Emitter, spool: Content) -> None:
        self._spec = spec
        self._kit = kit
        self._emitter = emitter
        self._spool = spool
        self._context: Any = multiprocessing.get_context(spec.settings.start_method)
        self._results = _queue(self._context)

    def embed(self, batches: Iterator[Indices], embedded: Callable[[int], None]) -> None:
        """Deals out the batches; `embedded(n)` is called for every batch that is done. All waits are untimed.

        Raises WorkerError when a worker fails or ends early: what it had finished is in the spool.
        """
        todo, count = list(batches), self._spec.settings.workers
        workers = [self._start(f"worker {number + 1}", todo[number::count]) for number in range(count)]
        hear({worker.told: worker.role for worker in workers}, embedded)
        for worker in workers:
            worker.process.join()  # the fault: nobody has read the queue yet
            code = worker.process.exitcode or 0
            self._emitter.emit(WorkerEnded(role=worker.role, pid=worker.process.pid, exit_code=code))
            if code:
                raise WorkerError(
                    f"{worker.role} (PID {worker.process.pid}) {ended(code)} before its queue was read",
                    hint="What was embedded is kept: cvdebug resume goes on from there.",
                )
        for _ in todo:
            self._compare(*self._results.get())

    def _start(self, role: str, share: list[Indices]) -> _Worker:
        told, tell = self._context.Pipe(duplex=False)
        spec = msgspec.structs.replace(self._spec, role=role)
        kit = self._kit if spec.settings.start_method == "fork" else None
        process = self._context.Process(target=_work, args=(spec, kit, share, tell, self._results), daemon=True)
        with forking():
            process.start()
        tell.close()
        self._emitter.emit(WorkerStarted(role=role, pid=process.pid))
        return _Worker(role, process, told)

    def _compare(self, indices: Indices, texts: list[str], vectors: Any) -> None:
        """Raises SpoolError when the spool does not hold what was embedded."""
        if self._spool.texts(indices) != texts or not np.array_equal(self._spool.vectors[indices], vectors):
            raise SpoolError(f"the spool does not hold what was embedded of {self._spool.name(indices[0])}")


def _queue(context: Any) -> Any:
    """A queue whose pipe holds `PIPE_BYTES`."""
    queue = context.Queue()
    with contextlib.suppress(OSError):
        fcntl.fcntl(queue._reader.fileno(), fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    return queue


def hear(workers: Mapping[Connection, str], embedded: Callable[[int], None]) -> None:
    """Listens to the workers, roles by their pipes, until each is through. Raises WorkerError when one has failed."""
    left = dict(workers)
    while left:
        for told in wait(list(left)):
            assert isinstance(told, Connection)
            try:
                word = told.recv()
            except EOFError:
                del left[told]
                continue
            if isinstance(word, tuple):
                raise WorkerError(f"{left[told]} failed: {word[0]}", hint=word[1])
            embedded(word)


def _work(spec: WorkerSpec, kit: kits.Kit | None, share: list[Indices], tell: Connection, results: Any) -> None:
    """Embeds a share. Python waits at the end of this process until the queue has taken every copy."""
    if kit is not None:  # forked: the event pipe is the subject's alone
        with contextlib.suppress(OSError):
            os.close(spec.events_fd)
    lastwords.register(Path(spec.spool), spec.observer_pid)
    spool = Content.open(Path(spec.spool))
    try:
        own = kit or kits.build(spool.path, spec.settings)
        if isinstance(own.embedder, Remote):
            own = own._replace(embedder=own.embedder.opened(lambda text: None))
        for indices in share:
            embed(spool, own, spec, indices)
            results.put((indices, spool.texts(indices), np.array(spool.vectors[indices])))
            tell.send(len(indices))
    except CvdebugError as error:
        tell.send((error.what, error.hint))
    except Exception as error:  # noqa: BLE001  (an embedder may raise anything)
        tell.send((f"{type(error).__name__}: {error}", ""))
    finally:
        tell.close()
        spool.close()
