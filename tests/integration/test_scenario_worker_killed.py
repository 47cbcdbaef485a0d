"""The scenario worker-killed: a Pool loses a worker, the run hangs for real, and every fix finishes it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cvdebug.core import events as ev
from cvdebug.core.errors import UsageError
from cvdebug.core.model import Phase, Strategy
from cvdebug.core.settings import resolve

from .driver import Command, Result, until
from .test_runs import SMALL, assert_loaded

SCENARIO = ("run", "worker-killed", *SMALL)


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Command]:
    command = Command(tmp_path / "home")
    yield command
    assert until(lambda: not command.left(), 5.0)


def hang(command: Command, database: str, *more: str) -> Result:
    return command.events(*SCENARIO, "--dsn", database, *more)


def assert_named(result: Result) -> None:
    verdict = result.all(ev.VerdictReached)[-1]
    assert (verdict.slug, verdict.certainty) == ("pool-task-lost", "proven")
    assert result.all(ev.Stuck)[-1].phase is Phase.EMBED


@pytest.mark.slow
def test_the_loss_of_a_worker_is_proven_and_all_but_its_batch_is_kept(command: Command, database: str) -> None:
    result = hang(command, database)
    assert result.code == 3, result
    assert_named(result)
    assert not any(event.phase is Phase.STORE for event in result.all(ev.PhaseStarted))
    again = command.events(*result.one(ev.RunFinished).next_command.split()[1:], "--dsn", database)
    assert_loaded(database, again)
    embedded = again.one(ev.Embedded)
    assert 1 <= embedded.computed <= 4
    assert embedded.kept + embedded.computed == again.one(ev.Verified).rows


@pytest.mark.parametrize(
    "strategy",
    [Strategy.SERIAL, *(pytest.param(other, marks=pytest.mark.slow) for other in ("spawn", "forkserver", "thread"))],
)
def test_a_fix_completes_it_without_embedding_anything_twice(command: Command, database: str, strategy: str) -> None:
    result = hang(command, database, "--fix", "--fix-with", strategy)
    assert_named(result)
    assert_loaded(database, result)
    plan = result.one(ev.FixPlanned)
    embedded = result.one(ev.Embedded)
    assert (plan.kept, plan.to_embed) == (embedded.kept, embedded.computed)
    assert 1 <= embedded.computed <= 4
    assert embedded.kept + embedded.computed == result.one(ev.Verified).rows


@pytest.mark.slow
def test_a_spawned_worker_is_lost_as_well(command: Command, database: str) -> None:
    result = hang(command, database, "--start-method", "spawn", "--timeout", "30")
    assert result.code == 3, result
    assert result.all(ev.VerdictReached)[-1].slug == "pool-task-lost"


def test_a_thread_cannot_be_killed() -> None:
    with pytest.raises(UsageError, match="that is the subject itself"):
        resolve(flags={"start_method": "thread"}, environment={}, scenario={"fault": "kill-worker"})
