"""The ways out that several rules share, each with what it costs. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from ..model import Remedy
from .evidence import Evidence

RELEASE_TITLE = "End only the dead workers"

SPAWN = Remedy(
    title="Start the workers with spawn or forkserver instead of fork",
    cost="each worker starts a fresh Python and imports everything anew; what it gets must be picklable",
    command='multiprocessing.get_context("spawn")',
)


def release(pids: Iterable[int]) -> Remedy:
    """SIGKILL of the dead workers alone."""
    return Remedy(
        title=RELEASE_TITLE,
        cost="their unfinished work is lost; as no result is pending, the parent goes on with what it holds in memory",
        command=f"kill -9 {' '.join(map(str, sorted(pids)))}",
    )


def first_aid(evidence: Evidence) -> tuple[Remedy, ...]:
    """Ending the worker, where the parent then goes on: with a result pending it would wait on, or hang again."""
    return (release([evidence.second.pid]),) if evidence.result_pending is False else ()
