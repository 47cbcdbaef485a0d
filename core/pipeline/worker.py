"""A worker: embeds the batches it is given, then counts the tokens of its texts, then ends.

It takes orders from a pipe and writes vectors and counts straight into the spool; only small answers go back. It
never writes events. Orders: ("embed", indices), ("count", indices), None. Answers: ("embedded", n), ("counted", n),
("finished",), ("failed", what, hint).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from .. import lastwords
from ..errors import CvdebugError, VectorError
from . import kit as kits
from .content import DIMENSIONS, Content
from .spec import WorkerSpec


def work(orders: Connection, spec: WorkerSpec, kit: kits.Kit | None, foreign: Iterable[Connection]) -> None:
    """Runs until told to end or until the subject is gone.

    `kit` is what a fork or a thread inherits; without one the worker builds its own. `foreign` are the subject's ends
    of other workers' pipes, copied by a fork: they are closed, so that each pipe has only its two owners.
    """
    for connection in foreign:
        connection.close()
    try:
        _serve(orders, spec, kit)
    except (EOFError, BrokenPipeError):
        return  # the subject is gone
    except CvdebugError as error:
        _answer(orders, ("failed", error.what, error.hint))
    except Exception as error:  # noqa: BLE001  (an embedder may raise anything; the subject names worker and chunks)
        _answer(orders, ("failed", f"{type(error).__name__}: {error}", ""))
    finally:
        orders.close()


def enter_process(orders: Connection, spec: WorkerSpec, kit: kits.Kit | None, foreign: Iterable[Connection]) -> None:
    """`work` as the main function of a process of its own."""
    if kit is not None:  # forked: the event pipe is the subject's alone
        with contextlib.suppress(OSError):
            os.close(spec.events_fd)
    lastwords.register(Path(spec.spool), spec.observer_pid)
    work(orders, spec, kit, foreign)


def _serve(orders: Connection, spec: WorkerSpec, kit: kits.Kit | None) -> None:
    spool = Content.open(Path(spec.spool))
    try:
        own = kit or kits.build(spool.path, spec.settings)
        while (order := orders.recv()) is not None:
            verb, indices = order
            if verb == "embed":
                embed(spool, own, spec, indices)
                orders.send(("embedded", len(indices)))
            else:
                _count(spool, own, indices, orders)
    finally:
        spool.close()


def embed(spool: Content, kit: kits.Kit, spec: WorkerSpec, indices: Any) -> None:
    """Embeds a batch into the spool. Raises VectorError when the embedder gives vectors of another shape."""
    vectors = kit.embedder.embed(spool.texts(indices))
    if vectors.shape != (len(indices), DIMENSIONS):
        raise VectorError(
            f"{kit.embedder.name} gave vectors of shape {vectors.shape} for {spool.name(indices[0])} and "
            f"{len(indices) - 1} more, not ({len(indices)}, {DIMENSIONS})",
            hint=f"The table holds vector({DIMENSIONS}): use an embedder of that dimension.",
        )
    middle = spool.manifest.chunks // 2
    if spec.settings.fault == "nan-vector" and middle in indices:
        vectors[list(indices).index(middle), 0] = np.nan
    spool.put_vectors(indices, vectors)


def _count(spool: Content, kit: kits.Kit, indices: Any, orders: Connection) -> None:
    for first in range(0, len(indices), kits.COUNT_BATCH):
        batch = indices[first : first + kits.COUNT_BATCH]
        spool.counts[batch] = kits.count_tokens(kit.tokenizer, spool.texts(batch))
        orders.send(("counted", len(batch)))
    orders.send(("finished",))


def _answer(orders: Connection, message: tuple[Any, ...]) -> None:
    with contextlib.suppress(OSError):
        orders.send(message)
