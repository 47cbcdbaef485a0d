"""The session as another front end uses it: hold a hang, fix it on command, cancel from another thread."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from cvdebug.core import events as ev
from cvdebug.core import scenario as scenarios
from cvdebug.core.commands import Fix
from cvdebug.core.model import Phase, Strategy
from cvdebug.core.session import OnHang, Request, Session
from cvdebug.core.settings import resolve
from cvdebug.core.state import RunState, fold


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CVDEBUG_HOME", str(tmp_path))
    return tmp_path


def session(database: str, *, cvs: int, on_hang: OnHang, parallelism: str) -> Session:
    scenario = scenarios.load(scenarios.DEFAULT)
    flags = {"dsn": database, "cvs": cvs, "parallelism": parallelism}
    resolved = resolve(flags=flags, environment={}, scenario=scenario.settings)
    return Session(Request(scenario=scenario, resolved=resolved, on_hang=on_hang))


def test_a_held_hang_is_fixed_on_command(home: Path, database: str) -> None:
    run = session(database, cvs=24, on_hang="hold", parallelism="on")
    statuses: list[str] = []
    state = RunState()
    for event in run.events():
        state = fold(state, event)
        if not statuses or statuses[-1] != state.status:
            statuses.append(state.status)
        if isinstance(event, ev.Held):
            run.send(Fix(Strategy.FORKSERVER))
    assert statuses == ["starting", "running", "proven deadlock", "fixing", "completed"]
    assert state == run.state
    assert state.plan is not None
    assert state.plan.strategy is Strategy.FORKSERVER
    assert (state.vectors_kept, state.vectors_computed) == (state.phases[Phase.EMBED].total, 0)
    assert list((home / "runs").iterdir()) == []


def test_a_refused_fix_leaves_the_hang_held(home: Path, database: str) -> None:
    scenario = scenarios.load("tokenize-in-workers")
    flags = {"dsn": database, "cvs": 24, "parallelism": "on"}
    resolved = resolve(flags=flags, environment={}, scenario=scenario.settings)
    run = Session(Request(scenario=scenario, resolved=resolved, on_hang="hold"))
    refused = False
    for event in run.events():
        if isinstance(event, ev.Held):
            run.send(Fix(Strategy.RELEASE))
        if isinstance(event, ev.FixRefused):
            refused = True
            run.send(Fix(Strategy.SERIAL))
    assert refused
    assert run.state.status == "completed"


def test_cancel_from_another_thread_ends_the_run(home: Path, database: str) -> None:
    run = session(database, cvs=400, on_hang="end", parallelism="off")
    for event in run.events():
        if isinstance(event, ev.WorkerStarted):
            threading.Thread(target=run.cancel).start()
    assert run.state.finished is not None
    assert run.state.finished.exit_code == 130
    assert run.state.status == "failed"


def test_leaving_the_stream_early_leaves_nothing_behind(home: Path, database: str) -> None:
    run = session(database, cvs=400, on_hang="end", parallelism="off")
    stream = run.events()
    worker = next(event for event in stream if isinstance(event, ev.WorkerStarted))
    stream.close()  # type: ignore[attr-defined]
    assert not Path(f"/proc/{worker.pid}").exists()
