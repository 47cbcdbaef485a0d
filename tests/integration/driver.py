"""Drives the real command as a user would, and knows whether anything of it is left."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from cvdebug.core import events as ev

COMMAND = (sys.executable, "-P", "-c", "from cvdebug.tui.cli import main; main()")
DEADLINE_S = 120.0
MARK = "CVDEBUG_TEST_MARK"
T = TypeVar("T")


def until(condition: Callable[[], T], deadline_s: float = 30.0) -> T:
    """Waits until `condition` gives something true, and gives that."""
    deadline = time.monotonic() + deadline_s
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{condition} did not come true within {deadline_s} s"
        time.sleep(0.01)
    return value


class Command:
    """The command line with a home of its own; every process it starts carries a mark."""

    def __init__(self, home: Path, **environment: str) -> None:
        self.home = home
        self.mark = secrets.token_hex(8)
        self.environment = {
            **{
                name: value
                for name, value in os.environ.items()
                if not name.startswith(("CVDEBUG_", "PG", "TOKENIZERS_"))
            },
            "CVDEBUG_HOME": str(home),
            MARK: self.mark,
            **environment,
        }

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*COMMAND, *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **options,
        )

    def run(self, *arguments: str) -> Result:
        process = self.start(*arguments)
        try:
            out, err = process.communicate(timeout=DEADLINE_S)
        finally:
            process.kill()
        return Result(process.returncode, out, err)

    def events(self, *arguments: str) -> Result:
        """Runs with --json."""
        return self.run(*arguments, "--json")

    def left(self) -> list[int]:
        """The processes that this command started and that still live."""
        return [pid for pid in processes() if self.mark.encode() in environment_of(pid)]

    def spools(self) -> list[Path]:
        return sorted((self.home / "runs").glob("*")) if (self.home / "runs").is_dir() else []


class Result:
    """How a command ended and what it wrote."""

    def __init__(self, code: int, out: bytes, err: bytes) -> None:
        self.code = code
        self.out = out.decode()
        self.err = err.decode()

    @property
    def events(self) -> list[ev.Event]:
        return [ev.decode(line.encode()) for line in self.out.splitlines()]

    def one(self, kind: type[T]) -> T:
        """The only event of its kind."""
        (found,) = self.all(kind)
        return found

    def all(self, kind: type[T]) -> list[T]:
        return [event for event in self.events if isinstance(event, kind)]

    def __repr__(self) -> str:
        return f"exit code {self.code}\n--- out\n{self.out[-6000:]}\n--- err\n{self.err[-6000:]}"


def processes() -> Iterator[int]:
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) != os.getpid():
            yield int(entry)


def environment_of(pid: int) -> bytes:
    """The environment a process was started with; empty for a zombie."""
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""
