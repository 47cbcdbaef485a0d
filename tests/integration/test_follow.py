"""Following real programs: those that hang are named at once, those that only look like it never are."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest
from cvdebug.core.diagnose.follow import Follower, Look
from cvdebug.core.diagnose.investigate import Options
from cvdebug.core.diagnose.judge import is_hang
from cvdebug.core.model import Certainty, Verdict
from cvdebug.core.observe import proc, stacks

from tests.freezer import freezer
from tests.programs import Program, running, until


def follow(program: Program, *, known_signals: frozenset[int] = frozenset()) -> Follower:
    roles = {pid: f"worker {number}" for number, pid in enumerate(program.workers, 1)}
    return Follower(program.pid, Options(roles=lambda pid: roles.get(pid, ""), known_signals=known_signals))


def look_until_dead(follower: Follower, program: Program, *, result_pending: bool | None = False) -> Look:
    def look() -> Look | None:
        seen = follower.look(result_pending=result_pending)
        return seen if set(program.workers) <= set(seen.dead) and seen.root_dead else None

    seen = until(look)
    assert seen is not None
    return seen


def hangs(look: Look) -> list[Verdict]:
    return [verdict for verdict in look.verdicts if is_hang(verdict)]


def only(look: Look) -> Verdict:
    (verdict,) = look.verdicts
    return verdict


def thorough(follower: Follower, number: int = 2) -> list[Look]:
    """Looks until so many of them were thorough."""
    looks = [follower.look()]

    def enough() -> bool:
        looks.append(follower.look())
        return len({id(look.finding) for look in looks}) > number

    until(enough)
    return looks


def kind(program: Program, pid: int) -> str:
    """What the main thread of a process waits for."""
    finding = thorough(follow(program), 1)[-1].finding
    assert finding is not None
    return finding.case.wait(pid).kind


def test_the_tokenizers_deadlock_is_proven_and_named() -> None:
    with running("rayon_fork.py", "process", "true", "2") as program:
        look = look_until_dead(follow(program), program)
        verdict = only(look)
        assert (verdict.slug, verdict.certainty) == ("rayon-fork-deadlock", Certainty.PROVEN)
        assert {culprit.pid for culprit in verdict.culprits} == set(program.workers)
        assert {culprit.role for culprit in verdict.culprits} == {"worker 1", "worker 2"}
        text = "\n".join(verdict.evidence)
        assert "op 0x89 (private, FUTEX_WAIT_BITSET), no timeout" in text
        assert "LockLatch" in text
        assert "rayon_fork.py:" in text
        assert "TOKENIZERS_PARALLELISM=true in the live environment" in text
        assert f"the parent, PID {program.pid}, has " in text
        assert " 0 of which never ran Python" not in text
        fix = verdict.fixes[0]
        assert fix.command == "kill -9 " + " ".join(map(str, sorted(program.workers)))
        subprocess.run(fix.command.split(), check=True)
        assert program.output.read() == "done\n"


def test_idle_workers_do_not_keep_a_tree_from_being_dead() -> None:
    with running("rayon_fork.py", "pool", "true", "3", "1") as program:
        follower = follow(program)
        look = look_until_dead(follower, program)
        assert len(only(look).culprits) == 1


def test_a_busy_program_is_never_called_hung() -> None:
    with running("busy.py") as program:
        follower = follow(program)
        looks = [follower.look() for _ in range(50)]
        program.input.close()
        assert int(program.output.readline()) > 10
        assert not any(look.dead or hangs(look) or look.root_dead for look in looks)


@pytest.mark.parametrize("value", ["unset", pytest.param("false", marks=pytest.mark.slow), "late"])
def test_a_program_that_completes_is_never_called_hung(value: str) -> None:
    with running("rayon_fork.py", "process", value, "2") as program:
        follower = follow(program)
        looks = []
        while proc.descendants(program.pid):
            looks.append(follower.look())
        assert program.output.read() == "done\n"
        assert not any(look.dead or hangs(look) or look.root_dead for look in looks)


def test_what_the_root_waits_for_decides_whether_ending_the_workers_is_offered() -> None:
    with running("rayon_fork.py", "fork", "true") as program:
        follower = follow(program)
        assert not any(
            "kill" in fix.command for fix in only(look_until_dead(follower, program, result_pending=True)).fixes
        )
        assert "kill -9" in only(follower.look(result_pending=False)).fixes[0].command


def test_a_handler_that_is_known_to_release_nothing_does_not_matter() -> None:
    known = frozenset({int(signal.SIGUSR1)})
    with running("waits.py", "faulthandler") as program:
        assert set(program.workers) <= set(look_until_dead(follow(program, known_signals=known), program).dead)
        assert not any(look.dead for look in thorough(follow(program)))


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("timed-lock", "futex"),
        ("sigterm", "futex"),
        pytest.param("sleep", "sleep", marks=pytest.mark.slow),
        pytest.param("sigalrm", "futex", marks=pytest.mark.slow),
        pytest.param("sigchld", "futex", marks=pytest.mark.slow),
        pytest.param("spin", "running", marks=pytest.mark.slow),
    ],
)
def test_what_only_looks_dead_is_not_called_so(mode: str, expected: str) -> None:
    with running("waits.py", mode) as program:
        (child,) = program.workers
        until(lambda: kind(program, child) == expected)
        for look in thorough(follow(program)):
            assert child in {process.pid for process in look.processes}
            assert (look.dead, hangs(look), look.root_dead) == ((), [], False)


def test_a_stopped_process_is_not_called_dead_until_it_goes_on() -> None:
    with running("waits.py", "lock") as program:
        (child,) = program.workers
        until(lambda: kind(program, child) == "futex")
        os.kill(child, signal.SIGSTOP)
        until(lambda: kind(program, child) == "stopped")
        follower = follow(program)
        assert not any(look.dead for look in thorough(follower))
        os.kill(child, signal.SIGCONT)
        assert child in look_until_dead(follower, program).dead


def test_a_frozen_process_is_not_called_dead_until_it_is_thawed() -> None:
    with running("waits.py", "lock") as program, freezer([program.pid, *program.workers]) as freeze:
        if freeze is None:
            pytest.skip("no cgroup can be made here")
        (child,) = program.workers
        until(lambda: kind(program, child) == "futex")
        freeze(True)
        follower = follow(program)
        assert not any(look.dead for look in thorough(follower))
        freeze(False)
        assert child in look_until_dead(follower, program).dead


def test_without_py_spy_the_verdict_is_a_deadlock_that_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stacks, "executable", lambda: "/nonexistent/py-spy")
    with running("rayon_fork.py", "fork", "true") as program:
        verdict = only(look_until_dead(follow(program), program))
        assert (verdict.slug, verdict.certainty) == ("deadlock", Certainty.PROVEN)
        assert any("its stack could not be read: py-spy cannot be started" in line for line in verdict.evidence)


def test_a_dead_process_is_dumped_once_and_forgotten_when_it_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    dumped: list[int] = []
    real = stacks.dump

    def counting(pid: int, *, native: bool, deadline_s: float = 5.0) -> list[object]:
        dumped.append(pid)
        return list(real(pid, native=native, deadline_s=deadline_s))

    monkeypatch.setattr(stacks, "dump", counting)
    with running("rayon_fork.py", "fork", "true", "2") as program:
        follower = follow(program)
        look_until_dead(follower, program)
        dumps = len(dumped)
        assert all(set(program.workers) <= set(look.dead) for look in thorough(follower))
        assert len(dumped) == dumps
        first, second = program.workers
        os.kill(first, signal.SIGKILL)

        def told() -> list[int]:
            return [culprit.pid for verdict in hangs(follower.look()) for culprit in verdict.culprits]

        until(lambda: told() == [second])


@pytest.mark.slow
def test_a_storm_of_workers_is_named_while_following() -> None:
    with running("pools.py", "storm", "--submit", "apply") as program:
        follower = follow(program)
        until(lambda: "pool-respawn-storm" in {verdict.slug for verdict in follower.look().verdicts})


def test_a_root_that_is_gone_is_an_empty_look() -> None:
    with running("waits.py", "sleep") as program:
        follower = follow(program)
        os.kill(program.pid, signal.SIGKILL)
        until(lambda: not proc.descendants(program.pid))
        look = follower.look()
        assert (look.processes, look.dead, look.verdicts, look.root_dead) == ((), (), (), False)
