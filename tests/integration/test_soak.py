"""No false alarm: healthy programs that look hung, looked at again and again. Not one thread of them is called dead.

`CVDEBUG_SOAK_LOOKS=10000 pytest -n 0 tests/integration/test_soak.py`, which is `make soak`, is the long form.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest
from cvdebug.core.diagnose.closure import close
from cvdebug.core.diagnose.investigate import investigate
from cvdebug.core.diagnose.judge import is_hang
from cvdebug.core.observe import proc, tree

from tests.freezer import freezer
from tests.programs import Program, running

LOOKS = int(os.environ.get("CVDEBUG_SOAK_LOOKS", "40"))
# One look in so many is a thorough one, with stacks and every rule.
THOROUGH = 20


def alarms(program: Program) -> list[str]:
    """The threads that one look calls dead."""
    first = tree.take(program.pid)
    assert len(first.processes) > 8
    dead = close(first, tree.retake(first)).dead_threads
    return [f"{thread.pid}/{thread.tid} {first.waits[thread.tid].text}: {thread.why}" for thread in dead]


def held_still(program: Program, number: int, freeze: Callable[[bool], None] | None) -> list[str]:
    """The same while the program is frozen, or its main process stopped: it looks blocked, and is not."""
    if freeze is not None and number % 2:
        freeze(True)
        found = alarms(program)
        freeze(False)
        return found
    os.kill(program.pid, signal.SIGSTOP)
    found = alarms(program)
    os.kill(program.pid, signal.SIGCONT)
    return found


def judged(program: Program) -> list[str]:
    """The hangs, proven or not, that a thorough look finds."""
    return [f"{verdict.slug} {verdict.evidence}" for verdict in investigate(program.pid).verdicts if is_hang(verdict)]


@pytest.mark.timeout(60 + LOOKS)
@pytest.mark.parametrize("mode", ["baton", pytest.param("storm", marks=pytest.mark.slow)])
def test_a_healthy_program_is_never_called_dead(mode: str) -> None:
    with running("healthy.py", mode) as program, freezer(proc.descendants(program.pid)) as freeze:
        for number in range(LOOKS // 2):
            assert (held_still(program, number // 10, freeze) if number % 10 == 9 else alarms(program)) == []
            assert number % THOROUGH or judged(program) == []
        program.input.close()
        assert int(program.output.readline()) > LOOKS // 20
