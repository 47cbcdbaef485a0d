"""A Python lock that a thread of the parent held while the process was forked."""

from __future__ import annotations

from collections.abc import Iterator

from ...model import Certainty, Remedy, Verdict
from .. import forks, places, remedies
from ..card import Card
from ..case import Case

CARD = Card(
    slug="lock-held-across-fork",
    title="A forked process waits for a lock whose owner the fork did not copy",
    certainty=Certainty.PROVEN,
    explanation=(
        "Another thread of the parent held a lock at the moment of the fork. fork() copied the lock as it was,"
        " locked, but not the thread that would have released it: in the child that thread does not exist. The"
        " child's own copy of the lock stays locked for ever, whatever happens in the parent, which goes on to"
        " release its own copy and may have ended that thread long since. Whether it hangs depends on the moment of"
        " the fork, so it comes and goes with the load."
    ),
    conditions=(
        "The process was forked, and none of its threads can ever run again; most often it has only one.",
        "A thread waits without a timeout on one of CPython's locks (futex op 0x189), and no notification is awaited.",
        "Any other thread of the process never ran Python, or rests in the standard library, and so holds no lock.",
        "No Python signal handler could end the wait, and the lock is not one that logging takes, nor one that the"
        " waiting thread holds itself.",
        "Where only a handler for a signal that asks the program to end could end it, and the lock is taken by"
        " `with`, it is likely instead of proven.",
    ),
    fixes=(
        remedies.SPAWN,
        Remedy(
            title="Make the lock anew in the child",
            cost="what the lock protects may be half changed at the fork, and has to be made anew as well",
            command="os.register_at_fork(after_in_child=...)",
        ),
        Remedy(
            title="Take the lock around the fork",
            cost="the fork waits until the lock is free; every such lock has to be known, and taken in one order",
            command=(
                "os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)"
            ),
        ),
    ),
    disproof=(
        "A second thread in the process's /proc/PID/task, or a context switch of its thread, would disprove the"
        " deadlock. If the child itself took the same lock before, at the line that the evidence names, the cause"
        " is a lock taken twice."
    ),
    links=(
        "https://github.com/python/cpython/issues/50970",
        "https://github.com/python/cpython/issues/105464",
        "https://github.com/python/cpython/issues/90622",
        "https://github.com/python/cpython/issues/100228",
    ),
    beside_idlers=True,
    beside_handlers=True,
)


def match(case: Case) -> Iterator[Verdict]:
    """Proven for each dead forked thread that takes a Python lock, outside of logging, and does not hold it itself."""
    for wait in forks.waits(case):
        named = forks.in_logging(case, wait) or places.takes_again(case, wait.tid)
        if forks.in_python_lock(case, wait) and not named and not _for_signal(case, wait.tid):
            yield forks.verdict(CARD, case, wait)


def _for_signal(case: Case, tid: int) -> bool:
    """Whether a handler may release what it takes: not in a `with`, which releases its lock itself."""
    entered = case.sources.get(tid, "").startswith("with ") or case.innermost(tid, places.THREADING, "__enter__")
    return case.without_handlers and not entered
