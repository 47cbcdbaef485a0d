"""A proven deadlock that no other rule can name."""

from __future__ import annotations

from ...model import Certainty, Remedy, Verdict
from .. import facts, remedies
from ..evidence import Evidence

SLUG = "deadlock"
TITLE = "A process waits for a thread that does not exist"
EXPLANATION = (
    "The process has a single thread, and it waits, without a timeout, on a futex that only a thread of the"
    " same process could wake. There is none, so it waits for ever. Most often that is what a fork leaves"
    " behind: the child inherits locks and thread pools of the parent, but none of the threads that serve them."
    " The native and the Python stack say which library waits."
)
CONDITIONS = (
    "The process has one thread, which waits without a timeout on a private futex in two looks.",
    "No Python signal handler could end the wait, and no cgroup freezes the process.",
    "No rule with a name fits, or the stack could not be read.",
)
FIXES = (
    remedies.SPAWN,
    Remedy(
        title="Start threads and native libraries only after the fork",
        cost="set-up that was done once in the parent is done in each worker",
    ),
)
DISPROOF = "A second thread in the process's /proc/PID/task, or a context switch of its thread, would disprove it."
LINKS = ("https://man7.org/linux/man-pages/man2/futex.2.html",)


def match(evidence: Evidence) -> Verdict | None:
    """Always: the process is proven dead before any rule sees it."""
    variable = () if evidence.parallelism.value is None else (facts.of_variable(evidence.parallelism),)
    return Verdict(
        slug=SLUG,
        title=TITLE,
        certainty=Certainty.PROVEN,
        culprits=(evidence.culprit,),
        evidence=(
            *facts.of_wait(evidence),
            *facts.of_stack(evidence),
            *facts.of_parent(evidence),
            *variable,
        ),
        explanation=EXPLANATION,
        fixes=(*(remedies.first_aid(evidence) if evidence.second.forked else ()), *FIXES),
        disproof=DISPROOF,
        links=LINKS,
    )
