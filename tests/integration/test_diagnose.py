"""The verdict on real programs: those that hang are named, those that only look like it never are."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from cvdebug.core.diagnose.look import Look, Watcher
from cvdebug.core.diagnose.proof import Conditions, obstacle
from cvdebug.core.model import Certainty, Verdict
from cvdebug.core.observe import proc, stacks

from tests.programs import Program, running, until


def watch(program: Program, *, known_signals: frozenset[int] = frozenset()) -> Watcher:
    roles = {pid: f"worker {number}" for number, pid in enumerate(program.workers, 1)}
    return Watcher(program.pid, roles=lambda pid: roles.get(pid, ""), known_signals=known_signals)


def look_until_dead(watcher: Watcher, program: Program, *, result_pending: bool | None = False) -> Look:
    def look() -> Look | None:
        seen = watcher.look(result_pending=result_pending)
        return seen if set(program.workers) <= set(seen.dead) and seen.stuck else None

    seen = until(look)
    assert seen is not None
    return seen


def only(look: Look) -> Verdict:
    (verdict,) = look.verdicts
    return verdict


@pytest.mark.parametrize("kind", ["pool", "process", "fork"])
@pytest.mark.parametrize("value", ["true", "garbage"])
def test_the_tokenizers_deadlock_is_proven_and_named(kind: str, value: str) -> None:
    with running("rayon_fork.py", kind, value, "2") as program:
        look = look_until_dead(watch(program), program)
        verdict = only(look)
        assert (verdict.slug, verdict.certainty) == ("rayon-fork-deadlock", Certainty.PROVEN)
        assert {culprit.pid for culprit in verdict.culprits} == set(program.workers) == set(look.dead)
        assert {culprit.role for culprit in verdict.culprits} == {"worker 1", "worker 2"}
        text = "\n".join(verdict.evidence)
        assert "op 0x89 (private, FUTEX_WAIT_BITSET), no timeout" in text
        assert "LockLatch" in text
        assert "rayon_fork.py:" in text
        assert f"TOKENIZERS_PARALLELISM={value} in the live environment" in text
        assert f"the parent, PID {program.pid}, has " in text
        assert " 0 of which never ran Python" not in text
        kill = "kill -9 " + " ".join(map(str, sorted(program.workers)))
        assert verdict.fixes[0].command == kill


def test_idle_workers_do_not_keep_a_tree_from_being_stuck() -> None:
    with running("rayon_fork.py", "pool", "true", "3", "1") as program:
        watcher = watch(program)
        until(lambda: (look := watcher.look()).stuck and len(look.dead) == 1)


def test_the_first_fix_lets_the_parent_go_on() -> None:
    with running("rayon_fork.py", "process", "true", "2") as program:
        fix = only(look_until_dead(watch(program), program)).fixes[0]
        subprocess.run(fix.command.split(), check=True)
        assert program.output.read() == "done\n"


def test_a_busy_program_is_never_called_dead() -> None:
    with running("busy.py") as program:
        watcher = watch(program)
        looks = [watcher.look() for _ in range(100)]
        program.input.close()
        assert int(program.output.readline()) > 10
        assert not any(look.dead or look.verdicts or look.stuck for look in looks)


@pytest.mark.parametrize("result_pending", [True, None])
def test_ending_the_workers_is_not_offered_while_a_result_is_pending(result_pending: bool | None) -> None:
    with running("rayon_fork.py", "fork", "true") as program:
        verdict = only(look_until_dead(watch(program), program, result_pending=result_pending))
        assert not any("kill" in fix.command for fix in verdict.fixes)
        assert "TOKENIZERS_PARALLELISM=false" in verdict.fixes[0].command


@pytest.mark.parametrize("value", ["unset", "false", "Off", "0", "late"])
def test_a_program_that_completes_is_never_called_dead(value: str) -> None:
    with running("rayon_fork.py", "process", value, "2") as program:
        watcher = watch(program)
        looks = []
        while proc.descendants(program.pid):
            looks.append(watcher.look())
        assert program.output.read() == "done\n"
        assert not any(look.dead or look.verdicts or look.stuck for look in looks)


@pytest.mark.parametrize("kind", ["process", "fork"])
@pytest.mark.parametrize("thread", ["held", "ended"])
def test_a_lock_held_across_a_fork_is_proven_and_named(kind: str, thread: str) -> None:
    with running("lock_fork.py", kind, thread) as program:
        verdict = only(look_until_dead(watch(program), program))
        assert (verdict.slug, verdict.certainty) == ("lock-held-across-fork", Certainty.PROVEN)
        text = "\n".join(verdict.evidence)
        assert "op 0x189" in text
        assert "PyThread_acquire_lock_timed" in text or "0x" in text
        assert "take at " in text
        assert ": with lock:" in text


@pytest.mark.parametrize("mode", ["queue", "event"])
def test_a_dead_wait_without_a_name_is_a_deadlock(mode: str) -> None:
    """Nobody is left to put the item or set the event; no lock was held across the fork."""
    with running("waits.py", mode) as program:
        assert only(look_until_dead(watch(program), program)).slug == "deadlock"


def test_a_handler_that_is_known_to_release_nothing_does_not_matter() -> None:
    known = frozenset({int(signal.SIGUSR1)})
    with running("waits.py", "faulthandler") as program:
        assert look_until_dead(watch(program, known_signals=known), program).dead == program.workers
        assert watch(program).look().dead == ()


@pytest.mark.parametrize(
    ("mode", "why"),
    [
        ("read", "not on a futex"),
        ("poll", "not on a futex"),
        ("sleep", "not on a futex"),
        ("timed-lock", "has a timeout"),
        ("sigterm", "handler for signal 15"),
        ("sigalrm", "handler for signal 14"),
        ("sigchld", "handler for signal 17"),
        ("two-threads", "2 threads"),
        ("spin", "it runs"),
    ],
)
def test_what_only_looks_dead_is_not_called_so(mode: str, why: str) -> None:
    with running("waits.py", mode) as program:
        (child,) = program.workers
        until(lambda: why in _obstacle(child, has_children=mode == "sigchld"))
        watcher = watch(program)
        for _ in range(4):
            look = watcher.look()
            assert child in {process.pid for process in look.processes}
            assert (look.dead, look.verdicts, look.stuck) == ((), (), False)


def test_a_stopped_process_is_not_called_dead_until_it_goes_on() -> None:
    with running("waits.py", "lock") as program:
        (child,) = program.workers
        until(lambda: not _obstacle(child))
        os.kill(child, signal.SIGSTOP)
        until(lambda: "stopped" in _obstacle(child))
        watcher = watch(program)
        assert watcher.look().dead == watcher.look().dead == ()
        os.kill(child, signal.SIGCONT)
        assert look_until_dead(watcher, program).dead == (child,)


@pytest.fixture(params=[("freezer", "freezer.state", "FROZEN", "THAWED"), ("unified", "cgroup.freeze", "1", "0")])
def freezer(request: pytest.FixtureRequest) -> Iterator[tuple[Path, Path, str, str]]:
    """An empty cgroup that can be frozen, of version 1 and of version 2: folder, file, words for on and off."""
    mount, file, on, off = request.param
    version, kind = ("cgroup", "freezer") if mount == "freezer" else ("cgroup2", "cgroup2")
    point = next((p for k, p in _cgroup_mounts() if k[0] == version and (kind in k[1] or version == "cgroup2")), None)
    if point is None:
        pytest.skip(f"no {kind} is mounted here")
    folder = Path(point) / f"cvdebug-test-{os.getpid()}"
    try:
        folder.mkdir()
    except OSError as error:
        pytest.skip(f"no cgroup can be made here: {error.strerror}")
    try:
        yield folder, folder / file, on, off
    finally:
        with suppress(OSError):
            (folder / file).write_text(off)
        for line in (folder / "cgroup.procs").read_text().split():
            Path(point, "cgroup.procs").write_text(line)
        until(lambda: not (folder / "cgroup.procs").read_text())
        folder.rmdir()


def test_a_frozen_process_is_not_called_dead(freezer: tuple[Path, Path, str, str]) -> None:
    folder, file, on, off = freezer
    with running("waits.py", "lock") as program:
        (child,) = program.workers
        until(lambda: not _obstacle(child))
        (folder / "cgroup.procs").write_text(str(child))
        file.write_text(on)
        until(lambda: proc.frozen(child))
        watcher = watch(program)
        assert watcher.look().dead == watcher.look().dead == ()
        file.write_text(off)
        assert look_until_dead(watcher, program).dead == (child,)


def test_without_py_spy_the_verdict_is_a_deadlock_that_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stacks, "executable", lambda: "/nonexistent/py-spy")
    with running("rayon_fork.py", "fork", "true") as program:
        verdict = only(look_until_dead(watch(program), program))
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
        watcher = watch(program)
        look_until_dead(watcher, program)
        for _ in range(3):
            assert set(watcher.look().dead) == set(program.workers)
        assert all(dumped.count(pid) == 1 for pid in program.workers)
        first, second = program.workers
        os.kill(first, signal.SIGKILL)
        until(lambda: watcher.look().dead == (second,))
        assert [culprit.pid for culprit in only(watcher.look()).culprits] == [second]


def test_a_root_that_is_gone_is_an_empty_look() -> None:
    with running("waits.py", "sleep") as program:
        watcher = watch(program)
        os.kill(program.pid, signal.SIGKILL)
        until(lambda: not proc.descendants(program.pid))
        look = watcher.look()
        assert (look.processes, look.dead, look.verdicts, look.stuck) == ((), (), (), False)


def test_the_verdict_comes_within_a_second_and_in_one_look() -> None:
    with running("rayon_fork.py", "pool", "true", "4") as program:
        until(lambda: all(not _obstacle(pid) for pid in program.workers))
        started_s = time.monotonic()
        look = watch(program).look(result_pending=True)
        assert only(look).slug == "rayon-fork-deadlock"
        assert set(look.dead) == set(program.workers)
        assert time.monotonic() - started_s < 1.0


def _obstacle(pid: int, *, has_children: bool = False) -> str:
    process = proc.snapshot([pid]).get(pid)
    return obstacle(process, Conditions(has_children=has_children)) if process else "it is gone"


def _cgroup_mounts() -> list[tuple[tuple[str, str], str]]:
    lines = [line.partition(" - ") for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return [((after.split()[0], after.split()[2]), before.split()[4]) for before, _, after in lines]
