"""How the threads spend their time that the root's main thread waits for: what rules on healthy programs share. Pure.

A thread is busy, takes steps, keeps still with a timer, or keeps still for something else. What decides about a tree is
the root's main thread; where that waits for others without a timer, they do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from signal import SIGALRM, SIGCHLD, SIGPROF, SIGVTALRM, SIGWINCH

from ..model import ThreadSnapshot, WaitKind
from ..observe.calls import NAMES
from ..observe.peers import Connection
from ..observe.proc import futex
from . import places, pools
from .case import Case, is_call
from .closure import HARMLESS_SIGNALS, RUST_OP

# What timers of the kernel send, that cannot be seen from outside.
ALARMS = frozenset({int(SIGALRM), int(SIGVTALRM), int(SIGPROF)})
# Part of one core. Lower than a thread that never pauses gets on a crowded machine, more than a poller takes.
_BUSY_SHARE = 0.2
# The kernel counts in 10 ms: with this and a runnable state in both looks it is no pause that was met twice.
_SOME_SHARE = 0.03
# Whoever wants the GIL asks for it each 5 ms (Python/ceval_gil.c, DEFAULT_INTERVAL).
_GIL_SWITCHES_PER_S = 100
_TIMED_CALLS = frozenset({"nanosleep", "clock_nanosleep"})
# Database drivers ask ten times a second whether the answer came: that is no step of the program's own.
_DRIVERS = ("/psycopg/", "/psycopg2/", "/asyncpg/")
# Waiting for a process with a timeout looks every 50 ms whether it has ended.
_POLLS_CHILD = ("subprocess.py", "_wait")
# Where a timeout limits the wait for somebody else's work.
_RESULTS = (
    ("multiprocessing/pool.py", "get", "wait", "next"),
    ("futures/_base.py", "result", "exception", "wait", "as_completed"),
    ("/threading.py", "join"),
)
# Locks that belong to a queue or to a Pool.
_INNER_LOCKS = (
    ("multiprocessing/queues.py", "get", "put", "_feed"),
    ("multiprocessing/pool.py", "worker"),
    ("futures/process.py", "_process_worker"),
)
# Processes that multiprocessing keeps for itself, between two requests: near the innermost frame.
_HELPERS = (
    ("multiprocessing/managers.py", "serve_forever", "accepter", "serve_client"),
    ("multiprocessing/forkserver.py", "main"),
    ("multiprocessing/resource_tracker.py", "main"),
)
_DEPTH = 5
_TAKES = re.compile(r"\bwith\b|acquire|\block\b")


def is_busy(case: Case, tid: int) -> bool:
    """Whether a thread computes."""
    share = case.cpu_share(tid)
    return share >= _BUSY_SHARE or (share >= _SOME_SHARE and _states(case, tid) == {"R"})


def busy_python(case: Case, pid: int) -> tuple[int, ...]:
    """The threads of a process that run Python and compute. Where no stack could be read, all that compute."""
    known = has_stacks(case, pid)
    tids = [thread.tid for thread in case.threads(pid) if not known or thread.tid in case.stacks]
    busy = tuple(tid for tid in tids if is_busy(case, tid))
    crowd = tuple(tid for tid in tids if case.cpu_share(tid))
    return busy or (crowd if sum(map(case.cpu_share, crowd)) >= _BUSY_SHARE else ())


def busy_native(case: Case, pid: int) -> tuple[int, ...]:
    """The threads of a process that compute and have no Python frames; none when no stack could be read."""
    if not has_stacks(case, pid):
        return ()
    tids = [thread.tid for thread in case.threads(pid) if thread.tid not in case.stacks]
    share = sum(map(case.cpu_share, tids))
    return tuple(tid for tid in tids if is_busy(case, tid) or (share >= _BUSY_SHARE and case.cpu_share(tid)))


def has_stacks(case: Case, pid: int) -> bool:
    """Whether Python stacks of a process were read."""
    return any(thread.tid in case.stacks for thread in case.threads(pid))


def computing(case: Case) -> tuple[int, ...]:
    """The processes below the root that compute while the root's main thread waits for them, or looks after them.

    A process that is not waited for is one that works beside the root. Workers that start in place of others, which
    nobody has heard from, may go on like that for ever.
    """
    root = case.root
    if root not in case.processes or is_busy(case, root) or is_remote(case, root):
        return ()
    tends = case.wait(root).timed or polls_child(case, root)
    awaited = {case.owner(tid) for tid in case.awaited if tid in case.closure.threads}
    starting = pools.restarted(case)
    busy = [pid for pid in case.processes if pid != root and pid not in starting and _computes(case, pid)]
    return tuple(pid for pid in busy if tends or pid in awaited)


def _computes(case: Case, pid: int) -> bool:
    return case.process_share(pid) >= _BUSY_SHARE or any(is_busy(case, thread.tid) for thread in case.threads(pid))


def short_lived(case: Case) -> frozenset[int]:
    """The processes that came or went while the root's main thread waited for them, at two moments or more.

    It moves when one of them ends; or a Pool whose answers it waits for takes one in.
    """
    moments = (frozenset(case.before), *case.seen, frozenset(case.processes))
    changes = [old ^ new for old, new in pairwise(moments) if old != new]
    if case.root not in case.processes or is_busy(case, case.root):
        return frozenset()
    works = case.moved(case.root) or any(map(case.moved, pools.answered(case, case.root)))
    return frozenset().union(*changes) if works and len(changes) > 1 else frozenset()


def steps(case: Case, tid: int) -> bool:
    """Whether a thread moved, and waits for short times in between: it does, or watches, one piece after another."""
    if not case.moved(tid) or is_busy(case, tid) or wants_gil(case, tid) or polls_child(case, tid):
        return False
    timed = case.wait(tid).timed or NAMES.get(_call(case, tid)) in _TIMED_CALLS
    return timed and not is_remote(case, tid)


def wants_gil(case: Case, tid: int) -> bool:
    """Whether a thread asks for the GIL again and again, in the wait that CPython has for that, and gets nothing."""
    seen = thread(case, tid)
    wait = futex(seen) if seen else None
    asks = wait is not None and wait.timed and wait.private and wait.op == RUST_OP
    return asks and case.switches_per_s(tid) >= _GIL_SWITCHES_PER_S and not is_busy(case, tid)


def polls_child(case: Case, tid: int) -> bool:
    """Whether a thread only looks, now and then, whether its child has ended."""
    return case.innermost(tid, *_POLLS_CHILD)


def is_remote(case: Case, tid: int) -> bool:
    """Whether a thread waits for somebody outside of the tree whom it called, with a timer or without."""
    drives = any(driver in frame.file for frame in case.python_frames(tid) for driver in _DRIVERS)
    return drives or any(_is_call_out(case, each) for each in connections(case, tid))


def connections(case: Case, tid: int) -> tuple[Connection, ...]:
    """The sockets that a thread waits on."""
    return tuple(each for each in case.surroundings.connections if each.tid == tid)


def _is_call_out(case: Case, connection: Connection) -> bool:
    inside = bool(connection.peer_pids) and set(connection.peer_pids) <= case.processes.keys()
    return not (connection.listening or connection.incoming or inside)


def deciding(case: Case) -> tuple[int, ...]:
    """The threads that decide about the root: its main thread, or, in the end, those that it waits for.

    The search stops at a thread that has a timer or waits for something outside, unless it waits for the result of
    others and its timer only limits that. Whoever waits for a lock is not followed: any thread may hold it. The
    processes that multiprocessing keeps for itself decide nothing.
    """
    found: dict[int, None] = {case.root: None}
    for tid in (queue := [case.root]):
        for other in _followed(case, tid):
            if other not in found:
                found[other] = None
                queue.append(other)
    known = [tid for tid in found if tid in case.closure.threads]
    return tuple(tid for tid in known if lives_alone(case, tid) and not serves_tree(case, tid))


def serves_tree(case: Case, tid: int) -> bool:
    """Whether a thread below the root waits for requests in a helper process of multiprocessing."""
    frames = case.python_frames(tid)[:_DEPTH]
    return case.owner(tid) != case.root and any(is_call(frame, *place) for frame in frames for place in _HELPERS)


def lives_alone(case: Case, tid: int) -> bool:
    """Whether a thread moved, has a timer, or waits for something outside of the tree."""
    wait = case.wait(tid)
    own = case.moved(tid) or wait.timed or bool(wait.external)
    return own and not polls_child(case, tid) and not wants_gil(case, tid)


def _followed(case: Case, tid: int) -> Iterator[int]:
    if places.takes_lock(case, tid) or takes_shared_lock(case, tid):
        return
    wait = case.wait(tid)
    alone = (wait.timed or wait.external) and not (polls_child(case, tid) or wants_gil(case, tid))
    if alone and not _limits_result(case, tid):
        return
    thread = case.closure.threads.get(tid)
    pairs = list(thread.wakers) if thread else []
    if polls_child(case, tid):
        pairs += [(pid, None) for pid in case.children.get(case.owner(tid), ())]
    if wants_gil(case, tid):
        pairs += [(case.owner(tid), other.tid) for other in case.threads(case.owner(tid))]
    for pid, waker in pairs:
        yield from [waker] if waker is not None else [other.tid for other in case.threads(pid)]


def _limits_result(case: Case, tid: int) -> bool:
    """Whether a timer only limits a wait for the result or the end of somebody in the tree."""
    wait = case.wait(tid)
    if not wait.timed or wait.external or wait.kind in (WaitKind.SLEEP, WaitKind.SIGNAL):
        return False
    return bool(set(wait.pids) - {case.owner(tid)}) or any(case.inside(tid, *place) for place in _RESULTS)


def takes_shared_lock(case: Case, tid: int) -> bool:
    """Whether a thread waits without a timeout for a lock of multiprocessing that the program takes itself.

    Queues and Pools have such locks as well: who waits for one of those waits for work.
    """
    wait = case.wait(tid)
    if wait.kind is not WaitKind.SHARED_FUTEX or wait.timed or any(case.inside(tid, *own) for own in _INNER_LOCKS):
        return False
    if case.innermost(tid, "/synchronize.py", "wait", "wait_for"):
        return False  # for a notification: of a Condition, an Event, or of the last task_done of a JoinableQueue
    taken = case.innermost(tid, "/synchronize.py", "__enter__")
    return taken or _TAKES.search(source(case, tid)) is not None


def caught_signals(case: Case, pid: int) -> frozenset[int]:
    """The signals for which a process has handlers that may do something."""
    mask = case.processes[pid].signals_caught
    numbers = {number for number in range(1, mask.bit_length() + 1) if mask >> (number - 1) & 1}
    by_readline = {int(SIGWINCH)} if pid in case.first.readline else set()
    return frozenset(numbers - HARMLESS_SIGNALS - by_readline - {int(SIGCHLD)})


def source(case: Case, tid: int) -> str:
    """The text of a thread's innermost Python line, of code given with `-c` too; empty when it is not known."""
    frame, command = case.python_frame(tid), case.processes[case.owner(tid)].cmdline
    if tid in case.sources or frame is None or frame.file != "<string>" or "-c" not in command[:-1]:
        return case.sources.get(tid, "")
    lines = command[command.index("-c") + 1].splitlines()
    return lines[frame.line - 1].strip() if 0 < frame.line <= len(lines) else ""


def thread(case: Case, tid: int) -> ThreadSnapshot | None:
    """A thread as it was in the first look, for whose moment its wait holds."""
    return case.thread_before(tid)


def _states(case: Case, tid: int) -> set[str]:
    return {thread.state for thread in (case.thread_before(tid), case.thread(tid)) if thread is not None}


def _call(case: Case, tid: int) -> int:
    """The number of the thread's system call in the second look."""
    found = case.thread(tid)
    return found.syscall[0] if found and found.syscall else -1
