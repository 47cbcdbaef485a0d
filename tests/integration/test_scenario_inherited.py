"""The scenarios of what a fork inherits, and of a queue: real hangs, each named, each finished by every fix."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from multiprocessing import Pipe
from pathlib import Path

import pytest
import trustme
from cvdebug.core import events as ev
from cvdebug.core import scenario
from cvdebug.core.errors import UsageError, WorkerError
from cvdebug.core.model import Certainty, Phase, Strategy
from cvdebug.core.pipeline import queued
from cvdebug.core.settings import resolve

from .clusters import Cluster
from .driver import Command, Result, until
from .fronts import tls_front
from .test_runs import SMALL, assert_loaded

SURE = {"log-lock": Certainty.PROVEN, "queue-join": Certainty.PROVEN, "shared-connection": Certainty.CERTAIN}
# Those that embed everything before they hang.
WHOLE = ("log-lock", "queue-join")


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Command]:
    command = Command(tmp_path / "home")
    yield command
    assert until(lambda: not command.left(), 5.0)


def hang(command: Command, database: str, name: str, *more: str) -> Result:
    return command.events("run", name, "--dsn", database, *SMALL, *more)


def assert_named(name: str, result: Result) -> None:
    (end,) = [end for end in scenario.load(name).expect if not end.flags]
    verdict = result.one(ev.VerdictReached)
    assert (verdict.slug, verdict.certainty) == (end.verdict, SURE[name])
    workers = {event.pid for event in result.all(ev.WorkerStarted)}
    assert {culprit.pid for culprit in verdict.culprits} & workers
    assert result.all(ev.Stuck)[-1].phase == end.phase


@pytest.mark.slow
@pytest.mark.parametrize("name", SURE)
def test_it_is_the_only_verdict_nothing_is_stored_and_a_resume_finishes(
    command: Command, database: str, name: str
) -> None:
    result = hang(command, database, name)
    assert result.code == 3, result
    assert_named(name, result)
    assert not any(event.phase is Phase.STORE for event in result.all(ev.PhaseStarted))
    sure = {Certainty.PROVEN: "nothing can wake it", Certainty.CERTAIN: "the facts admit nothing else"}
    assert sure[SURE[name]] in result.one(ev.RunFinished).what
    again = command.events(*result.one(ev.RunFinished).next_command.split()[1:], "--dsn", database)
    assert_loaded(database, again)
    assert again.one(ev.Embedded).computed == (0 if name in WHOLE else again.one(ev.Verified).rows)


@pytest.mark.parametrize(
    ("name", "strategy"),
    [
        pytest.param(name, strategy, marks=() if (name, strategy) == ("queue-join", "serial") else pytest.mark.slow)
        for name in SURE
        for strategy in ("serial", "spawn", "forkserver", "thread")
    ],
)
def test_a_fix_does_without_the_fault_and_embeds_nothing_twice(
    command: Command, database: str, name: str, strategy: str
) -> None:
    result = hang(command, database, name, "--fix", "--fix-with", strategy)
    assert_named(name, result)
    assert_loaded(database, result)
    plan, rows = result.one(ev.FixPlanned), result.one(ev.Verified).rows
    embedded = result.all(ev.Embedded)[-1]
    assert (plan.kept, plan.to_embed) == (embedded.kept, embedded.computed)
    assert embedded.kept == (rows if name in WHOLE else 0)
    words = {"log-lock": "logged when it forks", "queue-join": "before it joins", "shared-connection": "no connection"}
    assert any(words[name] in step for step in plan.steps)


@pytest.mark.slow
def test_a_server_of_ones_own_shows_whose_turn_it_is_or_the_fault_is_refused(
    command: Command, cluster: Cluster
) -> None:
    cluster.sql("CREATE DATABASE scenario")
    cluster.sql("CREATE EXTENSION vector", "scenario")
    result = hang(command, cluster.dsn("scenario"), "shared-connection")
    assert result.code == 3, result
    assert_named("shared-connection", result)
    with tls_front(cluster.port, trustme.CA(), "127.0.0.1") as port:
        refused = hang(command, cluster.dsn("scenario", port=port), "shared-connection")
    assert refused.code == 1, refused
    assert "needs a server on this machine, without TLS" in refused.one(ev.Failed).what
    cluster.sql("DROP DATABASE scenario WITH (FORCE)")


@pytest.mark.slow
def test_the_workers_that_wait_for_the_log_can_be_ended_alone(command: Command, database: str) -> None:
    result = hang(command, database, "log-lock", "--fix", "--fix-with", "release")
    assert_loaded(database, result)
    assert result.one(ev.FixPlanned).strategy is Strategy.RELEASE
    assert len(result.all(ev.SubjectStarted)) == 1
    assert any("the subject counts" in log.text for log in result.all(ev.Log))


@pytest.mark.slow
def test_a_spawned_worker_fills_its_queue_as_well(command: Command, database: str) -> None:
    result = hang(command, database, "queue-join", "--start-method", "spawn")
    assert result.code == 3, result
    verdict = result.one(ev.VerdictReached)
    # Its semaphores have names, which a stranger could open: so nothing is proven.
    assert (verdict.slug, verdict.certainty) == ("queue-join-before-drain", Certainty.LIKELY)


@pytest.mark.slow
def test_a_joined_worker_that_is_killed_fails_the_run_and_every_vector_is_kept(command: Command, database: str) -> None:
    process = command.start("run", "queue-join", "--dsn", database, *SMALL, "--hold", "--json")
    assert process.stdout is not None
    stream = map(ev.decode, iter(process.stdout.readline, b""))
    workers = []
    for event in stream:
        if isinstance(event, ev.WorkerStarted):
            workers.append(event.pid)
        if isinstance(event, ev.Held):
            break
    os.kill(workers[0], signal.SIGKILL)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1, err
    finished = ev.decode(out.splitlines(keepends=True)[-1])
    assert isinstance(finished, ev.RunFinished)
    assert f"worker 1 (PID {workers[0]}) was ended by SIGKILL before its queue was read" in finished.what
    again = command.events("resume", "--dsn", database)
    assert_loaded(database, again)
    assert again.one(ev.Embedded).computed == 0


def test_a_worker_that_fails_says_so_to_whoever_listens() -> None:
    told, tell = Pipe(duplex=False)
    tell.send(3)
    tell.send(("no memory", "Try less"))
    heard: list[int] = []
    with pytest.raises(WorkerError, match=r"worker 7 failed: no memory\. Try less"):
        queued.hear({told: "worker 7"}, heard.append)
    assert heard == [3]


def test_a_thread_is_not_joined() -> None:
    with pytest.raises(UsageError, match=r"queue-join waits for a worker to end.*the subject itself"):
        resolve(flags={"start_method": "thread"}, environment={}, scenario={"fault": "queue-join"})
