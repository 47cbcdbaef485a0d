"""A Python lock that a thread of the parent held while the process was forked."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ...model import Certainty, Frame, Remedy, Verdict
from ...observe.proc import futex
from .. import facts, remedies
from ..card import Card
from ..case import Case
from ..closure import PYTHON_LOCK_OP

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
        "The process was forked and has one thread, which waits without a timeout on a private futex in two looks.",
        "The futex is one of CPython's locks (op 0x189), and the innermost Python line takes a lock.",
        "No Python signal handler could end the wait.",
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
            command="os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)",
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
)

# A lock is taken by the interpreter itself: between the waiting call and the Python line lies no other library.
_INTERPRETER = re.compile(r"(.*/)?(libc|libpthread|libpython|ld-linux|ld-musl|python)[^/]*")
# Waits that only look like a held lock: for a notification or the end of a thread, on a lock made for that wait.
_STANDARD_WAITS = frozenset({"wait", "join", "_wait_for_tstate_lock", "_shutdown", "as_completed"})
# `queue.SimpleQueue.get` waits for an item, natively and on the same kind of lock. In an interpreter that was stripped
# of its symbols only the source line tells.
_QUEUE = "SimpleQueue"
_GET_CALL = re.compile(r"(?!.*(\bwith\b|acquire)).*\.get\(.*")


def match(case: Case) -> Iterator[Verdict]:
    """Proven for each forked process that is dead in taking a Python lock."""
    for pid in case.dead_processes:
        if case.is_dead_child(pid) and _takes_a_lock(case, pid):
            yield CARD.verdict(
                culprits=[case.culprit(pid)],
                evidence=(
                    *facts.of_lone_thread(case, pid),
                    *facts.of_stack(case, pid),
                    *facts.of_parent(case, pid),
                ),
                first_aid=remedies.first_aid(case, pid),
            )


def _takes_a_lock(case: Case, pid: int) -> bool:
    wait = futex(case.threads(pid)[0])
    native, line = case.native_frames(pid), case.python_frame(pid)
    if wait is None or wait.op != PYTHON_LOCK_OP or line is None or not native or _is_standard_wait(line):
        return False
    if any(_QUEUE in frame.function for frame in native) or _GET_CALL.fullmatch(case.sources.get(pid, "")):
        return False
    return all(_INTERPRETER.fullmatch(frame.module) for frame in native)


def _is_standard_wait(line: Frame) -> bool:
    function = line.function.rpartition(".")[2]  # py-spy gives the qualified name where Python keeps one
    return line.file.endswith(("/threading.py", "/_base.py")) and function in _STANDARD_WAITS
