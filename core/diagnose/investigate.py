"""One thorough look at a tree: twice at its threads, then at stacks and surroundings, and a judgement.

It reads, and stops nothing, except that a process which is proven dead may be stopped for milliseconds to read its
native stack, where that can disturb nothing. Whatever may not be looked at is left out, and the case says why.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import msgspec

from ..model import TreeSnapshot, Verdict
from ..observe import tree
from ..observe.surroundings import Survey
from .case import Case
from .closure import close
from .inspector import Inspector
from .judge import judge

# Between the two looks: long enough to tell a thread that polls ten times a second from one that sleeps.
WINDOW_S = 0.3
_GENERATIONS = 5


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How to look. `native`: native stacks of living processes too, because a person asked. `known_signals` have
    handlers that release nothing. `roles` names processes by PID, "" for unknown. `dsn` lets it ask the database."""

    window_s: float = WINDOW_S
    native: bool = False
    known_signals: frozenset[int] = frozenset()
    roles: Callable[[int], str] = lambda pid: ""
    dsn: str = ""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What one look found. `taken_s` is how long it took."""

    case: Case
    verdicts: tuple[Verdict, ...]
    taken_s: float


def investigate(
    root: int,
    options: Options = Options(),  # noqa: B008  (frozen)
    *,
    inspector: Inspector | None = None,
    known: Iterable[tree.Known] = (),
    result_pending: bool | None = None,
) -> Finding:
    """Looks at the tree of `root` and judges it; no processes in the case when it is gone.

    `inspector` keeps what was read of threads that have not moved since; `known` are processes that once belonged to
    the tree (see `tree.take`).
    """
    started_s = time.monotonic()
    inspector = inspector or Inspector()
    first = tree.take(root, known=known)
    survey = Survey(first, dsn=options.dsn)
    seen = _watch(first, options.window_s)
    second = tree.retake(first)
    closure = close(first, second, known_signals=options.known_signals)
    case = Case(
        first=first,
        second=second,
        closure=closure,
        surroundings=survey.finish(),
        roles={process.pid: role for process in second.processes if (role := options.roles(process.pid))},
        seen=seen,
        result_pending=result_pending,
    )
    case = inspector.inspect(case, native=options.native)
    return Finding(case=case, verdicts=judge(case), taken_s=time.monotonic() - started_s)


def _watch(first: TreeSnapshot, window_s: float) -> tuple[frozenset[int], ...]:
    """Lets the window pass, and notes now and then who is there."""
    end_s = first.at_s + window_s
    seen = [frozenset(process.pid for process in first.processes)]
    for step in range(1, _GENERATIONS + 1):
        time.sleep(max(0.0, first.at_s + window_s * step / _GENERATIONS - time.monotonic()))
        if time.monotonic() < end_s:
            seen.append(frozenset(tree.members(first.root)))
    return tuple(seen)
