"""It sleeps between pieces of work."""

from __future__ import annotations

from collections.abc import Iterator

from ...model import Certainty, Remedy, Verdict
from .. import facts, pace, places
from ..card import Card
from ..case import Case

CARD = Card(
    slug="sleeping-with-progress",
    title="It goes on, in short steps with sleep in between",
    certainty=Certainty.NOT_HUNG,
    explanation=(
        "The thread that decides wakes by a timer of its own, runs for a moment, and sleeps again: between the two"
        " looks its counters moved. That is how a program polls, retries, or keeps to a rate. It uses next to no"
        " processor, which is why it looks idle. It is not blocked, because nobody has to wake it. Whether each step"
        " gets it further, or it retries the same thing for ever, only its own counters or its output can say."
    ),
    conditions=(
        "The root's main thread, or one that it waits for, moved between two looks.",
        "Its waits end by a timer, and it uses less than a fifth of a core.",
        "It does not wait for a reply from outside of the tree.",
    ),
    fixes=(
        Remedy(title="Follow it", cost="nothing: following only reads", command="cvdebug attach PID"),
        Remedy(title="Sleep less, or wait for the event itself", cost="a change of the program"),
    ),
    disproof="If its steps do the same each time, such as a request that always fails, it gets nowhere.",
    links=("https://docs.python.org/3/library/time.html#time.sleep",),
    yields_to=(
        "idle-waiting-for-work",
        "lock-wait-holder-running",
        "busy-worker",
        "busy-native-threads",
        "waiting-for-signal",
        "waiting-for-remote",
        "slow-index-build",
        "db-lock-active-holder",
    ),
)

_SHOWN = 3


def match(case: Case) -> Iterator[Verdict]:
    """Not hung, when a thread that decides about the root takes steps."""
    tids = [tid for tid in pace.deciding(case) if pace.steps(case, tid)]
    if tids and not pace.busy_python(case, case.root) and not places.may_be_circle(case):
        yield CARD.verdict(
            culprits=[case.culprit(tid) for tid in tids],
            evidence=[line for tid in tids[:_SHOWN] for line in _evidence(case, tid)],
        )


def _evidence(case: Case, tid: int) -> Iterator[str]:
    yield from facts.of_cpu(case, tid)
    yield f"{case.who(tid)}: {case.wait(tid).text}"
    yield from facts.of_stack(case, tid)
