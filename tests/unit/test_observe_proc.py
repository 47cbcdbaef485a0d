"""Parsers of /proc: exact on real files, calm on anything else."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest
from cvdebug.core.model import ThreadSnapshot
from cvdebug.core.observe import proc
from cvdebug.core.observe.kernel import read
from hypothesis import given
from hypothesis import strategies as st

from tests.programs import running, until

STAT = b"%d (%s) %s 7 1 1 0 -1 4194368 0 0 0 0 %d %d 0 0 20 0 1 0 %d 163946496 2724 18446744073709551615 1 2\n"
STATUS = b"Name:\tx\nSigCgt:\t0000000100004002\nvoluntary_ctxt_switches:\t31\nnonvoluntary_ctxt_switches:\t4\n"


def thread(syscall: tuple[int, ...] | None) -> ThreadSnapshot:
    return ThreadSnapshot(tid=1, name="", state="S", syscall=syscall, wchan="", switches=0, cpu_ticks=0)


def futex_call(op: int, timeout: int) -> tuple[int, ...]:
    return (proc.FUTEX_CALL, 0x1000, op, 0, timeout, 0, 0, 0x7FFE, 0x7FFF)


@given(
    pid=st.integers(1, 2**22),
    name=st.binary(max_size=64).filter(lambda name: b"\0" not in name),
    state=st.sampled_from([b"R", b"S", b"D", b"Z"]),
    ticks=st.tuples(st.integers(0, 2**40), st.integers(0, 2**40)),
    start=st.integers(0, 2**60),
)
def test_a_stat_line_is_read_whatever_the_name(
    pid: int, name: bytes, state: bytes, ticks: tuple[int, int], start: int
) -> None:
    stat = proc.parse_stat(STAT % (pid, name, state, *ticks, start))
    assert stat is not None
    assert (stat.pid, stat.ppid, stat.state, stat.start_ticks) == (pid, 7, state.decode(), start)
    assert stat.name == name.decode("utf-8", "replace")
    assert stat.cpu_ticks == sum(ticks)
    assert stat.flags == 4194368


@given(cut=st.integers(0, len(STAT)))
def test_a_stat_line_that_is_cut_short_is_none_or_whole(cut: int) -> None:
    whole = STAT % (5, b"a) S (b\n", b"S", 1, 2, 3)
    stat = proc.parse_stat(whole[:cut])
    assert stat is None or (stat.pid, stat.name, stat.state, stat.start_ticks) == (5, "a) S (b\n", "S", 3)
    assert proc.parse_parent(whole) == ("S", 7)


@given(st.binary(max_size=300))
def test_no_content_makes_a_parser_raise(content: bytes) -> None:
    proc.parse_stat(content)
    proc.parse_parent(content)
    proc.parse_syscall(content)
    proc.parse_switches(content)
    proc.parse_signals_caught(content)
    assert all(isinstance(argument, str) for argument in proc.parse_cmdline(content))


def test_a_status_file_gives_switches_and_handlers() -> None:
    assert proc.parse_switches(STATUS) == 35
    assert proc.parse_signals_caught(STATUS) == 0x100004002
    assert proc.parse_switches(STATUS[:-3]) is None
    assert proc.parse_switches(b"") is None
    assert proc.parse_signals_caught(b"") is None


@pytest.mark.parametrize(
    ("text", "call"),
    [
        (b"202 0x1 0x89 0x1 0x0 0x0 0xffffffff 0x7ffe 0x7fff\n", (202, 1, 0x89, 1, 0, 0, 0xFFFFFFFF, 0x7FFE, 0x7FFF)),
        (b"running\n", None),
        (b"-1 0x7ffe 0x7fff\n", None),
        (b"202 0x1 0x89", None),
        (b"", None),
    ],
)
def test_a_system_call_is_read_whole_or_not_at_all(text: bytes, call: tuple[int, ...] | None) -> None:
    assert proc.parse_syscall(text) == call


@pytest.mark.parametrize(
    ("op", "timeout", "private", "timed"),
    [
        (0x89, 0, True, False),
        (0x89, 0x7FFE, True, True),
        (0x189, 0, True, False),
        (0x109, 0, False, False),
        (0x80, 0, True, False),
        (0x80, 0x7FFE, True, True),
    ],
)
def test_a_futex_wait_is_decoded(op: int, timeout: int, private: bool, timed: bool) -> None:
    wait = proc.futex(thread(futex_call(op, timeout)))
    assert wait == proc.Futex(address=0x1000, op=op, private=private, timed=timed)


@pytest.mark.parametrize("syscall", [None, (0, 3, 0x89, 0, 0, 0, 0, 1, 1), futex_call(0x81, 0), futex_call(0x86, 0)])
def test_what_is_no_futex_wait_is_none(syscall: tuple[int, ...] | None) -> None:
    assert proc.futex(thread(syscall)) is None


def test_this_process_is_seen_as_it_is() -> None:
    stop = threading.Event()
    helper = threading.Thread(target=stop.wait)
    helper.start()
    try:
        process = proc.snapshot([os.getpid()])[os.getpid()]
        assert {os.getpid(), helper.native_id} <= {thread.tid for thread in process.threads}
        assert process.ppid == os.getppid()
        assert process.rss_bytes > 1_000_000
        assert not process.frozen
    finally:
        stop.set()
        helper.join()


def test_processes_that_are_gone_are_left_out() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert proc.snapshot([child.pid, os.getpid()]).keys() == {os.getpid()}
    assert proc.descendants(child.pid) == []
    assert not proc.frozen(child.pid)


def test_descendants_come_root_first_and_say_who_was_forked() -> None:
    with running("waits.py", "sigchld") as program:
        (child,) = program.workers
        until(lambda: len(proc.descendants(program.pid)) == 3)
        pids = proc.descendants(program.pid)
        assert pids[:2] == [program.pid, child]
        processes = proc.snapshot(pids)
        assert [processes[pid].forked for pid in pids] == [False, True, True]
        assert processes[child].ppid == program.pid
        assert processes[child].signals_caught >> 16 & 1


def test_a_zombie_is_no_living_descendant() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    try:
        until(lambda: proc.parse_parent(read(f"/proc/{child.pid}/stat"))[0] == "Z")
        assert child.pid not in proc.descendants(os.getpid())
    finally:
        child.wait()


def test_one_address_space_is_told_from_two() -> None:
    if not proc.shares_memory(os.getpid(), os.getpid()):
        pytest.skip("kcmp(2) is not to be had here")
    assert not proc.shares_memory(os.getpid(), os.getppid())
