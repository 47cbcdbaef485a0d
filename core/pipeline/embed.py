"""The phases embed and cleanup: vectors and token counts into the spool, by workers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np

from ..errors import SpoolError
from ..events import Embedded, Log, PhaseFinished, PhaseProgress, PhaseStarted
from ..model import Phase
from ..settings import Settings
from .content import Content
from .emitter import Emitter
from .kit import COUNT_BATCH, Kit, count_tokens
from .pool import Indices, Pool, batches, shares
from .serving import report_counts, report_traffic
from .spec import WorkerSpec

# What takes batches, and says how many chunks each had when it is done.
Embed = Callable[[Iterator[Indices], Callable[[int], None]], None]


def embed_and_clean_up(
    spool: Content, settings: Settings, emitter: Emitter, pool: Pool, kit: Kit, *, apart: Embed | None = None
) -> None:
    """Embeds what has no vector yet, counts what has no count yet, and ends the workers.

    With `apart` that embeds, before the workers of `pool` start.
    Raises WorkerError when a worker fails or ends before its vectors are done. A worker lost during cleanup is
    replaced by the subject itself: its chunks are counted here.
    """
    if apart is not None:
        _embed(spool, settings, emitter, apart)
    with pool:
        if apart is None:
            began = time.monotonic()
            _embed(spool, settings, emitter, pool.embed)
            report_traffic(pool.traffic, time.monotonic() - began, emitter)
        _clean_up(spool, emitter, pool, kit)
    if spool.manifest.served is not None:
        report_counts(spool, emitter)


def nothing_left(spool: Content, emitter: Emitter) -> bool:
    """Whether an earlier attempt finished both phases; then they are shown as kept."""
    total = spool.manifest.chunks
    if spool.progress() != (total, total):
        return False
    emitter.emit(PhaseFinished(phase=Phase.EMBED, done=total, total=total, kept=True))
    emitter.emit(Embedded(kept=total, computed=0))
    emitter.emit(PhaseFinished(phase=Phase.CLEANUP, done=total, total=total, kept=True))
    return True


def _embed(spool: Content, settings: Settings, emitter: Emitter, embed: Embed) -> None:
    total = spool.manifest.chunks
    todo = np.flatnonzero(spool.done == 0)
    kept = total - len(todo)
    if not len(todo):
        emitter.emit(PhaseFinished(phase=Phase.EMBED, done=total, total=total, kept=True))
    else:
        detail = f"{settings.embedder}, batches of {settings.batch}" + (f", {kept:,} kept" if kept else "")
        emitter.emit(PhaseStarted(phase=Phase.EMBED, total=total, done=kept, unit="chunks", detail=detail))
        done = kept

        def embedded(count: int) -> None:
            nonlocal done
            done += count
            emitter.emit(PhaseProgress(phase=Phase.EMBED, done=done, total=total))

        embed(batches(todo, settings.batch), embedded)
        emitter.emit(PhaseFinished(phase=Phase.EMBED, done=total, total=total, detail=detail))
    emitter.emit(Embedded(kept=kept, computed=len(todo)))


def _clean_up(spool: Content, emitter: Emitter, pool: Pool, kit: Kit) -> None:
    total = spool.manifest.chunks
    todo = np.flatnonzero(spool.counts == 0)
    done = total - len(todo)
    detail = f"counting tokens, batches of {COUNT_BATCH}"
    emitter.emit(PhaseStarted(phase=Phase.CLEANUP, total=total, done=done, unit="chunks", detail=detail))

    def counted(count: int) -> None:
        nonlocal done
        done += count
        emitter.emit(PhaseProgress(phase=Phase.CLEANUP, done=done, total=total))

    lost = pool.count(shares([worker.given for worker in pool.workers], todo, total), counted)
    left = np.flatnonzero(spool.counts == 0)
    if len(left):
        roles = ", ".join(worker.role for worker in lost)
        emitter.emit(
            Log(text=f"{roles} ended during cleanup: the subject counts {len(left):,} chunks", level="warning")
        )
    for batch in batches(left, COUNT_BATCH):
        spool.counts[batch] = count_tokens(kit.tokenizer, spool.texts(batch))
        counted(len(batch))
    emitter.emit(PhaseFinished(phase=Phase.CLEANUP, done=total, total=total, detail=detail))


def require_whole(spool: Content) -> None:
    """Raises SpoolError unless every chunk has a vector and a token count: nothing less may replace good rows."""
    total = spool.manifest.chunks
    embedded, counted = spool.progress()
    if (embedded, counted) != (total, total):
        raise SpoolError(
            f"of {total:,} chunks {embedded:,} have a vector and {counted:,} a token count; nothing is stored",
            hint="cvdebug resume computes what is missing.",
        )


def worker_spec(spool: Content, settings: Settings, emitter: Emitter, observer_pid: int) -> WorkerSpec:
    """The specification that every worker starts from."""
    return WorkerSpec(
        role="", spool=str(spool.path), settings=settings, observer_pid=observer_pid, events_fd=emitter.fd
    )
