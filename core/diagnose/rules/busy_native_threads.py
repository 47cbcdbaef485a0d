"""Threads without Python frames burn the CPU: BLAS, OpenMP, rayon, a codec."""

from __future__ import annotations

from collections.abc import Iterator

from ...model import Certainty, Remedy, Verdict
from .. import facts, pace
from ..card import Card
from ..case import Case

CARD = Card(
    slug="busy-native-threads",
    title="It works: native threads compute, below a Python line that waits for them",
    certainty=Certainty.NOT_HUNG,
    explanation=(
        "Libraries such as BLAS, OpenMP, rayon and tokenizers hand their work to native threads, which never run Python"
        " and so are in no Python stack. The Python line that called the library stands still for the whole call and"
        " looks stuck, whereas these threads use the processor. One large call can take minutes, and no signal handler"
        " of Python runs before it returns."
    ),
    conditions=(
        "Threads of the root that have no Python frames used at least a fifth of a core between two looks.",
        "The stacks of its Python threads were read, so that the others are known to be native.",
    ),
    fixes=(
        Remedy(
            title="See what the native threads do",
            cost="stops the process for milliseconds at each look",
            command="py-spy top --native --pid PID",
        ),
        Remedy(title="Give the library smaller pieces", cost="some speed; progress can be seen between the calls"),
    ),
    disproof="If the share of the processor falls to nothing while the Python line stays, it no longer computes.",
    links=("https://numpy.org/doc/stable/reference/global_state.html", "https://docs.rs/rayon/latest/rayon/"),
)

_SHOWN = 4


def match(case: Case) -> Iterator[Verdict]:
    """Not hung, when native threads of the root compute."""
    tids = pace.busy_native(case, case.root)
    if not tids or pace.is_remote(case, case.root):
        return
    share = sum(map(case.cpu_share, tids))
    yield CARD.verdict(
        culprits=[case.culprit(tid) for tid in tids],
        evidence=(
            f"{len(tids)} threads of PID {case.root} without Python frames use {share:.0%} of a core together, over"
            f" {case.gap_s:.2f} s (/proc/{case.root}/task)",
            *(line for tid in tids[:_SHOWN] for line in facts.of_cpu(case, tid)),
            *facts.of_stack(case, case.root),
        ),
    )
