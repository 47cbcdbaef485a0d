"""Threads and processes vanish at any moment, between any two looks: no rule may raise because of it."""

from __future__ import annotations

import random

import msgspec
import pytest
from cvdebug.core.diagnose.case import Case
from cvdebug.core.diagnose.closure import close
from cvdebug.core.diagnose.investigate import Finding, investigate
from cvdebug.core.diagnose.judge import judge
from cvdebug.core.diagnose.outline import outline
from cvdebug.core.diagnose.picture import picture
from cvdebug.core.model import TreeSnapshot

from tests.programs import running

PROGRAMS = ("hangs.py executor-self-wait", "hangs.py task-lost", "circles.py sockets", "pipes.py queue-nested")
ROUNDS = 120


@pytest.mark.parametrize(
    "line", [PROGRAMS[1], *(pytest.param(line, marks=pytest.mark.slow) for line in PROGRAMS if line != PROGRAMS[1])]
)
def test_a_look_with_holes_is_judged_and_shown(line: str) -> None:
    name, *arguments = line.split()
    with running(name, *arguments) as program:
        case = investigate(program.pid).case
    for seed in range(ROUNDS):
        thinned = with_holes(case, random.Random(seed))
        verdicts = judge(thinned) if thinned.processes else ()
        assert list(outline(picture(Finding(case=thinned, verdicts=verdicts, taken_s=0.0)))) or not thinned.processes


def with_holes(case: Case, dice: random.Random) -> Case:
    """The case as it would be if some had come between the looks, or gone."""
    part = dice.choice([0.1, 0.3, 0.6])
    first, second = _thinned(case.first, part, dice), _thinned(case.second, part, dice)
    there = {thread.tid for process in first.processes for thread in process.threads}
    first = msgspec.structs.replace(first, waits={tid: wait for tid, wait in first.waits.items() if tid in there})
    stacks = {tid: stack for tid, stack in case.stacks.items() if dice.random() > part}
    return msgspec.structs.replace(case, first=first, second=second, closure=close(first, second), stacks=stacks)


def _thinned(look: TreeSnapshot, part: float, dice: random.Random) -> TreeSnapshot:
    left = [process for process in look.processes if dice.random() > part]
    processes = [
        msgspec.structs.replace(process, threads=tuple(t for t in process.threads if dice.random() > part))
        for process in left
    ]
    return msgspec.structs.replace(look, processes=tuple(processes))
