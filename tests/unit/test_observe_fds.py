"""Who holds what: links and flags of descriptors, and the pass over all processes."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys

import pytest
from cvdebug.core.model import DescriptorKind
from cvdebug.core.observe import fds, locks, memory
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("link", "kind", "inode"),
    [
        ("pipe:[12]", DescriptorKind.PIPE, 12),
        ("socket:[34]", DescriptorKind.SOCKET, 34),
        ("anon_inode:[eventfd]", DescriptorKind.EVENTFD, 0),
        ("anon_inode:[eventpoll]", DescriptorKind.EPOLL, 0),
        ("anon_inode:[timerfd]", DescriptorKind.TIMERFD, 0),
        ("anon_inode:[pidfd]", DescriptorKind.PIDFD, 0),
        ("pidfd:[7]", DescriptorKind.PIDFD, 7),
        ("anon_inode:inotify", DescriptorKind.OTHER, 0),
        ("/tmp/pipe:[12]", DescriptorKind.OTHER, 0),
        ("pipe:[12] (deleted)", DescriptorKind.OTHER, 0),
        ("pipe:[]", DescriptorKind.OTHER, 0),
    ],
)
def test_a_link_says_what_a_descriptor_stands_for(link: str, kind: DescriptorKind, inode: int) -> None:
    found = fds.parse_link(3, link)
    assert (found.fd, found.kind, found.inode, found.link) == (3, kind, inode, link)


@given(st.text(max_size=40))
def test_any_link_is_read(link: str) -> None:
    assert fds.parse_link(0, link).link == link
    assert fds.parse_link(0, f"pipe:[{link}]").inode >= 0


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (os.O_RDONLY, (True, False, False)),
        (os.O_WRONLY | os.O_CLOEXEC, (False, True, True)),
        (os.O_RDWR | os.O_NONBLOCK, (True, True, False)),
    ],
)
def test_flags_say_how_a_descriptor_is_open(flags: int, expected: tuple[bool, bool, bool]) -> None:
    assert fds.parse_access(b"pos:\t0\nflags:\t0%o\nmnt_id:\t15\n" % flags) == expected


@pytest.mark.parametrize("content", [b"", b"pos:\t0\n", b"flags:\tx\n", b"flags:"])
def test_what_cannot_be_read_may_be_anything(content: bytes) -> None:
    assert fds.parse_access(content) == (True, True, False)


@given(st.binary(max_size=200))
def test_no_content_makes_a_parser_raise(content: bytes) -> None:
    fds.parse_access(content)
    fds.parse_access(b"flags:" + content)
    locks.owners(content, 1)
    memory.region(content, 4096)


def test_both_ends_of_a_pipe_are_found_in_both_processes() -> None:
    reader, writer = os.pipe()
    inode = os.fstat(reader).st_ino
    child = subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, pass_fds=[writer]
    )
    try:
        table = fds.scan([child.pid, os.getpid()])
        holders = {(pid, item.fd) for pid, items in table.descriptors.items() for item in items if item.inode == inode}
        assert holders == {(os.getpid(), reader), (os.getpid(), writer), (child.pid, writer)}
        assert fds.access(os.getpid(), reader) == (True, False, True)
        assert fds.access(child.pid, writer) == (False, True, False)
        assert table.complete
        assert {os.getpid(), child.pid} <= set(table.readable)
    finally:
        child.communicate(b"\n")
        os.close(reader)
        os.close(writer)


def test_a_descriptor_that_is_gone_has_no_information() -> None:
    assert fds.info(os.getpid(), 99_999) == b""
    assert fds.info(2**22 + 1, 0) == b""
    assert fds.folder_of(2**22 + 1) == str(2**22 + 1)


LOCKS = b"""1: POSIX  ADVISORY  WRITE 3568 fd:00:2531452 0 EOF
2: FLOCK  ADVISORY  WRITE 3517 fd:00:2531448 0 EOF
2: -> FLOCK  ADVISORY  WRITE 4001 fd:00:2531448 0 EOF
3: OFDLCK ADVISORY  READ  -1 00:06:1028 0 EOF
3: -> OFDLCK ADVISORY  WRITE 4002 00:06:1028 0 EOF
"""


def test_the_owner_of_a_file_lock_is_named() -> None:
    assert locks.owners(LOCKS, 4001) == (3517,)
    assert locks.owners(LOCKS, 4002) == (-1,)
    assert locks.owners(LOCKS, 3517) == ()


MAPS = b"""7f0000000000-7f0000001000 rw-s 00000000 00:1a 123                        /dev/shm/sem.a b (deleted)
7f0000001000-7f0000002000 rw-p 00000000 00:00 0
7f0000002000-7f0000003000 rw-s 00000000 00:01 9                          /SYSV00000000 (deleted)
7f0000003000-7f0000004000 r-xp 00000000 fe:00 77                         /lib/libc.so.6
"""


def test_the_mapping_of_an_address_is_found() -> None:
    shared = memory.region(MAPS, 0x7F0000000010)
    assert shared == memory.Region(True, b" 00:1a 123 ", "/dev/shm/sem.a b (deleted)")
    assert shared.is_deleted
    assert shared.token in MAPS
    private = memory.region(MAPS, 0x7F0000001FFF)
    assert private is not None
    assert (private.shared, private.path) == (False, "")
    system_v = memory.region(MAPS, 0x7F0000002000)
    assert system_v is not None
    assert not system_v.is_deleted
    assert memory.region(MAPS, 0x7F0000004000) is None


def test_memory_is_read_whole_or_not_at_all() -> None:
    buffer = ctypes.create_string_buffer(b"hello")
    assert memory.read_bytes(os.getpid(), ctypes.addressof(buffer), 5) == b"hello"
    assert memory.read_bytes(os.getpid(), 1, 5) == b""
    assert memory.read_bytes(os.getpid(), 2**64 - 1, 5) == b""
    assert memory.maps(2**22 + 1) == b""
