"""Semaphores with names: those of multiprocessing with spawn or forkserver. Pure.

A program that forks unlinks each semaphore as soon as it has one. One that spawns leaves it a name in /dev/shm, so
that its children can open it, and so could anybody: nothing that waits for it can be proven dead. But nobody else does.
Where the tree could not go on if that is left out, and the server that only forks when it is asked, a rule is asked
once more without them, and says `likely`.
"""

from __future__ import annotations

import re

import msgspec

from ..model import Certainty, TreeSnapshot, Verdict, Wait, WaitKind
from ..observe.wakers import ANYBODY_MAY_MAP
from .case import Case, is_call
from .closure import close

# The prefix and the eight characters of multiprocessing/synchronize.py; the C library puts `sem.` before them.
_NAME = re.compile(re.escape(ANYBODY_MAY_MAP) + r"/dev/shm/sem\.mp-\w{8}")
_FORKSERVER = ("multiprocessing/forkserver.py", "main")
_POLLS = (WaitKind.POLL, WaitKind.EPOLL, WaitKind.SELECT)
_DEPTH = 3
_SHOWN = 4


def without(case: Case) -> Case | None:
    """The case where a named semaphore is raised by processes of the tree alone; None when there is no such wait.

    Any of them may still open it, whether it maps it by now or not.
    """
    if not any(_is_own(case, wait) for wait in case.first.waits.values()):
        return None
    everybody = tuple(case.processes)
    waits = {
        tid: msgspec.structs.replace(wait, external="", pids=everybody) if _is_own(case, wait) else wait
        for tid, wait in case.first.waits.items()
    }
    first: TreeSnapshot = msgspec.structs.replace(case.first, waits=waits)
    closure = close(first, case.second, known_signals=case.known_signals, idle=frozenset(_servers(case)))
    return msgspec.structs.replace(case, first=first, closure=closure)


def weakened(case: Case, verdict: Verdict) -> Verdict:
    """A verdict that holds without them, with what was left out."""
    names = dict.fromkeys(wait.external for wait in case.first.waits.values() if _is_own(case, wait))
    lines = [f"not counted: {name}" for name in list(names)[:_SHOWN]]
    lines += [f"{case.who(tid)}: not counted: it waits to be asked for a new process" for tid in _servers(case)]
    return msgspec.structs.replace(verdict, certainty=Certainty.LIKELY, evidence=(*verdict.evidence, *lines))


def _is_own(case: Case, wait: Wait) -> bool:
    named = wait.kind is WaitKind.SHARED_FUTEX and _NAME.fullmatch(wait.external) is not None
    return named and set(wait.pids) <= case.processes.keys()


def _servers(case: Case) -> list[int]:
    return [tid for tid in case.closure.threads if tid != case.root and _serves_forks(case, tid)]


def _serves_forks(case: Case, tid: int) -> bool:
    """Whether it is the forkserver of the tree, between two orders: those come from processes of the tree."""
    waits = case.wait(tid).kind in _POLLS and not case.moved(tid)
    return waits and any(is_call(frame, *_FORKSERVER) for frame in case.python_frames(tid)[:_DEPTH])
