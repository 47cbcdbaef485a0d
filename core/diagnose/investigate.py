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
from .reader import Ask

# Between the two looks: long enough to tell a thread that polls ten times a second from one that sleeps.
WINDOW_S = 0.3
_GENERATIONS = 5
# Between two moments at which it is noted who is there, where a follower saw children come and go.
_BIRTHS_S = 0.02


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How to look. `native`: native stacks of living processes too, because a person asked. `known_signals` have
    handlers that release nothing. `roles` names processes by PID, "" for unknown. `dsn` lets it ask the database.
    `notes` are lines of evidence that only the owner of the run knows. `ask` has a process write its Python stacks
    itself (PID, seconds): only the dead are asked, where py-spy gives none."""

    window_s: float = WINDOW_S
    native: bool = False
    known_signals: frozenset[int] = frozenset()
    roles: Callable[[int], str] = lambda pid: ""
    dsn: str = ""
    notes: Callable[[], tuple[str, ...]] = tuple
    ask: Ask | None = None


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
        to_judge: bool = True,
    ) -> None:
        """The first half. Without `to_judge` there will be no verdicts, and what only they need is left out."""
        self._options, self._to_judge = options, to_judge
        self._started_s = time.monotonic()
        self._first = tree.take(root, known=known)
        self._survey = Survey(self._first, dsn=options.dsn if to_judge else "", backends_too=to_judge)
        self._seen = [frozenset(process.pid for process in self._first.processes)]

    @property
    def size(self) -> int:
        """How many processes the tree had."""
        return len(self._first.processes)

    @property
    def age_s(self) -> float:
        """The time since the first half."""
        return time.monotonic() - self._first.at_s

    def watch(self) -> None:
        """Lets the window pass, and notes now and then who is there."""
        for step in range(1, _GENERATIONS + 1):
            time.sleep(max(0.0, self._options.window_s * step / _GENERATIONS - self.age_s))
            if self.age_s < self._options.window_s:
                self.note(tree.members(self._first.root))

    def note(self, pids: Iterable[int]) -> None:
        """Notes who belongs to the tree now."""
        self._seen.append(frozenset(pids))

    def note_births(self) -> None:
        """Where children come and go, notes how fast."""
        for _ in range(_GENERATIONS if len(set(self._seen)) > 1 else 0):
            time.sleep(_BIRTHS_S)
            self.note(tree.members(self._first.root))

    def finish(
        self,
        *,
        inspector: Inspector | None = None,
        result_pending: bool | None = None,
        stacks: bool = True,
        only: Callable[[Case], Iterable[int]] | None = None,
    ) -> Finding:
        """The second half. Without `stacks` it is cheap, and most causes have no name.

        `only` says of which processes stacks are read.
        """
        case = case_of(self._first, self._options, seen=self._seen, result_pending=result_pending)
        case = msgspec.structs.replace(case, surroundings=self._survey.finish())
        if stacks:
            case = with_stacks(case, inspector or Inspector(), self._options, only=only)
        verdicts = judge(case) if case.processes and self._to_judge else ()
        return Finding(case=case, verdicts=verdicts, taken_s=time.monotonic() - self._started_s)


def case_of(
    first: TreeSnapshot, options: Options, *, seen: Iterable[frozenset[int]], result_pending: bool | None
) -> Case:
    """What two looks say, the second of which is taken here, without stacks and surroundings. `seen`: see `Case`."""
    second = tree.retake(first)
    return Case(
        first=first,
        second=second,
        closure=close(first, second, known_signals=options.known_signals),
        roles={process.pid: role for process in second.processes if (role := options.roles(process.pid))},
        seen=tuple(seen),
        result_pending=result_pending,
        known_signals=options.known_signals,
        notes=options.notes(),
    )


def with_stacks(
    case: Case, inspector: Inspector, options: Options, *, only: Callable[[Case], Iterable[int]] | None = None
) -> Case:
    """The case with stacks, of the processes that `only` names where it is given, and with what moved meanwhile."""
    case = inspector.inspect(case, native=options.native, only=only(case) if only else None, ask=options.ask)
    if options.native:  # being dumped natively is a move too
        return case
    return msgspec.structs.replace(case, stirred=_stirred(case))


def _stirred(case: Case) -> frozenset[int]:
    """The living threads that moved while the stacks were read."""
    now = {thread.tid: thread.switches for process in tree.retake(case.second).processes for thread in process.threads}
    threads = (thread for process in case.second.processes for thread in process.threads)
    return frozenset(t.tid for t in threads if not case.is_dead(t.tid) and now.get(t.tid) != t.switches)
