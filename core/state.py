"""RunState: what a run looks like now, folded from its events. Pure: no clock, no I/O, no truth of its own."""

from __future__ import annotations

from functools import singledispatch
from typing import Any, Literal

import msgspec

from . import events as ev
from .model import Graph, Phase, Strategy
from .phases import PhaseEvent, PhaseState, after
from .seen import ProcessSeen, StackSeen, ThreadSeen

Status = Literal["starting", "running", "stuck", "proven deadlock", "fixing", "completed", "failed"]

# A sample may hold CPU time from before a stack was read, unless it was taken this much later.
AFTER_READ_S = 1.0


class WorkerState(msgspec.Struct, frozen=True, kw_only=True):
    role: str
    pid: int
    exit_code: int | None = None


class StackState(msgspec.Struct, frozen=True, kw_only=True):
    """The newest stack of a thread; `at` is when it was read, in seconds since the epoch. `moved`: it ran since.

    `trouble` says why its process had to write it itself, if so.
    """

    pid: int
    at: float
    native: bool
    stack: StackSeen
    trouble: str = ""
    moved: bool = False


def _fresh_phases() -> dict[Phase, PhaseState]:
    return {phase: PhaseState() for phase in Phase}


class RunState(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a front end shows of a run."""

    status: Status = "starting"
    run: str = ""
    scenario: str = ""
    title: str = ""
    settings: dict[str, Any] = {}
    versions: dict[str, str] = {}
    spool: str = ""
    subject_pid: int = 0
    start_method: str = ""
    workers_wanted: int = 0
    parallelism: str = ""
    started_at: float = 0.0
    moved_at: float = 0.0
    ended_at: float = 0.0
    phases: dict[Phase, PhaseState] = msgspec.field(default_factory=_fresh_phases)
    workers: dict[int, WorkerState] = {}
    skipped: int = 0
    skipped_kinds: dict[str, int] = {}
    tokenized: ev.Tokenized | None = None
    vectors_kept: int = 0
    vectors_computed: int = 0
    index: ev.IndexChosen | None = None
    verified: ev.Verified | None = None
    verdicts: dict[str, ev.VerdictReached] = {}
    withdrawn: dict[str, ev.VerdictReached] = {}  # what was said and holds no more, by slug
    plan: ev.FixPlanned | None = None
    failure: ev.Failed | None = None
    finished: ev.RunFinished | None = None
    attached: ev.Attached | None = None
    processes: dict[int, ProcessSeen] = {}  # by PID, in the order in which they came
    threads: dict[int, ThreadSeen] = {}  # by TID
    sampled_at: float = 0.0  # when the tree was last seen to change
    stacks: dict[int, StackState] = {}  # by TID
    no_stacks: dict[int, str] = {}  # by PID: why its stacks could not be read
    graph: Graph | None = None
    database: ev.DatabaseSampled | None = None
    not_seen: tuple[str, ...] = ()
    stuck: ev.Stuck | None = None
    proposals: dict[Strategy, ev.FixPlanned] = {}
    refusals: dict[Strategy, ev.FixRefused] = {}
    fix_started: ev.FixStarted | None = None
    hung: RunState | None = None  # all of this, as it was when the fix began

    @property
    def phase(self) -> Phase | None:
        """The phase that runs now, or the last one that did anything; None before the first."""
        running = [phase for phase, state in self.phases.items() if state.status in ("running", "failed")]
        return running[-1] if running else None

    @property
    def result_pending(self) -> bool:
        """Whether some worker still owes a vector: then ending it would lose work in flight."""
        return self.phases[Phase.EMBED].status not in ("done", "kept")


def fold(state: RunState, event: ev.Event) -> RunState:
    """The state after `event`. An event that a state has no room for leaves it as it was."""
    return _fold(event, state)


def _with(state: RunState, **changes: Any) -> RunState:
    return msgspec.structs.replace(state, **changes)


def _with_phase(state: RunState, phase: Phase, event: PhaseEvent) -> RunState:
    phases = {**state.phases, phase: after(state.phases[phase], event)}
    return _with(state, phases=phases, moved_at=max(state.moved_at, event.at))


@singledispatch
def _fold(event: ev.Event, state: RunState) -> RunState:
    return state


@_fold.register
def _(event: ev.RunStarted, state: RunState) -> RunState:
    return RunState(  # a journal holds the attempts of one run one after the other: each begins with nothing
        run=event.run,
        scenario=event.scenario,
        title=event.title,
        settings=event.settings,
        versions=event.versions,
        spool=event.spool,
        started_at=event.at,
        moved_at=event.at,
    )


@_fold.register
def _(event: ev.Attached, state: RunState) -> RunState:
    return _with(
        state,
        status="running",
        attached=event,
        subject_pid=event.pid,
        versions=event.versions,
        started_at=event.at,
        moved_at=event.at,
    )


@_fold.register
def _(event: ev.SubjectStarted, state: RunState) -> RunState:
    return _with(
        state,
        status="fixing" if event.strategy else "running",
        subject_pid=event.pid,
        start_method=event.start_method,
        workers_wanted=event.workers,
        parallelism=event.parallelism,
        moved_at=event.at,
        phases=_fresh_phases(),
        workers={},
        failure=None,
    )


@_fold.register(ev.PhaseStarted)
@_fold.register(ev.PhaseProgress)
@_fold.register(ev.PhaseFinished)
def _(event: ev.PhaseStarted | ev.PhaseProgress | ev.PhaseFinished, state: RunState) -> RunState:
    return _with_phase(state, event.phase, event)


@_fold.register
def _(event: ev.WorkerStarted, state: RunState) -> RunState:
    return _with(state, workers={**state.workers, event.pid: WorkerState(role=event.role, pid=event.pid)})


@_fold.register
def _(event: ev.WorkerEnded, state: RunState) -> RunState:
    ended = WorkerState(role=event.role, pid=event.pid, exit_code=event.exit_code)
    return _with(state, workers={**state.workers, event.pid: ended})


@_fold.register
def _(event: ev.FileSkipped, state: RunState) -> RunState:
    return _with(state, skipped=max(state.skipped, event.number))


@_fold.register
def _(event: ev.FilesSkipped, state: RunState) -> RunState:
    return _with(state, skipped=event.number, skipped_kinds=event.kinds)


@_fold.register
def _(event: ev.Tokenized, state: RunState) -> RunState:
    return _with(state, tokenized=event)


@_fold.register
def _(event: ev.Embedded, state: RunState) -> RunState:
    return _with(state, vectors_kept=event.kept, vectors_computed=event.computed)


@_fold.register
def _(event: ev.IndexChosen, state: RunState) -> RunState:
    return _with(state, index=event)


@_fold.register
def _(event: ev.Verified, state: RunState) -> RunState:
    return _with(state, verified=event)


@_fold.register
def _(event: ev.TreeSampled, state: RunState) -> RunState:
    processes = {} if event.key else dict(state.processes)
    threads = {} if event.key else dict(state.threads)
    processes.update((process.pid, process) for process in event.processes)
    for pid in event.gone:
        processes.pop(pid, None)
    threads.update((thread.tid, thread) for thread in event.threads)
    for tid in event.gone_threads:
        threads.pop(tid, None)
    if event.gone:
        gone = frozenset(event.gone)
        threads = {tid: thread for tid, thread in threads.items() if thread.pid not in gone}
    stacks = state.stacks
    if event.key or event.gone or event.gone_threads:
        stacks = {tid: stack for tid, stack in stacks.items() if tid in threads}
    ran = [thread.tid for thread in event.threads if _ran(thread, stacks.get(thread.tid), event.at)]
    if ran:
        stacks = {**stacks, **{tid: msgspec.structs.replace(stacks[tid], moved=True) for tid in ran}}
    return _with(state, processes=processes, threads=threads, stacks=stacks, sampled_at=event.at)


def _ran(thread: ThreadSeen, stack: StackState | None, at: float) -> bool:
    """Whether a sample shows that a thread ran after its stack was read, and this is news."""
    if stack is None or stack.moved or at - stack.at < AFTER_READ_S:
        return False
    return thread.state == "R" or thread.cpu > 0


@_fold.register
def _(event: ev.StacksRead, state: RunState) -> RunState:
    no_stacks = {pid: why for pid, why in state.no_stacks.items() if pid != event.pid}
    if event.trouble and not event.stacks:
        return _with(state, no_stacks={**no_stacks, event.pid: event.trouble})
    read = {
        stack.tid: StackState(pid=event.pid, at=event.at, native=event.native, stack=stack, trouble=event.trouble)
        for stack in event.stacks
    }
    return _with(state, stacks={**state.stacks, **read}, no_stacks=no_stacks)


@_fold.register
def _(event: ev.GraphDrawn, state: RunState) -> RunState:
    return _with(state, graph=event.graph)


@_fold.register
def _(event: ev.DatabaseSampled, state: RunState) -> RunState:
    return _with(state, database=event)


@_fold.register
def _(event: ev.NotSeen, state: RunState) -> RunState:
    return _with(state, not_seen=event.sentences)


@_fold.register
def _(event: ev.VerdictReached, state: RunState) -> RunState:
    withdrawn = {slug: said for slug, said in state.withdrawn.items() if slug != event.slug}
    return _with(state, verdicts={**state.verdicts, event.slug: event}, withdrawn=withdrawn)


@_fold.register
def _(event: ev.VerdictWithdrawn, state: RunState) -> RunState:
    verdicts = dict(state.verdicts)
    said = verdicts.pop(event.slug, None)
    return _with(state, verdicts=verdicts, withdrawn={**state.withdrawn, said.slug: said} if said else state.withdrawn)


@_fold.register
def _(event: ev.Stuck, state: RunState) -> RunState:
    proven = any(verdict.certainty == "proven" for verdict in state.verdicts.values())
    return _with(state, status="proven deadlock" if proven else "stuck", stuck=event)


@_fold.register
def _(event: ev.Unstuck, state: RunState) -> RunState:
    is_fixed = state.fix_started is not None and state.attached is None  # a tree that is not ours just goes on
    return _with(state, status="fixing" if is_fixed else "running", stuck=None, proposals={}, refusals={})


@_fold.register
def _(event: ev.FixPlanned, state: RunState) -> RunState:
    if event.proposed:
        refusals = {strategy: why for strategy, why in state.refusals.items() if strategy is not event.strategy}
        return _with(state, proposals={**state.proposals, event.strategy: event}, refusals=refusals)
    return _with(state, plan=event, vectors_kept=event.kept, vectors_computed=0)


@_fold.register
def _(event: ev.FixRefused, state: RunState) -> RunState:
    return _with(state, refusals={**state.refusals, event.strategy: event})


@_fold.register
def _(event: ev.FixStarted, state: RunState) -> RunState:
    hung = _with(state, hung=None)
    return _with(state, status="fixing", fix_started=event, hung=hung, stuck=None, proposals={}, refusals={})


@_fold.register
def _(event: ev.Failed, state: RunState) -> RunState:
    failed = _with(state, failure=event)
    return failed if event.phase is None else _with_phase(failed, event.phase, event)


@_fold.register
def _(event: ev.RunFinished, state: RunState) -> RunState:
    ends: dict[ev.Outcome, Status] = {"completed": "completed", "hang": state.status}
    return _with(state, status=ends.get(event.outcome, "failed"), finished=event, ended_at=event.at)
