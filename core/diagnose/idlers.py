"""Threads that live and do nothing: a monitor, a heartbeat, a helper that sleeps. Pure.

Such a thread shares the memory of the others and could wake them, so that nothing beside it can be proven. But what
its source does between two sleeps can be read. Where that wakes nobody, a rule whose evidence shows a circle by itself
(`Card.beside_idlers`) is asked once more without it, and says `likely`.

The same holds of handlers for the signals by which a person or a supervisor asks a program to end: one that the
program installed could end any wait of its main thread, but in a circle nobody waits for that (`Card.beside_handlers`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from signal import SIGCONT, SIGHUP, SIGPIPE, SIGQUIT, SIGTERM, SIGTSTP, SIGWINCH

import msgspec

from ..model import Certainty, Frame, Stack, Verdict, WaitKind
from . import facts, listing
from .case import Case, is_call
from .closure import close
from .listing import Idleness

_THREADING = "/threading.py"
_SETS = (WaitKind.POLL, WaitKind.SELECT, WaitKind.EPOLL)
# Below these frames a thread or a forked process does not go on when what it runs is done.
_BOTTOMS = ((_THREADING, "run"), ("/process.py", "run"), (_THREADING, "_bootstrap_inner"))
_WORKERS = (("futures/thread.py", ("_worker",)), ("/pool.py", ("worker",)))
_JOINS = ("join", "_shutdown", "_wait_for_tstate_lock")
# The end of a process ends the wait for it, and closes its ends of pipes.
_ENDED_BY_EXIT = frozenset({WaitKind.CHILD, WaitKind.PIPE_READ, WaitKind.PIPE_WRITE, WaitKind.SOCKET, *_SETS})
_SHOWN = 4
# Sent by people, terminals and supervisors, not by a part of the program to another one or by a timer.
_REQUESTS = frozenset({SIGCONT, SIGHUP, SIGPIPE, SIGQUIT, SIGTERM, SIGTSTP, SIGWINCH})

Texts = Callable[[str], str]


def held(stack: Stack, texts: Texts) -> Iterator[str]:
    """In words, the locks that the source says a thread holds where it stands, innermost frame first."""
    for frame in _own_frames(stack):
        for line, lock in listing.held(texts(frame.file), frame.line):
            yield f"holds {lock}, taken at {frame.file}:{line}, at {frame.function}:{frame.line}"


def idleness(stack: Stack, texts: Texts) -> Idleness | None:
    """What a thread does that, by its source, can only sleep and look; None when it can do more, or is the worker of a
    pool, whose work somebody awaits."""
    frames = [frame for frame in stack.frames if not frame.native]
    own = list(_own_frames(stack))
    if any(is_call(frame, file, *names) for frame in frames for file, names in _WORKERS):
        return None
    if not own:
        # The thread's target is `time.sleep` itself. In `Timer.run` the wait is Python's.
        sleeps = frames and is_call(frames[0], _THREADING, "run")
        return Idleness(endless=False, talks=False) if sleeps else None
    talks = False
    for frame in own:
        found = listing.idleness(texts(frame.file), frame.line)
        if found is None:
            return None
        talks = talks or found.talks
        if found.endless:
            return Idleness(endless=True, talks=talks)
    return Idleness(endless=False, talks=talks)


def sleeps(case: Case, tid: int) -> bool:
    """Whether a thread sleeps, or waits with a timeout."""
    wait = case.wait(tid)
    return wait.kind is WaitKind.SLEEP or (wait.kind is WaitKind.FUTEX and wait.timed)


def requests(case: Case) -> dict[int, frozenset[int]]:
    """By PID, the signals with a handler that only ask the program to end, or to note something."""
    caught = {p.pid: {int(n) for n in _REQUESTS if p.signals_caught >> (n - 1) & 1} for p in case.second.processes}
    return {pid: frozenset(found) - case.known_signals for pid, found in caught.items() if found - case.known_signals}


def without(case: Case, signals: frozenset[int] = frozenset()) -> Case:
    """The case with the idle threads not counted, nor the handlers for these signals."""
    known_signals = case.known_signals | signals
    idle = {tid: how for tid, how in case.idle.items() if how.endless or not _end_is_awaited(case, tid)}
    closure = close(case.first, case.second, known_signals=known_signals, idle=frozenset(idle))
    return msgspec.structs.replace(case, closure=closure, idle=idle, without_idle=True, without_handlers=bool(signals))


def _end_is_awaited(case: Case, tid: int) -> bool:
    """Whether somebody waits for the end of a thread, or of its process, as it may: it comes when the sleep is over."""
    pid = case.owner(tid)
    if tid != pid:
        return any(case.inside(each.tid, _THREADING, *_JOINS) for each in case.threads(pid))
    return any(pid in wait.pids for wait in case.first.waits.values() if wait.kind in _ENDED_BY_EXIT)


def weakened(case: Case, verdict: Verdict) -> Verdict:
    """A verdict that holds without the idle threads, with what was left out."""
    lines = [
        f"{case.who(tid)}: not counted: it only sleeps, in {facts.calls(case.python_frames(tid))}"
        for tid in sorted(case.idle)[:_SHOWN]
    ]
    return msgspec.structs.replace(verdict, certainty=Certainty.LIKELY, evidence=(*verdict.evidence, *lines))


def unasked(case: Case, verdict: Verdict, handled: Mapping[int, frozenset[int]]) -> Verdict:
    """A verdict that holds unless somebody sends one of these signals, with what was left out."""
    concerned = dict.fromkeys((*(culprit.pid for culprit in verdict.culprits), *handled))
    lines = [
        f"{case.who(pid)}: not counted: it handles signal {', '.join(map(str, sorted(handled[pid])))} (SigCgt in"
        f" /proc/{pid}/status), which only somebody who wants it to end would send"
        for pid in [pid for pid in concerned if pid in handled][:_SHOWN]
    ]
    return msgspec.structs.replace(verdict, evidence=(*verdict.evidence, *lines))


def _own_frames(stack: Stack) -> Iterator[Frame]:
    """The frames of the program, down to where the thread or the process began."""
    for frame in stack.frames:
        if any(is_call(frame, file, name) for file, name in _BOTTOMS):
            return
        if not frame.native and not frame.file.endswith(_THREADING):
            yield frame
