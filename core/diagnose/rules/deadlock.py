"""A proven deadlock that no other rule can name."""

from __future__ import annotations

from collections.abc import Iterator

from ...model import Certainty, Remedy, Verdict, WaitKind
from .. import facts, remedies
from ..card import Card
from ..case import Case

CARD = Card(
    slug="deadlock",
    title="Threads wait for each other, or for nobody, and nothing can ever wake them",
    certainty=Certainty.PROVEN,
    explanation=(
        "Every thread named here waits without a timeout, and each of those who could wake it is one of them, or"
        " does not exist. So none can be the first to go on, however long one waits. The wait-for graph says who"
        " waits for whom: a circle means that each needs what another one holds; a dead end means that whoever should"
        " answer is gone, which is most often what a fork leaves behind: the child inherits locks and thread pools of"
        " the parent, but none of the threads that serve them. The stacks say which lines wait."
    ),
    conditions=(
        "Two looks show the same threads in the same waits, without a context switch between them.",
        "No timer, signal handler, outside process or unseen party could end any of these waits.",
        "No rule with a name fits, or the stacks could not be read.",
    ),
    fixes=(
        Remedy(
            title="Break the circle where the stacks show it",
            cost="a change of the program: one order for all locks, a timeout, or a reader for every writer",
        ),
        remedies.SPAWN,
    ),
    disproof=(
        "A context switch of any of these threads, a new thread in one of the processes, or somebody outside of the"
        " tree who holds what they wait on would disprove it."
    ),
    links=("https://man7.org/linux/man-pages/man2/futex.2.html", "https://en.wikipedia.org/wiki/Deadlock"),
)

_SHOWN = 6


def match(case: Case) -> Iterator[Verdict]:
    """Proven, one for each group of dead threads that wait for nobody but each other."""
    graph = case.graph
    for group in (*graph.cycles, *((node,) for node in graph.dead_ends)):
        tids = [int(node.rpartition("/")[2]) for node in group]
        lines = [line for tid in tids[:_SHOWN] for line in _evidence(case, tid)]
        more = len(tids) - _SHOWN
        yield CARD.verdict(
            culprits=[case.culprit(tid) for tid in tids],
            evidence=[*lines, *([f"and {more} threads more wait in the same circle"] if more > 0 else [])],
            first_aid=remedies.first_aid(case, case.owner(tids[0])) if case.is_dead_child(case.owner(tids[0])) else (),
        )


def _evidence(case: Case, tid: int) -> Iterator[str]:
    alone = len(case.threads(case.owner(tid))) == 1 and case.wait(tid).kind is WaitKind.FUTEX
    yield from facts.of_lone_thread(case, tid) if alone else (*facts.of_wait(case, tid), *facts.of_stillness(case, tid))
    yield from facts.of_stack(case, tid)
    if callers := case.python_frames(tid)[1:]:
        yield f"{case.who(tid)}: called by {facts.calls(callers)}"
