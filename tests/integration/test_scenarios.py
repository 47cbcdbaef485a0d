"""Every shipped scenario ends as its file says: the exit code, the verdict, the phase."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cvdebug.core import events as ev
from cvdebug.core import scenario
from cvdebug.core.scenario import Expectation

from .driver import Command, until
from .test_runs import SMALL

# Their hangs run in `make test`; the others have tests of their own there.
QUICK = ("log-lock", "queue-join", "shared-connection")


def ends() -> Iterator[object]:
    for name in scenario.names():
        for end in scenario.load(name).expect:
            quick = name in QUICK and not end.flags
            yield pytest.param(name, end, marks=() if quick else pytest.mark.slow, id=f"{name} {end.asked}")


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Command]:
    command = Command(tmp_path / "home")
    yield command
    assert until(lambda: not command.left(), 5.0)


def small(name: str, end: Expectation) -> tuple[str, ...]:
    """The flags that keep a run short, where its scenario does not say how large it is."""
    return () if "cvs" in scenario.load(name).settings or "--cvs" in end.flags else SMALL


@pytest.mark.parametrize(("name", "end"), ends())
def test_it_ends_as_it_says(command: Command, database: str, name: str, end: Expectation) -> None:
    arguments = ("run", name, "--dsn", database, *small(name, end), "--parallelism", end.parallelism)
    result = command.events(*arguments, *end.flags)
    assert result.code == end.exit_code, result
    if end.verdict:
        assert end.verdict in {verdict.slug for verdict in result.all(ev.VerdictReached)}
    if end.exit_code == 3:
        assert result.all(ev.Stuck)[-1].phase == end.phase
    elif end.phase and end.exit_code == 1:
        assert result.one(ev.Failed).phase == end.phase
