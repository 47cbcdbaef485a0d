"""The last word on a terminal that nobody reads comes through, and what was about to be drawn holds nothing up."""

from __future__ import annotations

import os
import pty
import select
import threading
import time
from collections.abc import Iterator

import pytest
from cvdebug.tui.driver import Writer
from cvdebug.tui.terminal import Terminal

LAST = "\x18the last word"


@pytest.fixture
def master(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The other end of a terminal that is standard error's, as a new Terminal sees it."""
    master, slave = pty.openpty()
    dup = os.dup
    monkeypatch.setattr(os, "dup", lambda fd: dup(slave) if fd == 2 else dup(fd))
    yield master
    os.close(master)
    os.close(slave)


def read(master: int) -> str:
    got = b""
    while select.select([master], [], [], 0.2)[0]:
        got += os.read(master, 65536)
    return got.decode()


def test_what_was_about_to_be_drawn_does_not_hold_up_the_last_word(master: int) -> None:
    terminal = Terminal()
    writer = Writer(terminal, "utf-8", lambda: None)
    for _ in range(20):
        writer.write("frame" * 1000)
    began_s = time.monotonic()
    assert writer.close(LAST)
    assert time.monotonic() - began_s < 5.0
    assert read(master).endswith(LAST)
    terminal.close()


def test_what_a_terminal_missed_is_drawn_anew_when_it_reads_again(master: int) -> None:
    caught_up = threading.Event()
    terminal = Terminal()
    writer = Writer(terminal, "utf-8", caught_up.set)
    for _ in range(100):
        writer.write("frame" * 1000)
    end_s = time.monotonic() + 10
    while not caught_up.is_set():
        assert time.monotonic() < end_s
        if select.select([master], [], [], 0.05)[0]:
            os.read(master, 65536)
    writer.write("anew")
    assert writer.close(LAST)
    assert read(master).endswith("anew" + LAST)
    terminal.close()


def test_the_flag_that_makes_us_never_wait_is_not_the_shells(master: int) -> None:
    terminal = Terminal()
    terminal.write("x")
    assert os.get_blocking(terminal.fd)
    terminal.close()
