"""One thorough look at a tree: twice at its threads, then at stacks and surroundings, and a judgement.

It reads, and stops nothing, except that a process which is proven dead may be stopped for milliseconds to read its
native stack, where that can disturb nothing. Whatever may not be looked at is left out, and the case says why.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import msgspec

from ..model import Verdict
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
    handlers that release nothing. `roles` names processes by PID, "" for unknown. `dsn` lets it ask the database.
    `notes` are lines of evidence that only the owner of the run knows."""

    window_s: float = WINDOW_S
    native: bool = False
    known_signals: frozenset[int] = frozenset()
    roles: Callable[[int], str] = lambda pid: ""
    dsn: str = ""
    notes: Callable[[], tuple[str, ...]] = tuple


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
    investigation = Investigation(root, options, known=known)
    investigation.watch()
    return investigation.finish(inspector=inspector, result_pending=result_pending)


class Investigation:
    """A thorough look in two halves, so that the looks at several trees can share the time between."""

    def __init__(
        self,
        root: int,
        options: Options = Options(),  # noqa: B008  (frozen)
        *,
        known: Iterable[tree.Known] = (),
    ) -> None:
        """The first half."""
        self._options = options
        self._started_s = time.monotonic()
        self._first = tree.take(root, known=known)
        self._survey = Survey(self._first, dsn=options.dsn)
        self._seen = [frozenset(process.pid for process in self._first.processes)]

    @property
    def size(self) -> int:
        """How many processes the tree had."""
        return len(self._first.processes)

    def watch(self) -> None:
        """Lets the window pass, and notes now and then who is there."""
        end_s = self._first.at_s + self._options.window_s
        for step in range(1, _GENERATIONS + 1):
            due_s = self._first.at_s + self._options.window_s * step / _GENERATIONS
            time.sleep(max(0.0, due_s - time.monotonic()))
            if time.monotonic() < end_s:
                self._seen.append(frozenset(tree.members(self._first.root)))

    def finish(
        self, *, inspector: Inspector | None = None, result_pending: bool | None = None, stacks: bool = True
    ) -> Finding:
        """The second half. Without `stacks` it is cheap, and most causes have no name."""
        second = tree.retake(self._first)
        roles = self._options.roles
        case = Case(
            first=self._first,
            second=second,
            closure=close(self._first, second, known_signals=self._options.known_signals),
            surroundings=self._survey.finish(),
            roles={process.pid: role for process in second.processes if (role := roles(process.pid))},
            seen=tuple(self._seen),
            result_pending=result_pending,
            known_signals=self._options.known_signals,
            notes=self._options.notes(),
        )
        if stacks:
            case = (inspector or Inspector()).inspect(case, native=self._options.native)
            if not self._options.native:  # being dumped natively is a move too
                case = msgspec.structs.replace(case, stirred=_stirred(case))
        verdicts = judge(case) if case.processes else ()
        return Finding(case=case, verdicts=verdicts, taken_s=time.monotonic() - self._started_s)


def _stirred(case: Case) -> frozenset[int]:
    """The living threads that moved while the stacks were read."""
    now = {thread.tid: thread.switches for process in tree.retake(case.second).processes for thread in process.threads}
    threads = (thread for process in case.second.processes for thread in process.threads)
    return frozenset(t.tid for t in threads if not case.is_dead(t.tid) and now.get(t.tid) != t.switches)
