"""Pipes, threads and event loops: each hang gets its name, and what only looks like one gets none."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from cvdebug.core.diagnose.investigate import Options, investigate
from cvdebug.core.diagnose.judge import is_hang
from cvdebug.core.model import Certainty

from tests.classes import judged
from tests.programs import running

PROVEN, LIKELY = Certainty.PROVEN, Certainty.LIKELY
Variant = tuple[str, str, str, Certainty]

FIRST: tuple[Variant, ...] = (
    ("pipe-full-cycle", "pipes.py", "full-shell", PROVEN),
    ("queue-join-before-drain", "pipes.py", "queue-nested", PROVEN),
    ("pipe-never-eof", "pipes.py", "eof-own", PROVEN),
    ("thread-lock-cycle", "threads.py", "locks-three", PROVEN),
    ("executor-self-wait", "threads.py", "executor-map", PROVEN),
    ("exit-join-waits-thread", "threads.py", "exit-queue", PROVEN),
    ("asyncio-await-never", "threads.py", "await-queue", PROVEN),
    ("event-loop-blocked", "threads.py", "loop-client", PROVEN),
    ("http-pool-exhausted", "http_pool.py", "plain", PROVEN),
)
OTHERS: tuple[Variant, ...] = (
    ("pipe-full-cycle", "hangs.py", "pipe-full-cycle", PROVEN),
    ("pipe-full-cycle", "pipes.py", "full-stderr", PROVEN),
    ("pipe-full-cycle", "pipes.py", "full-both", PROVEN),
    ("pipe-full-cycle", "pipes.py", "full-connection", PROVEN),
    ("pipe-full-cycle", "pipes.py", "full-monitored", LIKELY),
    ("pipe-full-cycle", "pipes.py", "full-asked-to-end", LIKELY),
    ("queue-join-before-drain", "hangs.py", "queue-join-before-drain", PROVEN),
    ("queue-join-before-drain", "pipes.py", "queue-spawned", PROVEN),
    ("queue-join-before-drain", "pipes.py", "queue-monitored", LIKELY),
    ("pipe-never-eof", "hangs.py", "pipe-never-eof", PROVEN),
    ("pipe-never-eof", "pipes.py", "eof-parent", PROVEN),
    ("pipe-never-eof", "pipes.py", "eof-leftover", LIKELY),
    ("pipe-never-eof", "pipes.py", "eof-leftover-both", LIKELY),
    ("pipe-never-eof", "pipes.py", "eof-leaked", LIKELY),
    ("pipe-never-eof", "pipes.py", "eof-helper", LIKELY),
    ("thread-lock-cycle", "hangs.py", "thread-lock-cycle", PROVEN),
    ("thread-lock-cycle", "threads.py", "locks-reentrant", PROVEN),
    ("thread-lock-cycle", "threads.py", "locks-semaphore", PROVEN),
    ("thread-lock-cycle", "threads.py", "locks-twice", PROVEN),
    ("thread-lock-cycle", "threads.py", "locks-join", PROVEN),
    ("thread-lock-cycle", "threads.py", "locks-monitored", LIKELY),
    ("thread-lock-cycle", "threads.py", "locks-below-main", LIKELY),
    ("thread-lock-cycle", "threads.py", "locks-asked-to-end", LIKELY),
    ("thread-lock-cycle", "threads.py", "locks-twice-forked", PROVEN),
    ("executor-self-wait", "hangs.py", "executor-self-wait", PROVEN),
    ("executor-self-wait", "threads.py", "executor-crossed", PROVEN),
    ("executor-self-wait", "threads.py", "executor-thread-pool", PROVEN),
    ("executor-self-wait", "threads.py", "executor-monitored", LIKELY),
    ("exit-join-waits-thread", "hangs.py", "exit-join", PROVEN),
    ("exit-join-waits-thread", "threads.py", "exit-pool", PROVEN),
    ("exit-join-waits-thread", "threads.py", "exit-child", PROVEN),
    ("asyncio-await-never", "hangs.py", "asyncio-await-never", PROVEN),
    ("asyncio-await-never", "threads.py", "await-forever", PROVEN),
    ("asyncio-await-never", "threads.py", "await-in-thread", PROVEN),
    ("asyncio-await-never", "threads.py", "await-monitored", LIKELY),
    ("event-loop-blocked", "hangs.py", "event-loop-blocked", PROVEN),
    ("event-loop-blocked", "threads.py", "loop-queue", PROVEN),
    ("event-loop-blocked", "threads.py", "loop-result", PROVEN),
    ("event-loop-blocked", "threads.py", "loop-monitored", LIKELY),
    ("http-pool-exhausted", "http_pool.py", "threads", PROVEN),
    ("http-pool-exhausted", "http_pool.py", "monitored", LIKELY),
    ("lock-held-across-fork", "circles.py", "forked", LIKELY),
    ("deadlock", "circles.py", "sockets", PROVEN),
    ("deadlock", "circles.py", "shared-locks", PROVEN),
    ("deadlock", "circles.py", "conditions", PROVEN),
    ("deadlock", "circles.py", "queues", PROVEN),
    ("deadlock", "hangs.py", "socket-pair", PROVEN),
)
FINE = (
    "holder-timer",
    "joins-heartbeat",
    "tasks-wait-for-other-pool",
    "tasks-wait-for-setter",
    "tasks-wait-for-loop",
    "slow-reader",
    "slow-queue-reader",
    "slow-producer",
    "slow-command",
    "slow-spawned-producer",
    "slow-printer",
    "slow-leftover",
    "handler-releases",
    "shell-pipeline",
    "command-waits-for-us",
    "loop-beside-main",
    "loop-timer",
    "loop-awaits-worker",
    "loop-server",
    "exit-worker-polls",
    "idle-pool",
)


def rarely(values: Iterable[Variant]) -> list[object]:
    return [pytest.param(*value, marks=pytest.mark.slow) for value in values]


@pytest.mark.parametrize(("slug", "file", "mode", "certainty"), [*FIRST, *rarely(OTHERS)])
def test_the_hang_is_named(slug: str, file: str, mode: str, certainty: Certainty) -> None:
    with running(file, mode) as program:
        verdict = judged(program, slug, certainty)
        assert verdict.evidence
        assert all(str(culprit.pid) in "\n".join(verdict.evidence) for culprit in verdict.culprits)


@pytest.mark.parametrize(
    "mode", ["holder-sleeps", "slow-daemon", *(pytest.param(mode, marks=pytest.mark.slow) for mode in FINE)]
)
def test_what_still_comes_is_no_hang(mode: str) -> None:
    with running("threads_fine.py", mode) as program:
        for window_s in (0.05, 0.05, 0.3):
            verdicts = investigate(program.pid, Options(window_s=window_s)).verdicts
            assert verdicts
            assert not any(is_hang(verdict) for verdict in verdicts), verdicts


@pytest.mark.slow
@pytest.mark.parametrize(("file", "mode"), [("threads.py", "locks-beside-server"), ("circles.py", "itself")])
def test_what_may_be_a_circle_is_not_called_idle(file: str, mode: str) -> None:
    with running(file, mode) as program:
        found = judged(program, "undecided", Certainty.UNDECIDED)
        assert found.evidence


def test_a_circle_without_a_name_says_who_waits_where() -> None:
    with running("circles.py", "messages") as program:
        verdict = judged(program, "deadlock", PROVEN)
        assert {culprit.pid for culprit in verdict.culprits} == {program.pid, *program.workers}
        text = "\n".join(verdict.evidence)
        assert f"whose write end is held by PIDs {program.pid}, {program.workers[0]}" in text
        assert "os.read(ask[0], 1)" in text
        assert "called by <module> (circles.py:" in text
