"""Small programs that really hang, or only look like it. `running` starts one and leaves nothing of it behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, NamedTuple, TypeVar

_FOLDER = Path(__file__).parent
_T = TypeVar("_T")


class Program(NamedTuple):
    """A running program: its main process, the workers that it named, its input and the rest of its output."""

    pid: int
    workers: tuple[int, ...]
    input: IO[str]
    output: IO[str]


@contextmanager
def running(name: str, *arguments: str) -> Iterator[Program]:
    """Starts a program in a session of its own, waits for its `ready PID...`, and ends the session."""
    command = [sys.executable, str(_FOLDER / name), *arguments]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, start_new_session=True) as process:
        try:
            assert process.stdin
            assert process.stdout
            word, *pids = process.stdout.readline().split()
            assert word == "ready"
            yield Program(process.pid, tuple(map(int, pids)), process.stdin, process.stdout)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def until(ask: Callable[[], _T], *, deadline_s: float = 20.0) -> _T:
    """The first answer that is true. Fails after the deadline."""
    end_s = time.monotonic() + deadline_s
    while not (answer := ask()):
        assert time.monotonic() < end_s, "it did not happen in time"
        time.sleep(0.005)
    return answer
