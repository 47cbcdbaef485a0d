"""A proven deadlock that no other rule can name."""

from __future__ import annotations

from collections.abc import Iterator

from ...model import Certainty, Remedy, Verdict, WaitKind
from .. import facts, launchers, pace, remedies
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
        "Likely instead of proven where a semaphore of multiprocessing has a name, as it has with spawn and forkserver,"
        " so that somebody else could open it.",
    ),
    fixes=(
        Remedy(
            title="Break the circle where the stacks show it",
            cost="a change of the program: one order for all locks, a timeout, or a reader for every writer",
        ),
        Remedy(
            title="See whether a process or a thread that should have answered ended early",
            cost="nothing: its traceback is on standard error, and a process's end in Process.exitcode",
        ),
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
        tids = _concerned(case, [int(node.rpartition("/")[2]) for node in group])
        if any(launchers.at_work(case, tid) or launchers.is_kept(case, tid) for tid in tids):
            continue
        lines = [line for tid in tids[:_SHOWN] for line in _evidence(case, tid)]
        more = len(tids) - _SHOWN
        yield CARD.verdict(
            culprits=[case.culprit(tid) for tid in tids],
            evidence=[*lines, *([f"and {more} threads more wait in the same circle"] if more > 0 else [])],
            first_aid=_first_aid(case, case.owner(tids[0])),
        )


def _concerned(case: Case, tids: list[int]) -> list[int]:
    """Without those of processes that multiprocessing keeps for itself: they wait for the others."""
    return [tid for tid in tids if not pace.serves_tree(case, tid)] or tids


def _first_aid(case: Case, pid: int) -> tuple[Remedy, ...]:
    if not case.is_dead_child(pid):
        return ()
    alone = case.wait(pid).kind is WaitKind.FUTEX  # for what only a thread that the fork left behind could give
    return (*remedies.first_aid(case, pid), *((remedies.SPAWN,) if alone else ()))


def _evidence(case: Case, tid: int) -> Iterator[str]:
    alone = len(case.threads(case.owner(tid))) == 1 and case.wait(tid).kind is WaitKind.FUTEX
    yield from facts.of_lone_thread(case, tid) if alone else (*facts.of_wait(case, tid), *facts.of_stillness(case, tid))
    yield from facts.of_stack(case, tid)
    if callers := case.python_frames(tid)[1:]:
        yield f"{case.who(tid)}: called by {facts.calls(callers)}"
