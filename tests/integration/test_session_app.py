"""A run as the app has it: what is seen of it from the first second, and what a person can ask of it."""

from __future__ import annotations

import itertools
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from cvdebug.core import events as ev
from cvdebug.core import journal
from cvdebug.core import scenario as scenarios
from cvdebug.core.backing import Backing
from cvdebug.core.commands import Cancel, Dump, Fix, Kill, Propose
from cvdebug.core.database.connection import connect
from cvdebug.core.database.embedded import EmbeddedServer
from cvdebug.core.errors import DatabaseError
from cvdebug.core.model import Strategy
from cvdebug.core.session import Request, Session
from cvdebug.core.settings import resolve
from cvdebug.core.state import RunState, fold

_numbers = itertools.count()
T = TypeVar("T")


@pytest.fixture(scope="module")
def new_database(server: EmbeddedServer) -> Callable[[], str]:
    """Makes a database for a run; the server goes with the session of tests."""

    def make() -> str:
        name = f"app_{next(_numbers)}"
        with connect(server.dsn, run="tests", role="fixture", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return server.dsn.replace("/cvdebug?", f"/{name}?")

    return make


class Run:
    """A held run that is told what to do by what happens; `events` are all of it, `states` the folds after each."""

    def __init__(self, folder: Path, dsn: str, scenario: str = scenarios.DEFAULT, **flags: object) -> None:
        chosen = scenarios.load(scenario)
        resolved = resolve(flags={"dsn": dsn, "cvs": 24, **flags}, environment={}, scenario=chosen.settings)
        self.record = folder / "record.jsonl"
        self.session = Session(Request(scenario=chosen, resolved=resolved, on_hang="hold", record=self.record))
        self.events: list[ev.Event] = []
        self.state = RunState()

    def play(self, react: Callable[[ev.Event], None] = lambda event: None) -> None:
        """Goes to the end; a deadline cancels a run that would not."""
        late = threading.Timer(60.0, self.session.send, (Cancel(signal.SIGTERM),))
        late.start()
        try:
            for event in self.session.events():
                self.state = fold(self.state, event)
                self.events.append(event)
                react(event)
        finally:
            late.cancel()

    def all(self, kind: type[T]) -> Iterator[T]:
        return (event for event in self.events if isinstance(event, kind))


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, new_database: Callable[[], str]) -> Iterator[Story]:
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("home")
        patch.setenv("CVDEBUG_HOME", str(folder))
        story = Story(folder, new_database())
        story.play(story.react)
        yield story


class Story(Run):
    """The classic hang: at its hold everything is asked that can be, then it is fixed by release."""

    def __init__(self, folder: Path, dsn: str) -> None:
        super().__init__(folder, dsn, parallelism="on", cvs=600)
        self.at_hold = RunState()
        self.signalled: list[ev.Signalled] = []
        self.priced: ev.FixPlanned | None = None
        self.dumped: list[ev.StacksRead] = []
        self.is_fixed = False

    def react(self, event: ev.Event) -> None:
        state, send = self.state, self.session.send
        if isinstance(event, ev.Held):
            self.at_hold = state
            worker = next(iter(state.workers))
            send(Propose())
            send(Propose(measure=Strategy.SPAWN))
            send(Dump(worker, native=True))
            send(Dump(1))
            send(Kill(os.getppid(), 0, signal.SIGKILL))
            send(Kill(os.getpid(), _start_ticks(os.getpid()), signal.SIGKILL))
            send(Kill(worker, state.processes[worker].start_ticks + 1, signal.SIGKILL))
        elif isinstance(event, ev.StacksRead) and event.asked:
            self.dumped.append(event)
        elif isinstance(event, ev.Signalled):
            self.signalled.append(event)
        elif isinstance(event, ev.FixPlanned) and event.proposed and event.prices:
            self.priced = event
        answered = self.priced and len(self.dumped) == 2 and len(self.signalled) == 3
        if answered and not self.is_fixed:
            self.is_fixed = True
            send(Fix(Strategy.UNBLOCK))
            send(Fix(Strategy.RELEASE))


def _start_ticks(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])


def test_both_workers_are_seen_with_their_roles_and_their_work(story: Story) -> None:
    samples = [event for event in story.events if isinstance(event, ev.TreeSampled)]
    held = story.events.index(next(story.all(ev.Held)))
    assert samples[0].key
    assert not any(sample.key for sample in samples[1:])
    busy = {
        process.role
        for event in story.events[:held]
        if isinstance(event, ev.TreeSampled)
        for process in event.processes
        if process.cpu > 0.05
    }
    assert {"subject", "worker 1"} <= busy
    assert {p.role for p in story.at_hold.processes.values()} == {"subject", "worker 1", "worker 2"}
    assert all(process.rss_bytes > 5_000_000 for process in story.at_hold.processes.values())
    assert {thread.pid for thread in story.at_hold.threads.values()} == story.at_hold.processes.keys()


def test_a_hang_shows_dead_threads_native_stacks_and_a_dead_end(story: Story) -> None:
    state = story.at_hold
    assert state.status == "proven deadlock"
    for pid in state.workers:
        assert state.processes[pid].dead
        thread = state.threads[pid]
        assert (thread.status, thread.state, thread.why) == ("dead", "S", "nobody could wake it")
        assert "encode_batch" in thread.source
        stack = state.stacks[pid]
        assert stack.native
        raw = {at: name for at, name in stack.stack.raw.items() if name.startswith("_")}
        assert raw
        assert all(stack.stack.frames[at].native and stack.stack.frames[at].function != raw[at] for at in raw)
    assert state.graph is not None
    assert {end.partition("/")[0] for end in state.graph.dead_ends} == {str(pid) for pid in state.workers}


def test_every_plan_is_proposed_and_the_one_wished_for_is_priced(story: Story) -> None:
    proposed = [event for event in story.events if isinstance(event, ev.FixPlanned) and event.proposed]
    assert {plan.strategy for plan in proposed} == set(Strategy) - {Strategy.UNBLOCK}
    assert story.priced is not None
    assert story.priced.strategy is Strategy.SPAWN
    (price,) = story.priced.prices
    assert price.chunks_per_s is not None
    assert price.chunks_per_s > 0
    assert not any(isinstance(event, ev.FixRefused) and event.proposed for event in story.events)


def test_a_dump_gives_stacks_or_says_why_not(story: Story) -> None:
    by_pid = {event.pid: event for event in story.dumped}
    stranger = by_pid.pop(1)
    assert "does not belong" in stranger.trouble
    ((pid, dump),) = by_pid.items()
    assert pid in story.at_hold.workers
    assert dump.native
    assert dump.taken_s > 0
    assert any(frame.function == "count_tokens" for stack in dump.stacks for frame in stack.frames)


def test_nobody_else_is_signalled(story: Story) -> None:
    assert len(story.signalled) == 3
    assert {event.trouble for event in story.signalled} == {"it is not in the tree, or has ended"}


def test_a_refused_fix_leaves_the_hang_to_the_next_one(story: Story) -> None:
    refused = [event for event in story.events if isinstance(event, ev.FixRefused)]
    assert [(event.strategy, event.proposed) for event in refused] == [(Strategy.UNBLOCK, False)]
    started = [event for event in story.events if isinstance(event, ev.FixStarted)]
    assert [event.strategy for event in started] == [Strategy.RELEASE]
    assert story.state.status == "completed"
    assert story.state.verdicts == {}
    assert not story.state.proposals
    assert not story.state.refusals
    assert story.state.processes == {}


def test_the_record_folds_to_the_same_state_and_is_small(story: Story) -> None:
    state = RunState()
    for event in journal.read(story.record):
        state = fold(state, event)
    assert state == story.state == story.session.state
    assert story.record.stat().st_size < 300_000


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CVDEBUG_HOME", str(tmp_path))
    return tmp_path


def test_a_killed_worker_is_answered_and_the_run_says_what_became_of_it(
    home: Path, new_database: Callable[[], str]
) -> None:
    run = Run(home, new_database(), parallelism="off", cvs=400)

    def react(event: ev.Event) -> None:
        seen = [process for process in run.state.processes.values() if process.role == "worker 2"]
        if isinstance(event, ev.TreeSampled) and seen and not list(run.all(ev.Signalled)) and not sent:
            sent.append(seen[0].pid)
            run.session.send(Dump(seen[0].pid))
            run.session.send(Kill(seen[0].pid, seen[0].start_ticks, signal.SIGKILL))

    sent: list[int] = []
    run.play(react)
    (answer,) = run.all(ev.Signalled)
    assert answer == ev.Signalled(pid=sent[0], signal="SIGKILL", seq=answer.seq, at=answer.at)
    assert run.state.finished is not None
    assert run.state.finished.outcome == "failed"
    assert run.state.finished.what


@pytest.mark.slow
def test_a_server_that_refuses_to_end_a_session_leaves_the_hang_to_be_fixed(
    home: Path, new_database: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(home, new_database(), "db-locked", cvs=20)

    def refuse(*_: object) -> None:
        monkeypatch.undo()
        monkeypatch.setenv("CVDEBUG_HOME", str(home))
        raise DatabaseError("the server refuses", hint="Ask its owner")

    monkeypatch.setattr(Backing, "end_session", refuse)

    def react(event: ev.Event) -> None:
        if isinstance(event, ev.Held | ev.FixRefused):
            run.session.send(Fix(Strategy.UNBLOCK, yes=True))

    run.play(react)
    (refused,) = run.all(ev.FixRefused)
    assert (refused.reason, refused.proposed) == ("the server refuses. Ask its owner", False)
    assert len(list(run.all(ev.Held))) == len(list(run.all(ev.FixStarted))) == 1
    assert run.state.status == "completed"


@pytest.mark.slow
def test_a_fixed_run_that_hangs_again_is_fixed_again(home: Path, new_database: Callable[[], str]) -> None:
    """First the fork deadlock; then somebody's open transaction, which only a yes may end."""
    run = Run(home, new_database(), "db-locked", parallelism="on")
    wishes = iter((Fix(Strategy.SERIAL), Propose(), Fix(Strategy.SERIAL)))

    def react(event: ev.Event) -> None:
        if isinstance(event, ev.Held):
            run.session.send(next(wishes))
        elif isinstance(event, ev.FixRefused):
            run.session.send(next(wishes) if event.proposed else Fix(Strategy.UNBLOCK, yes=True))

    run.play(react)
    assert [event.strategy for event in run.all(ev.FixStarted)] == [Strategy.SERIAL, Strategy.UNBLOCK]
    proposal, refusal = run.all(ev.FixRefused)
    assert (proposal.strategy, proposal.needs_consent) == (Strategy.UNBLOCK, True)
    assert (refusal.strategy, refusal.needs_consent) == (Strategy.SERIAL, False)
    assert sum(sample.key for sample in run.all(ev.TreeSampled)) == 2
    sessions = [each for said in run.all(ev.DatabaseSampled) for each in said.sessions]
    assert any(session.blockers and session.lock for session in sessions)
    assert "cvdebug-observer" not in {session.application for session in sessions}
    assert run.state.status == "completed"


def test_cancel_is_heard_while_a_price_is_measured(home: Path, new_database: Callable[[], str]) -> None:
    run = Run(home, new_database(), parallelism="on")
    times: list[float] = []

    def react(event: ev.Event) -> None:
        if isinstance(event, ev.Held):
            run.session.send(Propose(measure=Strategy.SERIAL))
        if isinstance(event, ev.FixPlanned) and event.strategy is Strategy.THREAD:
            times.append(time.monotonic())
            run.session.send(Cancel())

    run.play(react)
    assert time.monotonic() - times[0] < 1.5
    assert run.state.finished is not None
    assert run.state.finished.exit_code == 3
