"""The ways out that several rules share, each with what it costs. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from ..model import Remedy
from .case import Case

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


def first_aid(case: Case, pid: int) -> tuple[Remedy, ...]:
    """Ending a dead worker, where its parent then goes on: with a result pending it would wait on, or hang again."""
    parent = case.parent(pid)
    return (release([pid]),) if parent is not None and case.waits_for_result(parent.pid) is False else ()
