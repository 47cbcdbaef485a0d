"""Locks on files and lock files: who owns them, and calm parsers."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path

import pytest
from cvdebug.core.errors import ObserveError
from cvdebug.core.observe import lockfiles, locks, stacks
from hypothesis import given
from hypothesis import strategies as st

TEXT = b"""1: FLOCK  ADVISORY  WRITE 3517 fe:00:1311768 0 EOF
1: -> FLOCK  ADVISORY  WRITE 4001 fe:00:1311768 0 EOF
2: POSIX  ADVISORY  READ  -1 00:2a:77 0 EOF
3: LEASE  ACTIVE    READ  12 broken
"""


def test_the_lines_are_read_and_broken_ones_left_out() -> None:
    first, waiter, last = locks.parse_locks(TEXT)
    assert first == locks.Row(1, False, "FLOCK", 3517, (0xFE, 0), 1311768)
    assert (waiter.number, waiter.waits, waiter.pid) == (1, True, 4001)
    assert (last.kind, last.pid, last.device) == ("POSIX", -1, (0, 0x2A))


@given(st.binary() | st.lists(st.sampled_from(TEXT.split()), max_size=12).map(b" ".join))
def test_no_text_disturbs_the_parsers(text: bytes) -> None:
    locks.parse_locks(text)
    locks.owners(text, 1)
    pid, host = lockfiles.parse_record(text)
    assert pid >= 0
    assert "\n" not in host


@given(st.text())
def test_no_local_variable_disturbs_the_parsers(text: str) -> None:
    lockfiles.unquote(text)
    timeout_s = lockfiles.parse_timeout(text)
    assert timeout_s is None or timeout_s >= 0 or timeout_s != timeout_s
    assert lockfiles.file_system(text, (8, 1)) == lockfiles.file_system(text, (8, 1))


def test_a_timeout_below_zero_is_none() -> None:
    assert [lockfiles.parse_timeout(text) for text in ("-1", "None", "10", "<Missing>")] == [None, None, 10.0, 0.0]


def test_a_path_that_was_cut_short_is_none() -> None:
    assert [lockfiles.unquote(text) for text in ('"/a b"', "'/a'", '"/a...', '"/a\\n"', "")] == [
        "/a b",
        "/a",
        "",
        "",
        "",
    ]


def test_a_record_names_process_and_host() -> None:
    assert lockfiles.parse_record(b"12\nhere\n345\n") == (12, "here")
    assert lockfiles.parse_record(b"") == (0, "")
    assert lockfiles.parse_record(b"twelve\nhere\n") == (0, "")


def test_the_file_system_of_a_device_is_found() -> None:
    mounts = "36 35 98:0 / /mnt rw - ext3 /dev/root rw\n37 35 0:51 / /share rw shared:1 - nfs4 server:/x rw\n"
    assert lockfiles.file_system(mounts, (0, 51)) == "nfs4"
    assert lockfiles.file_system(mounts, (0, 52)) == ""


def test_a_lock_file_with_an_owner(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        found = lockfiles.lock_file(os.getpid(), str(path))
        assert (found.exists, found.owners, found.empty) == (True, (os.getpid(),), True)
        assert os.getpid() in found.openers
    after = lockfiles.lock_file(os.getpid(), str(path))
    assert (after.owners, after.openers) == ((), ())
    path.unlink()
    assert not lockfiles.lock_file(os.getpid(), str(path)).exists


def test_a_pipe_in_place_of_a_lock_file_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    assert lockfiles.lock_file(os.getpid(), str(path)).unseen


@given(st.binary())
def test_no_answer_of_py_spy_disturbs_the_parser(output: bytes) -> None:
    with suppress(ObserveError):
        stacks.parse_locals(output, 1)


def test_locals_are_those_of_the_thread_that_is_asked_for() -> None:
    output = (
        b'[{"os_thread_id": 1, "frames": [{"name": "f", "filename": "a.py", "line": 3,'
        b' "locals": [{"name": "x", "repr": "1"}, {"name": "y", "repr": null}]}]}, {"os_thread_id": 2, "frames": []}]'
    )
    ((frame, found),) = stacks.parse_locals(output, 1)
    assert (frame.function, frame.line) == ("f", 3)
    assert [(item.name, item.value) for item in found] == [("x", "1"), ("y", "")]
    assert stacks.parse_locals(output, 2) == []


@pytest.mark.parametrize("pid", [0, 2**22 + 1])
def test_a_process_that_is_gone_polls_nothing(pid: int) -> None:
    assert lockfiles.polled(pid, pid) is None
