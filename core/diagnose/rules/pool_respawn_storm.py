"""The workers of a Pool die as they start, and are replaced for ever."""

from __future__ import annotations

from collections.abc import Iterator

from ...model import Certainty, Remedy, Verdict
from .. import facts, pools
from ..card import Card
from ..case import Case
from ..pools import Pools

CARD = Card(
    slug="pool-respawn-storm",
    title="A Pool's workers die as they start, and are replaced for ever",
    certainty=Certainty.LIKELY,
    explanation=(
        "Every worker of a multiprocessing.Pool ends before it takes its first task: its initializer raises, or, with"
        " spawn, importing the main module fails. The Pool sees a worker missing and starts another one, which ends in"
        " the same way, thousands of times, and never gives up. No task is ever run, so whoever waits for an answer"
        " waits for ever, while the machine is busy starting processes. The same traceback, over and over, is on"
        " standard error."
    ),
    conditions=(
        "A thread waits for an answer of a Pool (get, wait, next, or join of a closed Pool), in two looks.",
        "Within the fraction of a second between the looks three generations of children came and went, or more; or two"
        " children ended, or more, one of which had started in that time. Had it answered a task first, as a worker"
        " with maxtasksperchild does, the Pool would have heard it.",
        "No worker of the Pool lived through both looks.",
        "The Pool's thread _handle_results did nothing in that time, so that not one task was answered.",
    ),
    fixes=(
        Remedy(
            title="Make what the initializer does succeed, or check it before the Pool is made",
            cost="nothing: call the initializer once in the parent and let it raise there",
        ),
        Remedy(
            title="Use concurrent.futures.ProcessPoolExecutor",
            cost="nothing: an initializer that raises breaks it at once, with BrokenProcessPool",
            command="with concurrent.futures.ProcessPoolExecutor(initializer=...) as executor: ...",
        ),
        Remedy(
            title='With spawn, guard the main module with if __name__ == "__main__"',
            cost="nothing",
        ),
    ),
    disproof="A worker that stays, or an answer that comes in, would disprove it.",
    links=("https://github.com/python/cpython/issues/87472",),
)

_GENERATIONS = 3


def match(case: Case) -> Iterator[Verdict]:
    """Likely for each process that waits for an answer of a Pool whose workers do not stay."""
    generations = _generations(case)
    if generations < _GENERATIONS and not _end_early(case):
        return
    for found in pools.pools(case):
        waiters = [tid for tid in found.waiters if not case.moved(tid)]
        starts = any(case.moved(tid) for tid in found.replacers)
        unanswered = bool(found.collectors) and not any(case.moved(tid) for tid in found.collectors)
        if waiters and starts and unanswered and not _stays(case, found):
            yield CARD.verdict(
                culprits=[case.culprit(tid) for tid in (*found.replacers, *waiters)],
                evidence=_evidence(case, found, waiters, generations),
            )


def _generations(case: Case) -> int:
    """How often the passing processes of the tree were all replaced while it was looked at."""
    stayed = frozenset.intersection(*case.seen) if case.seen else frozenset()
    count, last = 0, frozenset[int]()
    for moment in case.seen:
        passing = moment - stayed
        if passing and passing.isdisjoint(last):
            count, last = count + 1, passing
    return count


def _end_early(case: Case) -> bool:
    """Whether processes of the tree ended, and one of them had started between the looks."""
    moments = (frozenset(case.before), *case.seen)
    ended = frozenset().union(*moments) - case.processes.keys()
    return len(ended) > 1 and bool(ended - moments[0])


def _stays(case: Case, found: Pools) -> bool:
    return any(pid in case.before and pools.calls(case, pid, "worker") for pid in case.processes if pid != found.pid)


def _evidence(case: Case, found: Pools, waiters: list[int], generations: int) -> Iterator[str]:
    for tid in waiters:
        yield f"{case.who(tid)}: waits for an answer of a Pool: {facts.calls(pools.own_frames(case, tid))}"
        yield from facts.of_stillness(case, tid)
    passing = sorted(frozenset().union(*case.seen) - frozenset.intersection(*case.seen))
    many = f"{generations} generations of " if generations >= _GENERATIONS else ""
    yield (
        f"{many}children came and went within {case.gap_s:.2f} s, among them PID"
        f" {', '.join(map(str, passing[:6]))} (ps --ppid {found.pid}, twice)"
    )
    for tid in found.replacers:
        yield from facts.of_cpu(case, tid)
    for tid in found.collectors:
        yield from facts.of_stillness(case, tid)
