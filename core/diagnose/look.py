"""Looks at a tree of processes again and again, and says which of them are dead and why.

A look at a healthy tree costs a few milliseconds and only reads /proc. A process is dumped once, when it is first
proven dead, and never again. Processes that end while they are looked at are no error. Nothing is ended or changed
here.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import msgspec

from ..model import ProcessSnapshot, Verdict
from ..observe import environment, proc
from . import stillness
from .evidence import Evidence
from .gather import Death, gather
from .merge import merge
from .proof import NATIVE_OPS, NATIVE_OPS_ON_MUSL, PLAIN_OP, Conditions, obstacle, prove
from .rules import judge

# The least time between the two snapshots of a proof. The proof holds for any gap; this one lets a person believe it.
MIN_GAP_S = 0.02

_HELD = frozenset("tT")  # stopped, or held by a debugger: nothing can be said of its wait


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What one look saw.

    `processes` has the root first, parents before children. `dead` are the PIDs that are proven dead. `taken_s` is how
    long the look took. `stuck` says that nothing in the tree moves any more: see `Watcher`.
    """

    processes: tuple[ProcessSnapshot, ...]
    dead: tuple[int, ...]
    verdicts: tuple[Verdict, ...]
    taken_s: float
    stuck: bool


class Watcher:
    """Follows one tree; `look` is called by one thread, about four times a second.

    A tree is stuck when at least one process is dead, the main thread of the root waits, and every other living
    process is dead, waits for the tree (a pipe or a lock: an idle worker), or is a helper without a role that waits.
    Whether the root waits for somebody outside the tree, such as a database, only its owner knows.
    """

    def __init__(
        self,
        root: int | Callable[[], int],
        *,
        roles: Callable[[int], str] = lambda pid: "",
        known_signals: frozenset[int] = frozenset(),
    ) -> None:
        """`roles` names a worker by its PID and gives "" for anything else.

        `known_signals` have handlers that release no lock, such as faulthandler's.
        """
        self._root = root
        self._roles = roles
        self._known_signals = known_signals
        self._last = _Glance({}, 0.0)
        self._dead: dict[tuple[int, int], Evidence] = {}

    def look(self, *, result_pending: bool | None = None) -> Look:
        """One look. `result_pending`: whether the root waits for a result of a worker, None when that is not known."""
        started_s = time.monotonic()
        root = self._root if isinstance(self._root, int) else self._root()
        before, now = self._last, _glance(proc.descendants(root))
        self._retract(now)
        suspects = self._suspects(now)
        deaths = _deaths(before, now, suspects)
        if len(deaths) < len(suspects):
            before, now = now, _later_glance(now)
            unproven = suspects.keys() - {death.second.pid for death in deaths}
            deaths += _deaths(before, now, {pid: suspects[pid] for pid in unproven})
        self._remember(deaths)
        self._last = now
        dead = {pid: self._dead[_key(process)] for pid, process in now.processes.items() if _key(process) in self._dead}
        return Look(
            processes=tuple(now.processes.values()),
            dead=tuple(dead),
            verdicts=self._verdicts(dead.values(), result_pending),
            taken_s=time.monotonic() - started_s,
            stuck=bool(dead)
            and all(self._is_still(pid, root, before, now) for pid in now.processes if pid not in dead),
        )

    def _retract(self, now: _Glance) -> None:
        """Forgets the dead that are gone, and any that left their wait after all, as a debugger can make them."""
        for pid, start_ticks in list(self._dead):
            process = now.processes.get(pid)
            if process is None or process.start_ticks != start_ticks or self._left_its_wait(process, now):
                del self._dead[pid, start_ticks]

    def _left_its_wait(self, process: ProcessSnapshot, now: _Glance) -> bool:
        held = process.frozen or any(thread.state in _HELD for thread in process.threads)
        return not held and bool(obstacle(process, self._conditions(process, now)))

    def _suspects(self, now: _Glance) -> dict[int, Conditions]:
        """The processes that one more look may prove dead, by PID."""
        found = {}
        for pid, process in now.processes.items():
            if len(process.threads) != 1 or _key(process) in self._dead:
                continue
            conditions = self._conditions(process, now)
            if not obstacle(process, conditions) and not proc.shares_memory(pid, process.ppid):
                found[pid] = conditions
        return found

    def _conditions(self, process: ProcessSnapshot, now: _Glance) -> Conditions:
        wait = proc.futex(process.threads[0])
        on_musl = wait is not None and wait.op == PLAIN_OP and environment.uses_musl(process.pid)
        return Conditions(
            known_signals=self._known_signals,
            has_children=any(other.ppid == process.pid for other in now.processes.values()),
            native_ops=NATIVE_OPS_ON_MUSL if on_musl else NATIVE_OPS,
        )

    def _remember(self, deaths: list[Death]) -> None:
        if not deaths:
            return
        with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            for evidence in pool.map(gather, deaths):
                self._dead[_key(evidence.second)] = evidence

    def _verdicts(self, dead: Iterable[Evidence], result_pending: bool | None) -> tuple[Verdict, ...]:
        """Judged anew at each look: roles become known, and what the root waits for changes."""
        current = (
            msgspec.structs.replace(evidence, role=self._roles(evidence.second.pid), result_pending=result_pending)
            for evidence in dead
        )
        return tuple(merge(judge(evidence) for evidence in current))

    def _is_still(self, pid: int, root: int, before: _Glance, now: _Glance) -> bool:
        old, new = before.processes.get(pid), now.processes[pid]
        if pid == root or not self._roles(pid):
            return stillness.waits(old, new)
        return stillness.idle(old, new)


class _Glance(msgspec.Struct, frozen=True):
    """All processes of the tree at one moment (seconds of the monotonic clock)."""

    processes: dict[int, ProcessSnapshot]
    at_s: float


def _glance(pids: Iterable[int]) -> _Glance:
    return _Glance(proc.snapshot(pids), time.monotonic())


def _later_glance(now: _Glance) -> _Glance:
    """The same processes again, when MIN_GAP_S has passed."""
    time.sleep(max(0.0, now.at_s + MIN_GAP_S - time.monotonic()))
    return _glance(now.processes)


def _deaths(before: _Glance, now: _Glance, suspects: dict[int, Conditions]) -> list[Death]:
    """Those that the two glances prove dead."""
    gap_s = now.at_s - before.at_s
    deaths = []
    for pid, conditions in suspects.items():
        first, second = before.processes.get(pid), now.processes.get(pid)
        if first and second and gap_s >= MIN_GAP_S and prove(first, second, conditions).dead:
            deaths.append(Death(first, second, gap_s, now.processes.get(second.ppid)))
    return deaths


def _key(process: ProcessSnapshot) -> tuple[int, int]:
    return process.pid, process.start_ticks
