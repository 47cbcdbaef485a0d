"""Main threads that only keep their process there until somebody ends it. Pure.

`threading.Event().wait()` and a loop without tasks are common last lines of programs whose work is done by what they
started, and of helpers that are there until their parent terminates them. To the closure they are dead, because Ctrl-C
and the end of a process count for nothing; yet the program does what it is for.
"""

from __future__ import annotations

from ..model import Frame, WaitKind
from . import pace, places
from .case import Case, is_call

_LOOPS = (WaitKind.EPOLL, WaitKind.POLL, WaitKind.SELECT)
_EVENT_WAIT = ("/threading.py", "wait")
_SHARED_WAIT = ("/multiprocessing/synchronize.py", "wait")
_QUEUES_AND_RESULTS = ("/queue.py", "/queues.py", "/_base.py", "/pool.py")


def waits_for_event(case: Case, tid: int) -> bool:
    """Whether a thread is in `Event.wait`, called by the program itself and not by a queue, an executor or a join."""
    frames = case.python_frames(tid)
    if case.innermost(tid, *_SHARED_WAIT):
        return _in_shared_event(frames)
    outer = [frame for frame in frames if not frame.file.endswith(_EVENT_WAIT[0])]
    own = len(outer) < len(frames) and case.innermost(tid, *_EVENT_WAIT)
    return own and bool(outer) and not outer[0].file.endswith(_QUEUES_AND_RESULTS)


def _in_shared_event(frames: tuple[Frame, ...]) -> bool:
    """Whether it is multiprocessing's `Event.wait`, which calls that of a Condition; a Barrier lies in threading."""
    inner = [frame for frame in frames[:2] if is_call(frame, *_SHARED_WAIT)]
    return len(inner) == 2 and len(frames) > 2 and not frames[2].file.endswith((*_QUEUES_AND_RESULTS, _EVENT_WAIT[0]))


def _may_wait_for_event(case: Case, tid: int) -> bool:
    """The same of a thread whose stack could not be read."""
    unread = not case.frames(tid) and case.wait(tid).kind is WaitKind.FUTEX
    return waits_for_event(case, tid) or unread


def has_idle_loop(case: Case, tid: int) -> bool:
    """Whether a thread waits in an event loop that listens to nothing but its own process."""
    wait = case.wait(tid)
    return wait.kind in _LOOPS and not wait.external and set(wait.pids) <= {case.owner(tid)}


def at_work(case: Case, tid: int) -> tuple[int, ...]:
    """The living processes below a main thread that waits for nothing but Ctrl-C; none when it waits for more.

    Where a thread of its process takes a lock or runs the task of a pool, something else is the matter.
    """
    return tuple(pid for pid in _below(case, tid) if _lives(case, pid)) if _only_stays(case, tid) else ()


def is_kept(case: Case, tid: int) -> bool:
    """Whether a main thread waits so in a process whose parent lives, does not wait for it, and so may terminate it."""
    parent = case.parent(tid) if tid in case.processes else None
    if parent is None or not _only_stays(case, tid) or not _lives(case, parent.pid):
        return False
    waits = [case.wait(thread.tid) for thread in case.threads(parent.pid)]
    return pace.lives_alone(case, parent.pid) and not any(tid in wait.pids for wait in waits)


def _only_stays(case: Case, tid: int) -> bool:
    if tid not in case.processes or not (_may_wait_for_event(case, tid) or has_idle_loop(case, tid)):
        return False
    others = [thread.tid for thread in case.threads(tid)]
    busy = (places.takes_lock(case, other) or places.runs_task(case, other) for other in others)
    return all(case.is_dead(other) for other in others) and not any(busy)


def _below(case: Case, pid: int) -> list[int]:
    found = list(case.children.get(pid, ()))
    for child in found:  # a reused PID may draw a circle
        found.extend(other for other in case.children.get(child, ()) if other not in found and other != pid)
    return found


def _lives(case: Case, pid: int) -> bool:
    """A thread that is not counted because it only sleeps lives too."""
    return any(not case.is_dead(each.tid) or each.tid in case.idle for each in case.threads(pid))
