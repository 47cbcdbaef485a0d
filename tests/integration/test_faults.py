"""faulthandler as the fallback: real forks and the real deadlock, asked for their stacks without py-spy."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
from cvdebug.core import events as ev
from cvdebug.core.diagnose.investigate import Options, investigate
from cvdebug.core.errors import ObserveError
from cvdebug.core.lastwords import SIGNAL, file_of
from cvdebug.core.model import Certainty, Stack
from cvdebug.core.observe import faults, proc, stacks

from tests.integration import driver
from tests.programs import running, until

T = TypeVar("T")
PROGRAM = "last_words.py"


def once_asleep(pid: int, ask: Callable[[], T]) -> T:
    """The answer as soon as every thread of the process waits."""

    def answers() -> list[T]:
        try:
            return [ask()]
        except ObserveError as error:
            if "is not asked" not in str(error):
                raise
            return []

    until(lambda: (process := proc.snapshot([pid]).get(pid)) and stacks.native_is_safe(process))
    return until(answers)[0]


def functions(found: list[Stack]) -> dict[int, list[str]]:
    return {stack.tid: [frame.function for frame in stack.frames] for stack in found}


def test_the_stack_of_the_real_deadlock_and_the_proof_that_stands(tmp_path: Path) -> None:
    with running(PROGRAM, str(tmp_path), str(os.getpid()), "rayon") as program:
        (worker,) = program.workers
        options = Options(known_signals=frozenset({int(SIGNAL)}))
        until(lambda: "rayon-fork-deadlock" in [v.slug for v in investigate(program.pid, options).verdicts])
        for _ in range(3):
            (stack,) = once_asleep(worker, lambda: faults.dump(worker, tmp_path, 5.0))
            assert stack.tid == worker
            assert [frame.function for frame in stack.frames] == ["stuck_in_rayon", "<module>"]
            assert stack.frames[0].file.endswith(PROGRAM)
            assert stack.frames[0].line > 0
        (parent,) = once_asleep(program.pid, lambda: faults.dump(program.pid, tmp_path, 5.0))  # its rayon threads too
        assert [frame.function for frame in parent.frames] == ["<module>"]
        again = investigate(program.pid, options)
        assert [v.slug for v in again.verdicts] == ["rayon-fork-deadlock"]
        assert again.verdicts[0].certainty is Certainty.PROVEN


def test_each_thread_answers_for_itself(tmp_path: Path) -> None:
    with running(PROGRAM, str(tmp_path), str(os.getpid()), "lock") as program:
        (worker,) = program.workers
        until(lambda: len(os.listdir(f"/proc/{worker}/task")) == 2)
        found = functions(once_asleep(worker, lambda: faults.dump(worker, tmp_path, 5.0)))
        assert found.pop(worker) == ["stuck_on_a_lock", "<module>"]
        ((_, others),) = found.items()
        assert others[0] == "beside"


def test_a_blocked_write_is_never_disturbed(tmp_path: Path) -> None:
    with running(PROGRAM, str(tmp_path), str(os.getpid()), "writer") as program:
        (worker,) = program.workers
        until(lambda: (call := proc.snapshot([worker])[worker].threads[0].syscall) and call[2:4] and call[3] == 800_000)
        with pytest.raises(ObserveError, match="not asked"):
            faults.dump(worker, tmp_path, 5.0)
        assert file_of(worker, tmp_path).read_bytes() == b""


def test_who_has_not_registered_is_not_signalled(tmp_path: Path) -> None:
    with running(PROGRAM, str(tmp_path), str(os.getpid()), "unregistered") as program:
        (worker,) = program.workers
        with pytest.raises(ObserveError, match="has not said"):
            faults.dump(worker, tmp_path, 5.0)
    with running("lock_fork.py", "fork", "held") as stranger, pytest.raises(ObserveError, match="has not said"):
        faults.dump(stranger.pid, tmp_path, 5.0)


WITHOUT_PY_SPY = """
import sysconfig
sysconfig.get_path = lambda *_: "/nowhere"
from cvdebug.tui.cli import main
main()
"""


def test_a_run_without_py_spy_names_the_deadlock_with_python_frames(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver, "COMMAND", (sys.executable, "-P", "-c", WITHOUT_PY_SPY))
    command = driver.Command(tmp_path / "home", PATH=os.devnull)
    result = command.events("run", "--cvs", "20", "--parallelism", "on", "--dsn", database)
    assert result.code == 3, result
    verdict = result.one(ev.VerdictReached)
    assert (verdict.slug, verdict.certainty) == ("deadlock", Certainty.PROVEN)
    assert [culprit.role for culprit in verdict.culprits] == ["worker 1", "worker 2"]
    assert any("count_tokens" in line and "encode_batch" in line for line in verdict.evidence)
    (read,) = {event.trouble for event in result.all(ev.StacksRead) if event.stacks}
    assert "no py-spy" in read
    driver.until(lambda: not command.left())


def test_a_process_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(ObserveError, match="ended"):
        faults.dump(2**22 + 1, tmp_path, 5.0)
