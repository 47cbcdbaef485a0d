"""Where in the standard library a thread is, and what that says about its wait. Pure: stacks in, answers out.

Functions are compared without their class, files by the end of their path, as `Case.inside` does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from ..model import Frame, WaitKind
from ..observe.calls import NAMES
from . import facts
from .case import Case, is_call

THREADING = "/threading.py"
FUTURES = "futures/_base.py"
POOL_THREAD = "futures/thread.py"
QUEUES = ("multiprocessing/queues.py", "multiprocess/queues.py")  # the second is the copy that pickles with dill
CONNECTIONS = ("multiprocessing/connection.py", "multiprocess/connection.py")

_WRITES = frozenset({"write", "writev", "sendto", "sendmsg", "sendmmsg"})
_SHOWN_THREADS = 4
_PDB = "/pdb.py"

# Functions that wait on a lock made for that wait, for a notification or an end, and take no lock of the program.
_NOTIFIED = {
    THREADING: ("wait", "wait_for", "join", "_wait_for_tstate_lock", "_shutdown"),
    FUTURES: ("wait", "as_completed", "result", "exception"),
    "/queue.py": ("get", "put", "join"),
}
_SEMAPHORE = ("acquire", "__enter__")
# A lock is taken by the interpreter itself: between the waiting call and the Python line lies no other library.
_INTERPRETER = re.compile(r"(.*/)?(libc|libpthread|libpython|ld-linux|ld-musl|python)[^/]*")
_TAKES = re.compile(r"\bwith\b|acquire|\block\b")
# `queue.SimpleQueue.get` waits in C on the same kind of lock, and its only Python line is the caller's.
_SIMPLE_QUEUE = re.compile(r"simple_?queue", re.IGNORECASE)
_GET_CALL = re.compile(r"(?!.*(\bwith\b|acquire)).*\.get\(.*")
_WANTED = re.compile(r"\bwith\s+(?P<in>[\w.]+)\s*:|(?P<by>[\w.]+)\.acquire\(")


def takes_lock(case: Case, tid: int) -> bool:
    """Whether a thread waits without a timeout to take a lock of its process, and not for news from another thread."""
    wait, line = case.wait(tid), case.python_frame(tid)
    if wait.kind is not WaitKind.FUTEX or wait.timed or line is None:
        return False
    if any(is_call(line, file, *names) for file, names in _NOTIFIED.items()):
        return _takes_semaphore(case.python_frames(tid))
    source, native = case.sources.get(tid, ""), case.native_frames(tid)
    if _GET_CALL.fullmatch(source) or any(_SIMPLE_QUEUE.search(frame.function) for frame in native):
        return False
    if native:
        return all(_INTERPRETER.fullmatch(frame.module) for frame in native)
    return _TAKES.search(source) is not None or is_call(line, THREADING, "__enter__")


def takes_again(case: Case, tid: int) -> bool:
    """Whether the lock that a thread takes has the same name, in the same class or module, as one that it holds."""
    line, wanted = case.python_frame(tid), _WANTED.search(case.sources.get(tid, ""))
    if line is None or wanted is None or not takes_lock(case, tid):
        return False
    start = f"holds {wanted['in'] or wanted['by']}, taken at {line.file}:"
    places = (place.rpartition(", at ")[2] for place in case.held.get(tid, ()) if place.startswith(start))
    return any(_share_names(place.rpartition(":")[0], line.function) for place in places)


def _share_names(outer: str, inner: str) -> bool:
    """Whether two functions are methods of one class, functions of one module, or one is within the other."""
    return outer.rpartition(".")[0] == inner.rpartition(".")[0] or inner.startswith(f"{outer}.<locals>.")


def may_be_circle(case: Case) -> bool:
    """Whether threads of a process that the root waits for stand still, hold locks, and take different ones: what
    else goes on in the process says little then, and a holder of both is hard to see."""
    found: dict[int, set[int]] = {}
    for tid in case.awaited:
        if case.held.get(tid) and tid in case.closure.threads and not case.moved(tid) and takes_lock(case, tid):
            found.setdefault(case.owner(tid), set()).add(case.wait(tid).address)
    return any(len(locks) > 1 for locks in found.values())


def _takes_semaphore(frames: tuple[Frame, ...]) -> bool:
    """`threading.Semaphore` is written in Python, and waits for a notification within its `acquire`."""
    within = next((frame for frame in frames if not is_call(frame, THREADING, "wait", "wait_for")), None)
    return within is not None and is_call(within, THREADING, *_SEMAPHORE)


def runs_task(case: Case, tid: int) -> bool:
    """Whether a thread of a ThreadPoolExecutor is in a task."""
    return case.inside(tid, POOL_THREAD, "_worker") and any(
        frame.function.endswith("_WorkItem.run") or is_call(frame, POOL_THREAD, "run")
        for frame in case.python_frames(tid)
    )


def loop_callback(case: Case, tid: int) -> tuple[Frame, ...]:
    """The Python frames that an asyncio loop of the thread has called, innermost first; none outside of a callback."""
    frames = case.python_frames(tid)
    for number, frame in enumerate(frames):
        if is_call(frame, "asyncio/events.py", "_run"):
            return frames[:number]
    return ()


def in_selector(case: Case, tid: int) -> bool:
    """Whether a thread is an asyncio loop that waits for its next event."""
    return case.innermost(tid, "selectors.py", "select") and case.inside(tid, "asyncio/base_events.py", "_run_once")


def in_debugger(case: Case, tid: int) -> bool:
    """Whether a thread stopped in pdb at a breakpoint, in a program that nobody started with the debugger."""
    return case.inside(tid, _PDB, "_cmdloop", "interaction") and not case.inside(tid, _PDB, "main", "post_mortem", "pm")


def writes(case: Case, tid: int) -> bool:
    """Whether a thread waits for room in a pipe or socket."""
    wait = case.wait(tid)
    if wait.kind is WaitKind.SOCKET:
        thread = case.thread(tid)
        return thread is not None and thread.syscall is not None and NAMES.get(thread.syscall[0]) in _WRITES
    return wait.kind is WaitKind.PIPE_WRITE


def leads_to(case: Case, tid: int, pid: int) -> bool:
    """Whether a thread waits for a process: directly, or through other processes that wait."""
    seen: set[int] = set()
    queue = [tid]
    for waiter in queue:
        for other, _ in case.liveness(waiter).wakers:
            if other == pid:
                return True
            if other not in seen and other != case.owner(tid):
                seen.add(other)
                queue.extend(thread.tid for thread in case.threads(other) if case.is_dead(thread.tid))
    return False


def dead_threads(case: Case, pid: int) -> tuple[int, ...]:
    """The threads of a process that can never run again, the main thread first."""
    return tuple(thread.tid for thread in case.threads(pid) if case.is_dead(thread.tid))


def described(case: Case, tids: Iterable[int]) -> Iterator[str]:
    """Of some threads, at most four: what each waits for, that it stood still, and where it is."""
    known = list(dict.fromkeys(tids))
    for tid in known[:_SHOWN_THREADS]:
        yield from facts.of_wait(case, tid)
        yield from facts.of_stillness(case, tid)
        if frames := case.python_frames(tid):
            source = f": {case.sources[tid]}" if case.sources.get(tid) else ""
            yield f"{case.who(tid)}: in {facts.calls(frames)}{source}"
        else:
            yield from facts.of_stack(case, tid)
    if len(known) > _SHOWN_THREADS:
        yield f"and {len(known) - _SHOWN_THREADS} threads more"
