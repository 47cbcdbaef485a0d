"""Helpers for tests of the commands that look: the command line here and on a terminal, and programs to look at."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from unittest.mock import patch

import pytest
from cvdebug.core.diagnose.investigate import investigate
from cvdebug.core.diagnose.judge import is_hang
from cvdebug.tui import cli

from tests.programs import Program, running, until

from .driver import COMMAND

Answer = tuple[int, str, str]


def cvdebug(*arguments: str) -> Answer:
    """Runs the command line in this process: (exit code, standard output, standard error)."""
    streams = [io.TextIOWrapper(io.BytesIO(), "utf-8") for _ in range(2)]
    with (
        patch.object(sys, "argv", ["cvdebug", *arguments]),
        patch.object(sys, "stdout", streams[0]),
        patch.object(sys, "stderr", streams[1]),
        pytest.raises(SystemExit) as ended,
    ):
        cli.main()
    out, err = map(_text, streams)
    return int(ended.value.code or 0), out, err


def _text(stream: io.TextIOWrapper) -> str:
    stream.flush()
    with stream:
        buffer = stream.buffer
        assert isinstance(buffer, io.BytesIO)
        return buffer.getvalue().decode()


@contextmanager
def hung(name: str = "hangs.py", *arguments: str) -> Iterator[Program]:
    """A program that already hangs: `ready` comes a moment before."""
    with running(name, *(arguments or ("queue-join-before-drain",))) as program:
        until(lambda: any(map(is_hang, investigate(program.pid).verdicts)))
        yield program


@contextmanager
def started(code: str, *arguments: str, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A program of one line that says `ready`."""
    command = [sys.executable, "-c", f"import os, signal, sys, threading, time\n{code}", *arguments]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, start_new_session=True, **options) as process:
        try:
            assert process.stdout
            assert process.stdout.readline().split()[0] == "ready"
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def command(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
        **options,
    )


def follow(pid: int, *more: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*COMMAND, "attach", str(pid), *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL
    )


def read_until(process: subprocess.Popen[bytes], words: str) -> str:
    """What it says, up to these words."""
    assert process.stdout
    seen = b""
    end_s = time.monotonic() + 30
    while words.encode() not in seen:
        assert select.select([process.stdout], [], [], max(0.0, end_s - time.monotonic()))[0], seen
        piece = os.read(process.stdout.fileno(), 65536)
        assert piece, seen
        seen += piece
    return seen.decode()


@contextmanager
def terminal(*arguments: str, columns: int = 80, **variables: str) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    environment = {**os.environ, "COLUMNS": str(columns), "LINES": "40", "TERM": "xterm-256color", **variables}
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("4H", 40, columns, 0, 0))
    process = subprocess.Popen(
        [*COMMAND, *arguments], env=environment, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
    )
    os.close(slave)
    try:
        yield master, process
    finally:
        process.kill()
        process.wait()
        os.close(master)


def drain(master: int, until_word: bytes = b"") -> str:
    seen = b""
    try:
        while not (until_word and until_word in seen):
            if not (piece := os.read(master, 65536)):
                break
            seen += piece
    except OSError:
        pass
    return seen.decode()


@contextmanager
def orphan() -> Iterator[int]:
    """A Python program that is no descendant of this test, with a child of its own."""
    code = "import os, time; os.fork(); time.sleep(600)"
    shell = subprocess.run(
        ["sh", "-c", "setsid \"$0\" -c \"$1\" >/dev/null 2>&1 & echo $!", sys.executable, code],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    pid = int(shell.stdout)
    try:
        until(lambda: len(_group(pid)) == 2)
        yield pid
    finally:
        os.killpg(pid, signal.SIGKILL)


def _group(pid: int) -> list[str]:
    found = []
    for entry in os.listdir("/proc"):
        try:
            if entry.isdigit() and os.getpgid(int(entry)) == pid:
                found.append(entry)
        except ProcessLookupError:
            continue
    return found
