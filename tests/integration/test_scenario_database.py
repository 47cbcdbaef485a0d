"""The scenarios of the database: a load behind a forgotten transaction, and an index that takes its time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cvdebug.core import events as ev
from cvdebug.core.model import Certainty, Phase, Strategy

from .driver import Command, Result, until

LOCKED = "db-lock-idle-in-transaction"


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Command]:
    command = Command(tmp_path / "home")
    yield command
    until(lambda: not command.left())


def locked(command: Command, database: str, *more: str) -> Result:
    return command.events("run", "db-locked", "--cvs", "20", "--dsn", database, *more)


def test_a_forgotten_transaction_is_named_within_two_seconds(command: Command, database: str) -> None:
    result = locked(command, database)
    assert result.code == 3, result
    verdict = result.one(ev.VerdictReached)
    assert (verdict.slug, verdict.certainty) == (LOCKED, Certainty.LIKELY)
    store = next(e for e in result.all(ev.PhaseStarted) if e.phase is Phase.STORE)
    assert verdict.at - store.at < 10  # 1.2 s measured, where nothing else is to do
    evidence = "\n".join(verdict.evidence)
    run = result.one(ev.RunStarted).run
    assert f"application cvdebug:{run}:report" in evidence
    assert "its client is PID" in evidence
    assert result.one(ev.Stuck).phase is Phase.STORE


@pytest.mark.slow
def test_the_session_is_ended_only_with_consent(command: Command, database: str) -> None:
    result = locked(command, database, "--fix")
    assert result.code == 3, result
    refused = result.one(ev.FixRefused)
    assert refused.strategy is Strategy.UNBLOCK
    assert "--yes" in refused.reason


@pytest.mark.slow
def test_with_consent_the_load_goes_on(command: Command, database: str) -> None:
    result = locked(command, database, "--fix", "--yes")
    assert result.code == 0, result
    assert result.one(ev.FixPlanned).strategy is Strategy.UNBLOCK
    assert len(result.all(ev.SubjectStarted)) == 1
    assert result.one(ev.Verified).rows == result.one(ev.FixPlanned).kept > 0


@pytest.mark.slow
def test_a_resume_finds_the_lock_free(command: Command, database: str) -> None:
    first = locked(command, database)
    assert first.code == 3, first
    again = command.events("resume", "--dsn", database)
    assert again.code == 0, again


def test_consent_alone_is_a_mistake(command: Command) -> None:
    result = command.run("run", "db-locked", "--yes")
    assert result.code == 2
    assert "--fix" in result.err


@pytest.mark.slow
def test_a_slow_index_is_reported_as_no_hang_with_progress_and_cause(command: Command, database: str) -> None:
    result = command.events("run", "slow-index", "--dsn", database)
    assert result.code == 0, result
    verdict = next(e for e in result.all(ev.VerdictReached) if e.slug == "slow-index-build")
    assert verdict.certainty == Certainty.NOT_HUNG
    assert not [e for e in result.all(ev.VerdictReached) if e.certainty != Certainty.NOT_HUNG]
    evidence = "\n".join(verdict.evidence)
    assert "pg_stat_progress_create_index" in evidence
    assert "1 MB of maintenance_work_mem" in evidence
    assert "The graph outgrows 1 MB" in evidence
    end = next(e for e in result.all(ev.PhaseFinished) if e.phase is Phase.INDEX)
    assert end.at - verdict.at >= 10
