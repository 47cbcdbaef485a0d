"""A child computes, and its parent waits for the result."""

from __future__ import annotations

from collections.abc import Iterator

from ...model import Certainty, Remedy, Verdict
from .. import facts, pace
from ..card import Card
from ..case import Case

CARD = Card(
    slug="busy-worker",
    title="It works: the main thread waits while another process computes",
    certainty=Certainty.NOT_HUNG,
    explanation=(
        "The main thread rests because it has handed its work on: it waits for the end, the output or the answer of"
        " another process, and that process uses the processor. Long silence is normal here, because nobody reports"
        " before the piece of work is done. Whether the work will ever end cannot be told from outside; that it goes"
        " on can. If it takes far longer than it should, look at what the busy process does, not at the one that waits."
    ),
    conditions=(
        "A process below the root used at least a fifth of a core between two looks, or wanted one in both, or"
        " processes came and went.",
        "The root's main thread waits for it, directly or through others, or looks after it with a timer.",
        "The main thread itself does not compute.",
    ),
    fixes=(
        Remedy(
            title="See which function the time goes into",
            cost="about 1 % of the process's speed",
            command="py-spy top --pid PID",
        ),
        Remedy(title="Follow it", cost="nothing: following only reads", command="cvdebug attach PID"),
    ),
    disproof="If it computes in an endless loop, the same lines come back in every stack and no result ever does.",
    links=("https://docs.python.org/3/library/multiprocessing.html",),
    yields_to=("lock-wait-holder-running",),
)

_SHOWN = 4


def match(case: Case) -> Iterator[Verdict]:
    """Not hung, when the root's main thread waits for processes that compute."""
    busy = pace.computing(case)
    if busy:
        yield CARD.verdict(
            culprits=[case.culprit(tid) for pid in busy for tid in _threads(case, pid)],
            evidence=(*facts.of_wait(case, case.root), *(line for pid in busy[:_SHOWN] for line in _work(case, pid))),
        )
    elif came_and_went := pace.short_lived(case):
        yield CARD.verdict(
            culprits=[case.culprit(case.root)],
            evidence=(
                *facts.of_wait(case, case.root),
                f"{len(came_and_went)} processes came or went below it within {case.gap_s:.2f} s",
            ),
        )


def _threads(case: Case, pid: int) -> tuple[int, ...]:
    busy = tuple(thread.tid for thread in case.threads(pid) if pace.is_busy(case, thread.tid))
    return busy or tuple(thread.tid for thread in case.threads(pid) if case.cpu_share(thread.tid))[:1]


def _work(case: Case, pid: int) -> Iterator[str]:
    native = len(pace.busy_native(case, pid))
    more = f", {native} of its busy threads without Python frames" if native else ""
    yield f"PID {pid}: uses {case.process_share(pid):.0%} of a core, over {case.gap_s:.2f} s (/proc/{pid}/stat){more}"
    for tid in _threads(case, pid)[:1]:
        yield from facts.of_stack(case, tid)
