"""A Python lock that a thread of the parent held while the process was forked."""

from __future__ import annotations

import re

from ...model import Certainty, Frame, Remedy, Verdict
from .. import facts, remedies
from ..evidence import Evidence
from ..proof import PYTHON_LOCK_OP

SLUG = "lock-held-across-fork"
TITLE = "A forked process waits for a lock whose owner the fork did not copy"
EXPLANATION = (
    "Another thread of the parent held a lock at the moment of the fork. fork() copied the lock as it was,"
    " locked, but not the thread that would have released it: in the child that thread does not exist. The"
    " child's own copy of the lock stays locked for ever, whatever happens in the parent, which goes on to"
    " release its own copy and may have ended that thread long since. Whether it hangs depends on the moment of"
    " the fork, so it comes and goes with the load."
)
CONDITIONS = (
    "The process was forked and has one thread, which waits without a timeout on a private futex in two looks.",
    "The futex is one of CPython's locks (op 0x189), and the innermost Python line takes a lock.",
    "No Python signal handler could end the wait.",
)
FIXES = (
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
)
DISPROOF = (
    "A second thread in the process's /proc/PID/task, or a context switch of its thread, would disprove the"
    " deadlock. If the child itself took the same lock before, at the line that the evidence names, the cause"
    " is a lock taken twice."
)
LINKS = (
    "https://github.com/python/cpython/issues/50970",
    "https://github.com/python/cpython/issues/105464",
    "https://github.com/python/cpython/issues/90622",
    "https://github.com/python/cpython/issues/100228",
)

# A lock is taken by the interpreter itself: between the waiting call and the Python line lies no other library.
_INTERPRETER = re.compile(r"(.*/)?(libc|libpthread|libpython|ld-linux|ld-musl|python)[^/]*")
# Waits that only look like a held lock: for a notification or the end of a thread, on a lock made for that wait.
_STANDARD_WAITS = frozenset({"wait", "join", "_wait_for_tstate_lock", "_shutdown", "as_completed"})
# `queue.SimpleQueue.get` waits for an item, natively and on the same kind of lock. In an interpreter that was stripped
# of its symbols only the source line tells.
_QUEUE = "SimpleQueue"
_GET_CALL = re.compile(r"(?!.*(\bwith\b|acquire)).*\.get\(.*")


def match(evidence: Evidence) -> Verdict | None:
    """Proven when a forked process is dead in taking a Python lock."""
    wait = evidence.futex
    if wait is None or wait.op != PYTHON_LOCK_OP or not evidence.second.forked or not _takes_a_lock(evidence):
        return None
    return Verdict(
        slug=SLUG,
        title=TITLE,
        certainty=Certainty.PROVEN,
        culprits=(evidence.culprit,),
        evidence=(*facts.of_wait(evidence), *facts.of_stack(evidence), *facts.of_parent(evidence)),
        explanation=EXPLANATION,
        fixes=(*remedies.first_aid(evidence), *FIXES),
        disproof=DISPROOF,
        links=LINKS,
    )


def _takes_a_lock(evidence: Evidence) -> bool:
    native = evidence.native_frames
    line = evidence.python_frame
    if line is None or not native or _is_standard_wait(line):
        return False
    if any(_QUEUE in frame.function for frame in native) or _GET_CALL.fullmatch(evidence.source):
        return False
    return all(_INTERPRETER.fullmatch(frame.module) for frame in native)


def _is_standard_wait(line: Frame) -> bool:
    function = line.function.rpartition(".")[2]  # py-spy gives the qualified name where Python keeps one
    return line.file.endswith(("/threading.py", "/_base.py")) and function in _STANDARD_WAITS
