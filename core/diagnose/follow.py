"""Follows a tree: a cheap look at its threads each time, a thorough one when something has come to rest.

The cheap look tells what moved. A proof is tried as soon as a process has come to rest, and needs no waiting; the
other verdicts need two thorough looks that agree. Thorough looks are paced so that following stays cheap, whatever the
tree's size. Nothing is ended or changed here.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable

import msgspec

from ..model import Certainty, ProcessSnapshot, Verdict
from ..observe import tree
from ..observe.glance import Glance
from .case import Case
from .inspector import Inspector
from .investigate import Finding, Investigation, Options, case_of, with_stacks
from .judge import is_hang, judge
from .proven import Proven, state

# The least time between the two snapshots of a proof. The proof holds for any gap; this one lets a person believe it.
MIN_GAP_S = 0.02
# The least time between the two looks that tell motion from rest.
MOTION_GAP_S = 0.25
# The part of one core that proofs, and that thorough looks, may take: for a small tree, for each thread more, and at
# most. And how much of it may be saved up.
PACE, PACE_A_THREAD, MAX_PACE = 0.01, 0.00004, 0.05
SAVED_S = 0.2
# Of how many living processes the stacks are read: the root, and those that it waits for, come first.
MAX_STACKS = 24
# The same of looks of which no verdict is wanted: they are only to be shown.
SHOW_PACE, SHOW_SAVED_S = 0.01, 0.02
# How long py-spy may take over one process, and over all of one look, while others wait to be looked at.
DUMP_S, DUMPS_S = 2.0, 3.0
# Unproven verdicts come from thorough looks this far apart, at least: where two agreed that nothing hangs and no
# process has come, gone or come to rest since, in looks; else in seconds.
QUIET_LOOKS, EVERY_S = 0.08, 0.7
# A process rests that did nothing for so many glances.
REST = 4


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What one look saw.

    `processes` are the tree, the root first; empty when it is gone. `finding` is the newest thorough look. `verdicts`
    may be said to a person: proven ones at once, others after a second look that agreed. `dead` are the processes that
    are proven dead, `root_dead` says that the root's main thread is. `taken_s` is how long the look took. `at_s`
    (monotonic) is when it began, `marks` are then the threads' schedstat lines by PID and TID: see `Glance.marks`.
    """

    processes: tuple[ProcessSnapshot, ...]
    finding: Finding | None
    verdicts: tuple[Verdict, ...]
    dead: tuple[int, ...]
    root_dead: bool
    taken_s: float
    at_s: float = 0.0
    marks: dict[int, dict[int, bytes]] = {}


class Follower:
    """Follows one tree. `look` is called by one thread, about four times a second."""

    def __init__(
        self,
        root: int | Callable[[], int],
        options: Options = Options(),  # noqa: B008  (frozen)
        *,
        pace: float = PACE,
        look_pace: float = PACE,
    ) -> None:
        """`pace` is the part of one core that proofs of a small tree may take, `look_pace` that of thorough looks."""
        self._root = root
        self._options = options
        self._for_proofs, self._for_looks = _Purse(pace), _Purse(look_pace)
        self._for_show = _Purse(SHOW_PACE, SHOW_SAVED_S)
        self._inspector = Inspector(deadline_s=DUMP_S, all_s=DUMPS_S)
        self._quiet_s = max(EVERY_S, QUIET_LOOKS / look_pace)
        self._eyes = Glance()
        self._glance: dict[int, ProcessSnapshot] = {}
        self._examined: frozenset[object] = frozenset()
        self._pending: Investigation | None = None
        self._to_show: Investigation | None = None
        self._asked_s = 0.0
        self._rested: dict[int, int] = {}
        self._picture: object = None
        self._agreed = False
        self._finding: Finding | None = None
        self._proven = Proven()
        self._root_dead = False
        self._slugs: tuple[str, ...] = ()
        self._verdicts: tuple[Verdict, ...] = ()

    def look(self, *, result_pending: bool | None = None, thorough: bool = True, show: bool = False) -> Look:
        """One look. `result_pending`: whether the root waits for a result of a worker, None when that is not known.

        `thorough` is False while the owner knows that it works: then only a proof is looked for. With `show` there is
        a finding now and then all the same, of which no verdict comes, and which leaves the database alone.
        """
        started_s = time.monotonic()
        threads = sum(len(process.threads) for process in self._glance.values())
        self._for_proofs.earn(started_s, threads)
        self._for_looks.earn(started_s, threads)
        self._for_show.earn(started_s, threads)
        root = self._root if isinstance(self._root, int) else self._root()
        resting = self._see(root)
        self._retract(started_s)
        self._rejudge(result_pending)
        if self._glance and not self._proven.is_disturbed:
            self._examine(root, resting, result_pending, thorough=thorough)
        if set(self._proven) - self._glance.keys():  # so young that only the proof has seen them
            self._glance, _ = self._eyes.look(root, watched=self._proven, walk=True)
        if self._glance and show and not thorough and not self._proven.is_disturbed:
            self._look_to_show(root, result_pending)
        else:
            self._to_show = None
        return Look(
            processes=tuple(self._glance.values()),
            finding=self._finding,
            verdicts=self._verdicts,
            dead=tuple(self._proven),
            root_dead=self._root_dead,
            taken_s=time.monotonic() - started_s,
            at_s=started_s,
            marks=self._eyes.marks,
        )

    def forget(self) -> None:
        """Takes back all that was said of the tree: somebody has acted on it."""
        self._proven.forget()
        self._root_dead = False
        self._verdicts, self._slugs = (), ()
        self._finding, self._pending = None, None
        self._examined, self._agreed = frozenset(), False

    def excuse(self, pid: int) -> None:
        """Until `settle` says so, a motion of this process, if it is proven dead, takes nothing back and is not judged.

        To be dumped natively is one. May be called at any time between two looks.
        """
        if pid in self._proven:
            self._proven.excuse(pid)
            self._pending = None

    def settle(self, pid: int) -> None:
        """Whoever disturbed the process is through; what it does from the next look on counts."""
        self._proven.settle(pid, time.monotonic())

    # the cheap look

    def _see(self, root: int) -> frozenset[object]:
        """Looks at all threads; the processes that did nothing since the last look, as their states."""
        self._glance, resting = self._eyes.look(root, watched=self._proven, walk=self._pending is not None)
        self._rested = {pid: self._rested.get(pid, 0) + 1 if pid in resting else 0 for pid in self._glance}
        if self._pending is not None:
            self._pending.note(self._glance)
        return frozenset(state(self._glance[pid]) for pid in resting)

    def _retract(self, now_s: float) -> None:
        """Takes back what was said of processes that are gone, or that moved after all."""
        if moved := self._proven.retract(self._glance, now_s):
            self._root_dead = False
            self._verdicts = tuple(
                verdict for verdict in self._verdicts if not any(culprit.pid in moved for culprit in verdict.culprits)
            )
            self._examined = frozenset()

    def _rejudge(self, result_pending: bool | None) -> None:
        """What the root waits for decides which fixes are offered."""
        finding = self._finding
        if finding is not None and finding.case.result_pending is not result_pending:
            case = msgspec.structs.replace(finding.case, result_pending=result_pending)
            self._finding = msgspec.structs.replace(finding, case=case, verdicts=judge(case))
            said = {verdict.slug for verdict in self._verdicts}
            self._verdicts = tuple(verdict for verdict in self._finding.verdicts if verdict.slug in said)

    # thorough looks

    def _examine(self, root: int, resting: frozenset[object], result_pending: bool | None, *, thorough: bool) -> None:
        now_s = time.monotonic()
        if not thorough:
            self._pending = None  # it works: what was begun to be looked at is the past
        if resting - self._examined and self._for_proofs.has_some:
            self._examined = resting
            with self._for_proofs:
                self._prove(root, result_pending)
        elif thorough and self._for_looks.has_some:
            with self._for_looks:
                if self._pending is None and now_s - self._asked_s >= self._interval_s():
                    self._pending = Investigation(root, self._options, known=self._eyes.known)
                    self._asked_s = now_s
                elif self._pending is not None and self._pending.age_s >= MOTION_GAP_S:
                    self._conclude(self._pending, result_pending)
                    self._pending = None

    def _interval_s(self) -> float:
        """How far apart thorough looks are: where nothing that can be seen cheaply has changed, further."""
        before, self._picture = self._picture, frozenset((pid, rests >= REST) for pid, rests in self._rested.items())
        self._agreed = self._agreed and before == self._picture
        return self._quiet_s if self._agreed else EVERY_S

    def _prove(self, root: int, result_pending: bool | None) -> None:
        """A short look, which can only prove: what it calls dead is judged at once."""
        first = tree.take(root, known=self._eyes.known)
        time.sleep(max(0.0, first.at_s + MIN_GAP_S - time.monotonic()))
        case = case_of(first, self._options, seen=(), result_pending=result_pending)
        newly = [pid for pid in case.dead_processes if pid not in self._proven]
        if newly or (case.is_dead(case.root) and not self._root_dead):
            self._pending = None  # to be dumped natively is a motion
            case = with_stacks(case, self._inspector, self._options, only=_worth_reading)
            self._remember(Finding(case=case, verdicts=judge(case), taken_s=time.monotonic() - first.at_s))
            self._verdicts = tuple(v for v in self._judged if v.certainty is Certainty.PROVEN) or self._verdicts

    def _conclude(self, pending: Investigation, result_pending: bool | None) -> None:
        """The second half of a look that tells motion from rest."""
        pending.note_births()
        finding = pending.finish(inspector=self._inspector, result_pending=result_pending, only=_worth_reading)
        if finding.case.processes:
            before = [verdict.slug for verdict in self._judged]
            self._remember(finding)
            self._settle()
            self._agreed = before == [v.slug for v in self._judged] and not any(map(is_hang, self._judged))

    def _look_to_show(self, root: int, result_pending: bool | None) -> None:
        """A half of a look each time; what is said of the tree stays as it is, and a look that knows less is none."""
        if self._to_show is None and not self._for_show.has_some:
            return
        with self._for_show:
            if self._to_show is None:
                self._to_show = Investigation(root, self._options, known=self._eyes.known, to_judge=False)
            elif self._to_show.age_s >= MOTION_GAP_S:
                finding = self._to_show.finish(
                    inspector=self._inspector, result_pending=result_pending, only=_worth_reading
                )
                self._to_show = None
                case = finding.case
                as_dead = set(self._proven) <= set(case.dead_processes) and self._root_dead <= case.is_dead(root)
                if case.processes and as_dead:
                    self._finding = msgspec.structs.replace(finding, verdicts=self._judged)

    def _remember(self, finding: Finding) -> None:
        self._proven.remember(finding.case.dead_processes, time.monotonic())
        self._root_dead = finding.case.is_dead(finding.case.root)
        self._finding = finding

    @property
    def _judged(self) -> tuple[Verdict, ...]:
        return self._finding.verdicts if self._finding else ()

    def _settle(self) -> None:
        """Proven is said at once, and so is what is no hang; an unproven hang when two thorough looks agree on it."""
        doubtful = tuple(v.slug for v in self._judged if is_hang(v) and v.certainty is not Certainty.PROVEN)
        self._verdicts = tuple(v for v in self._judged if v.slug not in doubtful or v.slug in self._slugs)
        self._slugs = doubtful


class _Purse:
    """Time that may be spent: it is earned as time passes, and may be overdrawn once. Used as a context, it pays."""

    def __init__(self, pace: float, saved_s: float = SAVED_S) -> None:
        self._pace, self._saved_s = pace, saved_s
        self._credit_s = saved_s
        self._last_s = time.monotonic()
        self._began_s = 0.0

    @property
    def has_some(self) -> bool:
        return self._credit_s > 0

    def earn(self, now_s: float, threads: int) -> None:
        """For the time since the last call; a large tree earns more."""
        pace = min(max(self._pace, MAX_PACE), self._pace + threads * PACE_A_THREAD)
        self._credit_s = min(self._saved_s, self._credit_s + (now_s - self._last_s) * pace)
        self._last_s = now_s

    def __enter__(self) -> None:
        self._began_s = _cpu_s()

    def __exit__(self, *_: object) -> None:
        self._credit_s -= _cpu_s() - self._began_s


def _cpu_s() -> float:
    """The CPU time of this process and of those that it ran: a busy machine makes a look longer, but no dearer."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in used)


def _worth_reading(case: Case) -> list[int]:
    """The processes whose stacks matter most: the dead, the root, whom it waits for, and then the others."""
    awaited = [case.owner(tid) for tid in case.awaited if tid in case.closure.threads]
    living = dict.fromkeys(pid for pid in (case.root, *awaited, *case.processes) if pid not in case.dead_processes)
    return [*case.dead_processes, *list(living)[:MAX_STACKS]]
