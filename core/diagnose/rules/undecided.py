"""Nothing says that the tree hangs, and nothing that it works."""

from __future__ import annotations

from collections.abc import Iterator

from ...model import Certainty, Remedy, Verdict
from .. import facts
from ..card import Card
from ..case import Case

CARD = Card(
    slug="undecided",
    title="Nothing shows that it hangs, and nothing that it works",
    certainty=Certainty.UNDECIDED,
    explanation=(
        "Silence alone is no proof. The main thread waits for something that could still come, or could not be seen"
        " well enough, and no rule recognises the picture. A second look some time later tells more than this one:"
        " what has moved since then works."
    ),
    conditions=("No thread is proven dead, and no rule with a name fits.",),
    fixes=(
        Remedy(title="Follow it for a while", cost="nothing: following only reads", command="cvdebug attach PID"),
        Remedy(
            title="Look with more rights",
            cost="root sees every process; a container needs --cap-add SYS_PTRACE",
            command="sudo cvdebug attach PID",
        ),
    ),
    disproof="Any rule that fits in a later look.",
    yields_to=("busy-not-proven",),
)


def match(case: Case) -> Iterator[Verdict]:
    """Always, for the root's main thread; it is said only where nothing else is."""
    if case.root not in case.processes:
        return
    root = case.root
    yield CARD.verdict(
        culprits=[case.culprit(root)],
        evidence=(*facts.of_wait(case, root), *facts.of_cpu(case, root), *facts.of_stack(case, root)),
    )
