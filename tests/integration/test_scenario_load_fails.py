"""The scenarios in which the load itself meets its end: a lost connection, and an index that cannot be built."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cvdebug.core import events as ev
from cvdebug.core import scenario as scenarios
from cvdebug.core.model import Phase

from .db_rows import TOKENS, ask, load_rows, make_rows, make_table
from .driver import Command, Result, until

OLD = "SELECT count(*), sum(token_count) FROM cvdebug.chunks"
INDEXES = "SELECT indexrelid::bigint, indisvalid FROM pg_index WHERE indrelid = 'cvdebug.chunks'::regclass ORDER BY 1"


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Command]:
    command = Command(tmp_path / "home")
    yield command
    assert until(lambda: not command.left(), 5.0)


def run_as_taught(command: Command, name: str, dsn: str, *more: str) -> Result:
    """Runs the scenario, and ends as its file says."""
    (expected,) = scenarios.load(name).expect
    result = command.events("run", name, "--cvs", "40", "--dsn", dsn, *more)
    assert result.code == expected.exit_code, result
    if expected.phase:
        assert result.one(ev.Failed).phase is Phase(expected.phase)
    return result


def test_a_lost_connection_is_tried_again_exactly_once(command: Command, database: str) -> None:
    make_table(database)
    load_rows(database, make_rows(10))
    result = run_as_taught(command, "connection-lost", database)
    retries = [log.text for log in result.all(ev.Log) if "tried again" in log.text]
    assert len(retries) == 1
    assert "terminat" in retries[0] or "closed the connection" in retries[0]
    stored = [event for event in result.all(ev.PhaseStarted) if event.phase is Phase.STORE]
    assert [event.detail for event in stored][-1].endswith("retry 1")
    verified = result.one(ev.Verified).rows
    assert ask(database, "SELECT count(*), count(DISTINCT id), max(id) + 1 FROM cvdebug.chunks") == [(verified,) * 3]
    assert not result.all(ev.VerdictReached)


def test_where_the_index_cannot_be_built_all_is_as_before(command: Command, database: str) -> None:
    make_table(database)
    load_rows(database, make_rows(30))
    before = ask(database, INDEXES)
    result = run_as_taught(command, "index-fails", database)
    failure = result.one(ev.Failed)
    assert "memory required" in failure.what
    assert "the table stays as it was" in failure.what
    assert "--maintenance-work-mem-mb" in failure.hint
    assert ask(database, OLD) == [(30, 30 * TOKENS)]
    assert ask(database, INDEXES) == before


@pytest.mark.slow
@pytest.mark.parametrize("mended", [("--lists", "1"), ("--maintenance-work-mem-mb", "400")])
def test_with_what_the_failure_advises_a_resume_completes(
    command: Command, database: str, mended: tuple[str, str]
) -> None:
    result = run_as_taught(command, "index-fails", database)
    again = command.events(*result.one(ev.RunFinished).next_command.split()[1:], "--dsn", database, *mended)
    assert again.code == 0, again
    assert again.one(ev.Embedded).computed == 0
