"""The root's own Python threads burn the CPU, and whether that leads anywhere cannot be told."""

from __future__ import annotations

from collections.abc import Iterator

from ...model import Certainty, Remedy, Verdict
from .. import facts, pace
from ..card import Card
from ..case import Case

CARD = Card(
    slug="busy-not-proven",
    title="It computes in Python, and nothing shows whether that leads anywhere",
    certainty=Certainty.UNDECIDED,
    explanation=(
        "A thread that uses the processor is not deadlocked: it runs. It may still never finish, in a loop whose"
        " condition does not come true or that tries the same thing again and again. No look from outside can tell"
        " such a loop from a long computation; that is the halting problem. What helps is to look several times:"
        " when the outer lines of the stack change, it gets somewhere; when only the innermost do, compare the"
        " variables that should change."
    ),
    conditions=(
        "A Python thread of the root used at least a fifth of a core between two looks, or wanted one in both.",
        "It is the main thread, or one that the main thread waits for.",
    ),
    fixes=(
        Remedy(
            title="Compare the local variables of two looks",
            cost="stops the process for milliseconds at each look",
            command="py-spy dump --locals --pid PID",
        ),
        Remedy(
            title="See which function the time goes into",
            cost="about 1 % of the process's speed",
            command="py-spy top --pid PID",
        ),
    ),
    disproof="Any counter of the program's own that moves from look to look shows that it works.",
    links=("https://github.com/benfred/py-spy",),
)

_SHOWN = 3


def match(case: Case) -> Iterator[Verdict]:
    """Undecided, when the root's main thread computes in Python, or waits for a thread that does."""
    busy = [tid for tid in pace.busy_python(case, case.root) if tid in case.awaited or pace.wants_gil(case, case.root)]
    if busy:
        yield CARD.verdict(
            culprits=[case.culprit(tid) for tid in busy],
            evidence=[line for tid in busy[:_SHOWN] for line in (*facts.of_cpu(case, tid), *facts.of_stack(case, tid))],
        )
