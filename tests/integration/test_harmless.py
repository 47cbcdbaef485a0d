"""Looking changes nothing: a blocked write loses no byte, and the dead do not even wake."""

from __future__ import annotations

import os
from contextlib import suppress

import pytest
from cvdebug.core.diagnose.inspector import Inspector
from cvdebug.core.diagnose.investigate import Options, investigate
from cvdebug.core.observe import proc, stacks

from tests.programs import running, until

SIZE = 800_000
LOOKS = 50
SHORT = Options(window_s=0.01)


def is_writing(pid: int) -> bool:
    """Whether a process is blocked in a write."""
    process = proc.snapshot([pid]).get(pid)
    call = process.threads[0].syscall if process else None
    return call is not None and call[0] == {"x86_64": 1, "aarch64": 64}[proc.MACHINE]


@pytest.mark.timeout(120)
def test_a_blocked_write_delivers_every_byte_after_fifty_looks() -> None:
    with running("writer.py", "reads") as program:
        child = program.workers[0]
        until(lambda: is_writing(child))
        inspector = Inspector()
        for _ in range(LOOKS):
            assert investigate(program.pid, SHORT, inspector=inspector).case.processes.keys() == {program.pid, child}
        program.input.close()
        assert program.output.readline().split() == [str(SIZE), str(SIZE)]


def test_so_does_one_that_is_proven_dead_and_looked_at_natively_on_request() -> None:
    with running("writer.py", "waits") as program:
        child, reader = program.workers
        until(lambda: is_writing(child))
        for _ in range(5):
            finding = investigate(program.pid, Options(window_s=0.01, native=True))
            assert child in finding.case.dead_processes
        with suppress(BlockingIOError), open(f"/proc/{program.pid}/fd/{reader}", "rb", buffering=0) as pipe:
            assert sum(iter(lambda: len(os.read(pipe.fileno(), 1 << 16)), 0)) == SIZE


def test_the_dead_sleep_through_fifty_dumps() -> None:
    with running("rayon_fork.py", "process", "true", "2") as program:
        until(lambda: set(program.workers) <= set(investigate(program.pid, SHORT).case.dead_processes))
        before = {pid: process.threads for pid, process in proc.snapshot(program.workers).items()}
        for number in range(LOOKS):
            assert stacks.dump(program.workers[number % 2], native=False)
        assert {pid: process.threads for pid, process in proc.snapshot(program.workers).items()} == before
