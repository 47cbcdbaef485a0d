"""A worker: embeds the batches it is given, then counts the tokens of its texts, then ends.

It takes orders from a pipe and writes vectors and counts straight into the spool; only small answers go back. It
never writes events. Orders: ("embed", indices), ("count", indices), None. Answers: ("embedded", n), ("counted", n),
("finished",), ("failed", what, hint); between them ("said", text), for the person, and ("asked", traffic).
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
from ..embedding.protocol import Answered, Remote
from ..errors import CvdebugError, EmbedderError, VectorError
from . import kit as kits
from .content import DIMENSIONS, Content
from .spec import WorkerSpec
from .trouble import Trouble


def work(
    orders: Connection,
    spec: WorkerSpec,
    kit: kits.Kit | None,
    foreign: Iterable[Connection],
    trouble: Trouble,
) -> None:
    """Runs until told to end or until the subject is gone.

    `kit` is what a fork or a thread inherits; without one the worker builds its own. `foreign` are the subject's ends
    of other workers' pipes, copied by a fork: they are closed, so that each pipe has only its two owners. `trouble` is
    the scenario's.
    """
    for connection in foreign:
        connection.close()
    try:
        _serve(orders, spec, kit, trouble)
    except (EOFError, BrokenPipeError):
        return  # the subject is gone
    except CvdebugError as error:
        _answer(orders, ("failed", error.what, error.hint))
    except Exception as error:  # noqa: BLE001  (an embedder may raise anything; the subject names worker and chunks)
        _answer(orders, ("failed", f"{type(error).__name__}: {error}", ""))
    finally:
        orders.close()


def enter_process(
    orders: Connection,
    spec: WorkerSpec,
    kit: kits.Kit | None,
    foreign: Iterable[Connection],
    trouble: Trouble,
) -> None:
    """`work` as the main function of a process of its own."""
    if kit is not None:  # forked: the event pipe is the subject's alone
        with contextlib.suppress(OSError):
            os.close(spec.events_fd)
    lastwords.register(Path(spec.spool), spec.observer_pid)
    work(orders, spec, kit, foreign, trouble)


def _serve(orders: Connection, spec: WorkerSpec, kit: kits.Kit | None, trouble: Trouble) -> None:
    spool = Content.open(Path(spec.spool))
    try:
        own = kit or kits.build(spool.path, spec.settings)
        if isinstance(own.embedder, Remote):
            own = own._replace(embedder=own.embedder.opened(lambda text: orders.send(("said", text))))
        trouble.greet()
        while (order := orders.recv()) is not None:
            verb, indices = order
            trouble.obey(verb, spec.role)
            if verb == "embed":
                answered = embed(spool, own, spec, indices)
                if answered is not None:
                    orders.send(("asked", answered.traffic))
                orders.send(("embedded", len(indices)))
            else:
                _count(spool, own, indices, orders)
    finally:
        spool.close()


def embed(spool: Content, kit: kits.Kit, spec: WorkerSpec, indices: Any) -> Answered | None:
    """Embeds a batch into the spool; what a server answered, where one embeds.

    Raises VectorError when the embedder gives vectors of another shape, and EmbedderError.
    """
    answered = _ask(spool, kit.embedder, indices) if isinstance(kit.embedder, Remote) else None
    vectors = kit.embedder.embed(spool.texts(indices)) if answered is None else answered.vectors
    if vectors.shape != (len(indices), DIMENSIONS):
        raise VectorError(
            f"{kit.embedder.name} gave vectors of shape {vectors.shape} for {spool.name(indices[0])} and "
            f"{len(indices) - 1} more, not ({len(indices)}, {DIMENSIONS})",
            hint=f"The table holds vector({DIMENSIONS}): use an embedder of that dimension.",
        )
    middle = spool.manifest.chunks // 2
    if spec.settings.fault == "nan-vector" and middle in indices:
        vectors[list(indices).index(middle), 0] = np.nan
    if answered is not None:
        _note_counts(spool, answered, indices)
    spool.put_vectors(indices, vectors)
    return answered


def _ask(spool: Content, embedder: Remote, indices: Any) -> Answered:
    try:
        return embedder.ask(spool.texts(indices))
    except EmbedderError as error:
        if error.text is None:
            raise
        raise EmbedderError(
            f"{spool.name(indices[error.text])} cannot be embedded: {error.what}",
            hint=error.hint or "Look at this chunk's text and into the server's log; nothing was stored.",
        ) from None


def _note_counts(spool: Content, answered: Answered, indices: Any) -> None:
    """Before the done flags: what is flagged has what the server counted beside it."""
    for counted in answered.counted:
        chunks = indices[list(counted.places)]
        spool.asked[chunks] = (0, 0) if counted.tokens is None else (chunks[0] + 1, 0)
        if counted.tokens is not None:
            spool.asked["tokens"][chunks[0]] = counted.tokens


def _count(spool: Content, kit: kits.Kit, indices: Any, orders: Connection) -> None:
    for first in range(0, len(indices), kits.COUNT_BATCH):
        batch = indices[first : first + kits.COUNT_BATCH]
        spool.counts[batch] = kits.count_tokens(kit.tokenizer, spool.texts(batch))
        orders.send(("counted", len(batch)))
    orders.send(("finished",))


def _answer(orders: Connection, message: tuple[Any, ...]) -> None:
    with contextlib.suppress(OSError):
        orders.send(message)
