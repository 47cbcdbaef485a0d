"""Programs that are not hung are recognised as what they are, and no look at them says anything worse."""

from __future__ import annotations

import os
import re
import signal
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from cvdebug.core.diagnose.investigate import Finding, investigate
from cvdebug.core.model import Certainty

from tests.classes import judged, never_a_hang
from tests.programs import Program, running, until


def cases(first: str, *others: str) -> list[object]:
    """The first variant in each run, the others in the slow ones."""
    return [first, *(pytest.param(other, marks=pytest.mark.slow) for other in others)]


def recognised(program: str, variant: str, slug: str) -> Finding:
    with running(program, *variant.split()) as started:
        return never_a_hang(started, slug, looks=1)


def text_of(finding: Finding) -> str:
    return "\n".join(finding.verdicts[0].evidence)


@pytest.mark.parametrize(
    "variant",
    cases(
        "busy-fork",
        "busy-nested",
        "busy-pool monitor",
        "busy-executor",
        "busy-program helper",
        "busy-polled",
        "busy-asyncio",
    ),
)
def test_a_parent_that_waits_for_a_computing_child(variant: str) -> None:
    finding = recognised("working.py", variant, "busy-worker")
    assert {culprit.pid for culprit in finding.verdicts[0].culprits}.isdisjoint({finding.case.root})


@pytest.mark.parametrize("variant", cases("native-rayon", "native-blas monitor", "native-rayon helper"))
def test_native_threads_that_compute(variant: str) -> None:
    finding = recognised("working.py", variant, "busy-native-threads")
    assert all(culprit.tid not in finding.case.stacks for culprit in finding.verdicts[0].culprits)


@pytest.mark.parametrize("variant", cases("spin", "spin-code", "spin-thread", "spin-threads monitor"))
def test_python_that_computes_is_left_undecided(variant: str) -> None:
    finding = recognised("working.py", variant, "busy-not-proven")
    assert finding.verdicts[0].certainty is Certainty.UNDECIDED


@pytest.mark.parametrize(
    "variant",
    cases(
        "steps",
        "steps-code",
        "steps-thread",
        "steps-threads helper",
        "steps-fork",
        "steps-pool",
        "steps-queue",
        "steps-asyncio monitor",
    ),
)
def test_sleep_between_pieces_of_work(variant: str) -> None:
    recognised("working.py", variant, "sleeping-with-progress")


@pytest.mark.parametrize(
    "variant",
    cases(
        "timed-sleep",
        "timed-code",
        "timed-lock monitor",
        "timed-alarm",
        "timed-alarm helper",
        "timed-pool",
        "timed-queue",
        "timed-event helper",
        "timed-thread",
        "timed-child monitor",
        "timed-program",
        "timed-asyncio",
    ),
)
def test_one_wait_with_a_timer(variant: str) -> None:
    finding = recognised("working.py", variant, "timed-wait")
    if variant in ("timed-sleep", "timed-code", "timed-lock monitor", "timed-thread", "timed-child monitor"):
        assert re.search(r", for another (600|5[89]\d) s", text_of(finding))


@pytest.mark.parametrize(
    "variant", cases("lock-busy", "lock-sleeps monitor", "lock-steps", "lock-shared helper", "lock-shared-busy")
)
def test_a_lock_whose_holder_goes_on(variant: str) -> None:
    recognised("working.py", variant, "lock-wait-holder-running")


@pytest.mark.parametrize(
    "variant",
    cases(
        "signal-pause",
        "signal-sigwait monitor",
        "signal-timed",
        "signal-event helper",
        "signal-event monitor",
        "signal-loop",
    ),
)
def test_a_wait_for_a_signal(variant: str) -> None:
    recognised("working.py", variant, "waiting-for-signal")


@pytest.mark.parametrize(
    "variant",
    cases(
        "accept",
        "accept-timeout",
        "http",
        "asyncio monitor",
        "asyncio-heartbeat",
        "pool",
        "executors monitor",
        "manager",
        "manager-alone",
        "log-listener",
        "consumer",
        "consumer monitor",
        "child",
        "prefork-select",
        "prefork-wait",
        "prefork-pause",
        "prompt",
        "own-prompt",
        "filter",
        "filter-code",
        "input",
        "commands",
        "protocol monitor",
        "protocol-thread",
    ),
)
def test_nobody_gives_it_work(variant: str) -> None:
    recognised("idle.py", variant, "idle-waiting-for-work")


@pytest.mark.parametrize("variant", cases("one-client", "http", "plain-http", "asyncio"))
def test_a_client_that_says_nothing(variant: str) -> None:
    with running("idle.py", variant) as program, socket.create_connection(("127.0.0.1", program.workers[0])):
        finding = never_a_hang(program, "idle-waiting-for-work", looks=2)
        if variant in ("one-client", "plain-http"):
            assert "waits for the next request of a client" in text_of(finding)


@pytest.mark.slow
def test_a_client_that_was_answered() -> None:
    with running("idle.py", "one-client") as program:
        with socket.create_connection(("127.0.0.1", program.workers[0])) as client:
            client.sendall(b"request")
            assert client.recv(100) == b"request"
            finding = never_a_hang(program, "idle-waiting-for-work", looks=2)
        assert "waits for the next request of a client" in text_of(finding)


@pytest.mark.slow
def test_a_consumer_of_a_message_queue(tmp_path: Path) -> None:
    path = str(tmp_path / "queue.sock")
    with running("idle.py", "broker", path) as broker, running("idle.py", "message-queue", path) as program:
        never_a_hang(program, "idle-waiting-for-work")
        never_a_hang(broker, "idle-waiting-for-work")


@pytest.mark.slow
def test_a_daemon_that_left_the_session() -> None:
    with running("idle.py", "daemon") as program, ended(program.workers[0]):
        never_a_hang(program, "idle-waiting-for-work", looks=2)


@contextmanager
def ended(pid: int) -> Iterator[None]:
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.parametrize(
    "variant",
    [
        "pipeline",
        "communicate",
        "at-exit",
        "thread-at-exit",
        "loop-executor",
        "pool-spawn",
        "pool-forkserver",
        "queue",
        "log-listener",
        "condition",
    ],
)
def test_slow_and_silent_programs(variant: str) -> None:
    with running("lookalikes.py", variant) as program:
        never_a_hang(program, "sleeping-with-progress")


@pytest.mark.slow
def test_tests_that_run_in_parallel(tmp_path: Path) -> None:
    with running("lookalikes.py", "xdist", str(tmp_path)) as program:
        until(lambda: len(investigate(program.pid).case.processes) == 3)
        never_a_hang(program, "sleeping-with-progress")


@pytest.mark.slow
def test_a_lock_of_a_manager_is_no_hang() -> None:
    with running("lookalikes.py", "managed-lock") as program:
        for _ in range(5):
            finding = investigate(program.pid)
            assert finding.verdicts[0].certainty in (Certainty.NOT_HUNG, Certainty.UNDECIDED), finding.verdicts


@pytest.mark.parametrize("variant", cases("pipe", "semaphore", "thread"))
def test_a_native_call_that_keeps_the_gil(variant: str) -> None:
    with running("gil.py", variant) as program:
        verdict = judged(program, "gil-held-by-native-call", Certainty.LIKELY)
        (culprit,) = verdict.culprits
        assert (culprit.tid == program.pid) is (variant != "thread")
        assert "owns the GIL and sleeps" in "\n".join(verdict.evidence)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["reset", "closed"])
def test_a_client_that_went_away_ends_the_server_and_is_no_hang(mode: str) -> None:
    with running("idle.py", "one-client") as program:
        client = socket.create_connection(("127.0.0.1", program.workers[0]))
        never_a_hang(program, "idle-waiting-for-work", looks=1)
        if mode == "reset":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        until(lambda: is_over(program))


def is_over(program: Program) -> bool:
    finding = investigate(program.pid)
    assert all(verdict.certainty is not Certainty.PROVEN for verdict in finding.verdicts)
    return not finding.case.processes


@pytest.mark.parametrize(
    ("variant", "slug"),
    [
        ("launcher-event", "waiting-for-signal"),
        *(
            pytest.param(*pair, marks=pytest.mark.slow)
            for pair in (
                ("launcher-worker", "waiting-for-signal"),
                ("launcher-threads", "waiting-for-signal"),
                ("launcher-loop", "undecided"),
                ("kept-holder", "timed-wait"),
                ("kept-loop", "timed-wait"),
                ("winch-event", "waiting-for-signal"),
                ("winch-loop", "waiting-for-signal"),
                ("gil-command", "timed-wait"),
                ("gil-pipe", "timed-wait"),
                ("nap-thread", "timed-wait"),
                ("nap-process", "timed-wait"),
                ("told-helper", "timed-wait"),
            )
        ),
    ],
)
def test_what_can_end_a_wait_is_not_left_out(variant: str, slug: str) -> None:
    recognised("ends.py", variant, slug)
