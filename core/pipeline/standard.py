"""Embeds through `multiprocessing.Pool`, as most programs do, and loses a worker on the way: a scenario's fault.

In the first attempt the worker that holds the middle chunk ends by SIGKILL in the middle of its batch, as one that
the kernel's out-of-memory killer has chosen. What the Pool makes of that is the Pool's own: nothing here plays a hang.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from multiprocessing.pool import Pool, ThreadPool
from pathlib import Path
from typing import NamedTuple

from .. import lastwords
from ..embedding.protocol import Remote
from ..errors import CvdebugError, WorkerError
from ..events import WorkerEnded, WorkerStarted
from . import kit as kits
from .content import Content
from .emitter import Emitter
from .pool import Indices, forking
from .spec import WorkerSpec
from .worker import embed


class _Own(NamedTuple):
    """What a worker works with."""

    spec: WorkerSpec
    kit: kits.Kit
    spool: Content
    kill: bool


_this = threading.local()  # `own`: workers may be threads


class StandardPool:
    """`spec.settings` says how many workers, and how they start. `kill`: one of them is killed at its work."""

    def __init__(self, spec: WorkerSpec, kit: kits.Kit, emitter: Emitter, *, kill: bool) -> None:
        self._spec = spec
        self._kit = kit
        self._emitter = emitter
        self._kill = kill

    def embed(self, batches: Iterator[Indices], embedded: Callable[[int], None]) -> None:
        """Gives the batches to the Pool; `embedded(n)` is called for every batch that is done. The wait is untimed.

        Raises WorkerError when a worker fails: what it had finished is in the spool.
        """
        with self._pool() as pool:
            workers = sorted(multiprocessing.active_children(), key=lambda worker: worker.pid or 0)
            for number, worker in enumerate(workers, 1):
                self._emitter.emit(WorkerStarted(role=f"worker {number}", pid=worker.pid or 0))
            for answer in pool.imap_unordered(_task, batches):
                if isinstance(answer, tuple):
                    raise WorkerError(f"a worker failed: {answer[0]}", hint=answer[1])
                embedded(answer)
            pool.close()
            pool.join()
        for number, worker in enumerate(workers, 1):
            self._emitter.emit(
                WorkerEnded(role=f"worker {number}", pid=worker.pid or 0, exit_code=worker.exitcode or 0)
            )

    def _pool(self) -> Pool:
        count, method = self._spec.settings.workers, self._spec.settings.start_method
        arguments = (self._spec, self._kit if method in ("fork", "thread") else None, self._kill)
        if method == "thread":
            return ThreadPool(count, _start, arguments)
        with forking():
            return multiprocessing.get_context(method).Pool(count, _start, arguments)


def _start(spec: WorkerSpec, kit: kits.Kit | None, kill: bool) -> None:
    if spec.settings.start_method == "fork":  # the event pipe is the subject's alone
        with contextlib.suppress(OSError):
            os.close(spec.events_fd)
    lastwords.register(Path(spec.spool), spec.observer_pid)
    spool = Content.open(Path(spec.spool))
    own = kit or kits.build(spool.path, spec.settings)
    if isinstance(own.embedder, Remote):
        own = own._replace(embedder=own.embedder.opened(lambda text: None))
    _this.own = _Own(spec, own, spool, kill)


def _task(indices: Indices) -> int | tuple[str, str]:
    """Embeds one batch: how many, or what failed and a hint. An exception might not survive the way back."""
    own: _Own = _this.own
    try:
        if own.kill and own.spool.manifest.chunks // 2 in indices:
            own.kit.embedder.embed(own.spool.texts(indices[: len(indices) // 2 + 1]))
            os.kill(os.getpid(), signal.SIGKILL)
        embed(own.spool, own.kit, own.spec, indices)
    except CvdebugError as error:
        return error.what, error.hint
    except Exception as error:  # noqa: BLE001  (an embedder may raise anything)
        return f"{type(error).__name__}: {error}", ""
    return len(indices)
