"""Pools that never answer, and locks whose owner is gone: each is named, and Pools that are well never are."""

from __future__ import annotations

import os

import pytest
from cvdebug.core.diagnose.investigate import investigate
from cvdebug.core.diagnose.judge import is_hang
from cvdebug.core.model import Certainty, Verdict
from cvdebug.core.observe import semaphores

from tests.classes import judged, never_a_hang
from tests.programs import running, until

SLOW = pytest.mark.slow
ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="a /dev/shm of its own takes root")


def slow(*values: object) -> object:
    return pytest.param(*values, marks=SLOW)


@pytest.mark.parametrize(
    "arguments",
    [
        "--submit map --end kill",
        slow("--submit apply --end exit --workers 1"),
        slow("--submit starmap --end segv --workers 3 --warm"),
        slow("--submit imap --end sysexit"),
        slow("--submit unordered --end kill --lives 2"),
        slow("--submit join --end kill"),
        slow("--submit map --thread"),
        slow("--submit apply --nested"),
    ],
)
def test_a_lost_task_is_proven(arguments: str) -> None:
    with running("pools.py", "lost", *arguments.split()) as program:
        verdict = judged(program, "pool-task-lost", Certainty.PROVEN)
        text = "\n".join(verdict.evidence)
        assert "waits for an answer of a Pool" in text
        assert "named Thread-1 (_handle_workers)" in text
        assert "reads the empty pipe of tasks" in text
        assert verdict.culprits[0].pid != program.pid


@SLOW
@pytest.mark.parametrize(
    ("arguments", "certainty"),
    [
        ("--monitor --submit imap", Certainty.CERTAIN),
        ("--monitor --thread", Certainty.CERTAIN),
        ("--method spawn", Certainty.CERTAIN),  # its semaphores have names, by which anybody could open them
        ("--method forkserver --submit map", Certainty.CERTAIN),
        ("--method spawn --workers 1", Certainty.PROVEN),
        ("--submit timed", Certainty.LIKELY),
    ],
)
def test_a_lost_task_beside_what_lives_is_no_less_lost(arguments: str, certainty: Certainty) -> None:
    with running("pools.py", "lost", *arguments.split()) as program:
        judged(program, "pool-task-lost", certainty)


@ROOT
@pytest.mark.parametrize(
    ("arguments", "certainty"),
    [
        ("", Certainty.PROVEN),
        slow("--submit imap --warm --workers 3", Certainty.PROVEN),
        slow("--method spawn --submit map --monitor", Certainty.CERTAIN),
    ],
)
def test_a_full_dev_shm_is_named(arguments: str, certainty: Certainty) -> None:
    with running("pools.py", "shm", *arguments.split()) as program:
        verdict = judged(program, "worker-died-shm-full", certainty)
        assert "/dev/shm has " in verdict.evidence[0]
        assert any("--shm-size" in fix.command for fix in verdict.fixes)


@pytest.mark.parametrize(
    "arguments",
    [
        "--submit map",
        slow("--submit imap --count 1000"),
        slow("--submit join --monitor --nested"),
        slow("--method spawn --thread"),
    ],
)
def test_a_dead_result_thread_is_certain(arguments: str) -> None:
    with running("pools.py", "result", *arguments.split()) as program:
        verdict = judged(program, "pool-result-thread-died", Certainty.CERTAIN)
        assert "and 0 in _handle_results" in "\n".join(verdict.evidence)


@pytest.mark.parametrize(
    "arguments",
    [
        "--submit apply",
        slow("--submit map --workers 4 --monitor"),
        slow("--nested"),
        slow("--method spawn --workers 1"),
    ],
)
def test_a_storm_of_workers_is_likely(arguments: str) -> None:
    with running("pools.py", "storm", *arguments.split()) as program:
        verdict = until(lambda: _first(program.pid, "pool-respawn-storm"))
        assert verdict is not None
        assert verdict.certainty is Certainty.LIKELY
        assert "children came and went" in "\n".join(verdict.evidence)


def _first(pid: int, slug: str) -> Verdict | None:
    """Storms are noisy: a look may catch the Pool's thread in a stack that cannot be read."""
    found = investigate(pid).verdicts[0]
    assert found.slug == slug or not is_hang(found), (found.slug, found.evidence)
    return found if found.slug == slug else None


@pytest.mark.parametrize(
    ("arguments", "certainty"),
    [
        ("lock", Certainty.PROVEN),
        slow("rlock --thread --waiters 3", Certainty.PROVEN),
        slow("left", Certainty.PROVEN),
        slow("queue", Certainty.PROVEN),
        slow("pool --waiters 3", Certainty.PROVEN),
        slow("rlock --monitor", Certainty.LIKELY),
        slow("lock --method spawn", Certainty.LIKELY),
    ],
)
def test_a_lock_whose_owner_died_is_named(arguments: str, certainty: Certainty) -> None:
    with running("semaphores.py", *arguments.split()) as program:
        verdict = judged(program, "semaphore-owner-dead", certainty)
        assert {culprit.pid for culprit in verdict.culprits} >= set(program.workers)
        assert "all count 0" in "\n".join(verdict.evidence)


@SLOW
@pytest.mark.parametrize("kind", ["held-by-parent", "full", "signalled", "unwritten"])
def test_a_semaphore_that_nobody_owned_or_somebody_owns_is_another_deadlock(kind: str) -> None:
    with running("semaphores.py", kind) as program:
        judged(program, "deadlock", Certainty.PROVEN)


@pytest.mark.parametrize("method", ["spawn", slow("forkserver")])
def test_a_deadlock_on_semaphores_with_names_is_likely(method: str) -> None:
    with running("semaphores.py", "signalled", "--waiters", "1", "--method", method) as program:
        verdict = judged(program, "deadlock", Certainty.LIKELY)
        assert {culprit.pid for culprit in verdict.culprits} == {program.pid, *program.workers}
        assert "not counted: anybody may map /dev/shm/sem.mp-" in "\n".join(verdict.evidence)


@SLOW
@pytest.mark.parametrize(("kind", "slug"), [("unset", "waiting-for-signal"), ("joined", "timed-wait")])
def test_waits_for_a_notification_between_processes_are_not_for_locks(kind: str, slug: str) -> None:
    with running("semaphores.py", kind) as program:
        never_a_hang(program, slug, looks=1)


@pytest.mark.parametrize(
    ("file", "mode"),
    [
        ("pools_fine.py", "busy"),
        slow("pools_fine.py", "bursts"),
        slow("pools_fine.py", "idle"),
        slow("pools_fine.py", "handled"),
        slow("pools_fine.py", "native"),
        slow("pools_fine.py", "slow-source"),
        slow("pools_fine.py", "churn"),
        slow("pools_fine.py", "commands"),
        slow("pools_fine.py", "two"),
        slow("semaphores.py", "held"),
        slow("semaphores.py", "idle"),
        slow("semaphores.py", "handed-on"),
    ],
)
def test_a_pool_or_lock_that_is_well_is_never_a_hang(file: str, mode: str) -> None:
    with running(file, mode) as program:
        for _ in range(4):
            verdicts = investigate(program.pid).verdicts
            assert verdicts, "the program ended"
            assert not any(is_hang(verdict) for verdict in verdicts), verdicts


def test_the_owner_of_a_lock_is_read_from_its_process() -> None:
    with running("semaphores.py", "held") as program:
        *waiters, owner = program.workers
        waits = until(lambda: _semaphore(program.pid, waiters[0]))
        assert waits is not None
        found = semaphores.read(waiters[0], *waits)
        assert found is not None
        assert found.is_lock
        assert found.taken == {pid: int(pid == owner) for pid in (program.pid, *program.workers)}


def _semaphore(root: int, waiter: int) -> tuple[int, tuple[int, ...]] | None:
    wait = investigate(root).case.wait(waiter)
    return (wait.address, wait.pids) if len(wait.pids) > 1 and wait.op == 0x109 else None
