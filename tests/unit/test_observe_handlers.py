"""Whose a signal handler is: readline's, which is written in C, or the program's own."""

from __future__ import annotations

import subprocess
import sys
from signal import SIGINT, SIGWINCH

import pytest
from cvdebug.core.observe import handlers, proc, tree

PROGRAM = "import readline, signal, sys; {}; print('ready', flush=True); sys.stdin.read()"
OWN = "signal.signal(signal.SIGWINCH, lambda *_: None)"


@pytest.mark.parametrize(("line", "own"), [("pass", False), (OWN, True)])
def test_a_handler_in_c_is_told_from_one_in_python(line: str, own: bool) -> None:
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", PROGRAM.format(line)], stdin=pipe, stdout=pipe) as process:
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        start_ticks = proc.snapshot([process.pid])[process.pid].start_ticks
        assert handlers.has_python_handler(process.pid, start_ticks, SIGWINCH) is own
        assert handlers.has_python_handler(process.pid, start_ticks, SIGINT)
        assert (process.pid in tree.take(process.pid).readline) is not own
        process.communicate(b"")


def test_what_cannot_be_read_may_be_python() -> None:
    assert handlers.has_python_handler(1 << 30, 0, SIGWINCH)


@pytest.mark.parametrize("data", [b"", b"\0" * 4096, b"\1" * 4096, (b"\0" * 8 + b"x" * 8) * 40])
def test_other_data_is_no_table(data: bytes) -> None:
    assert handlers.find_table(data) == -1


def test_the_table_is_found_where_it_stands() -> None:
    default, own = b"\x10\x20\x30\x40\x50\x7f\0\0", b"\x11\x20\x30\x40\x50\x7f\0\0"
    entries = [b"\0" * 8, *(own if number == SIGINT else default for number in range(1, 65))]
    table = b"".join(b"\0" * 8 + entry for entry in entries)
    assert handlers.find_table(b"\xff" * 24 + b"\0" * 64 + table + b"\xff" * 32) == 88
