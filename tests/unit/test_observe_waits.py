"""System calls to waits: each kind, and nothing that is not understood is called endless."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable

import pytest
from cvdebug.core.model import ThreadSnapshot, WaitKind
from cvdebug.core.observe.calls import NAMES, NUMBERS
from cvdebug.core.observe.waits import Request, Timer, decode, fingerprint
from hypothesis import given
from hypothesis import strategies as st

STACK = 0x7FFE00000000
ENDLESS = 0xFFFFFFFFFFFFFFFF  # -1, as the kernel shows an int argument

pytestmark = pytest.mark.skipif(not NUMBERS, reason="the system calls of this processor are not known")


def no_memory(address: int, size: int) -> bytes:
    return b""


def sleeping(name: str, *arguments: int, state: str = "S", stack: int = STACK) -> ThreadSnapshot:
    number = NUMBERS.get(name)
    if number is None:
        pytest.skip(f"no {name} on this processor")
    call = (number, *arguments, *(0,) * (6 - len(arguments)), stack, STACK)
    return ThreadSnapshot(tid=1, name="", state=state, syscall=call, wchan="", switches=0, cpu_ticks=0)


def asked(name: str, *arguments: int, memory: bytes = b"") -> Request:
    return decode(sleeping(name, *arguments), lambda address, size: memory if len(memory) == size else b"")


@pytest.mark.parametrize(
    ("call", "kind", "timed"),
    [
        (("futex", 0x1000, 0x189, 0, 0), WaitKind.FUTEX, False),
        (("futex", 0x1000, 0x89, 0, STACK), WaitKind.FUTEX, True),
        (("futex", 0x1000, 0x109, 0, 0), WaitKind.SHARED_FUTEX, False),
        (("epoll_wait", 3, STACK, 1, ENDLESS), WaitKind.EPOLL, False),
        (("epoll_pwait", 3, STACK, 1, 0xFFFFFFFF), WaitKind.EPOLL, False),
        (("epoll_wait", 3, STACK, 1, 1000), WaitKind.EPOLL, True),
        (("epoll_pwait2", 3, STACK, 1, STACK), WaitKind.EPOLL, True),
        (("nanosleep", STACK), WaitKind.SLEEP, True),
        (("clock_nanosleep", 1, 0, STACK), WaitKind.SLEEP, True),
        (("recvfrom", 3), WaitKind.SOCKET, False),
        (("recvmmsg", 3, STACK, 1, 0, STACK), WaitKind.SOCKET, True),
        (("sendto", 3), WaitKind.SOCKET, False),
    ],
)
def test_a_wait_is_decoded(call: tuple[str, int], kind: WaitKind, timed: bool) -> None:
    request = asked(*call)
    assert (request.kind, request.timed, request.external) == (kind, timed, "")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("accept4", WaitKind.ACCEPT),
        ("connect", WaitKind.SOCKET),
        ("flock", WaitKind.FILE_LOCK),
        ("fcntl", WaitKind.FILE_LOCK),
        ("pause", WaitKind.SIGNAL),
        ("rt_sigtimedwait", WaitKind.SIGNAL),
        ("rt_sigsuspend", WaitKind.SIGNAL),
        ("msgrcv", WaitKind.IPC),
        ("semop", WaitKind.IPC),
        ("mq_timedreceive", WaitKind.IPC),
        ("io_uring_enter", WaitKind.IO_URING),
        ("restart_syscall", WaitKind.UNKNOWN),
        ("openat", WaitKind.UNKNOWN),
    ],
)
def test_what_something_unseen_can_end_says_so(name: str, kind: WaitKind) -> None:
    request = asked(name)
    assert request.kind is kind
    assert request.external


@pytest.mark.parametrize("state", ["R", "T", "t", "Z", "X", "D", "I", "P", ""])
def test_only_a_sleeping_thread_waits(state: str) -> None:
    assert decode(sleeping("futex", 0x1000, 0x189, state=state), no_memory).external


def test_a_maker_of_a_child_is_told_from_a_wait_for_the_disk() -> None:
    assert decode(sleeping("clone", state="D"), no_memory).kind is WaitKind.VFORK
    assert decode(sleeping("read", state="D"), no_memory).kind is WaitKind.DISK


def test_a_frozen_thread_and_one_whose_call_is_unseen_say_so() -> None:
    assert decode(sleeping("futex", 0x1000, 0x189), no_memory, frozen=True).kind is WaitKind.FROZEN
    unseen = ThreadSnapshot(tid=1, name="", state="S", syscall=None, wchan="", switches=0, cpu_ticks=0)
    assert decode(unseen, no_memory).external == "its system call cannot be seen"


def test_the_calls_of_a_32_bit_process_are_not_understood() -> None:
    assert decode(sleeping("futex", 0x1000, 0x189, stack=0xFFFFD000), no_memory).external


def test_a_futex_operation_that_is_no_wait_is_not_understood() -> None:
    assert asked("futex", 0x1000, 0x86).external


@pytest.mark.parametrize(("timeout", "timed"), [(ENDLESS, False), (0xFFFFFFFF, False), (0, True), (50, True)])
def test_a_poll_set_is_read(timeout: int, timed: bool) -> None:
    memory = struct.pack("=iHHiHHiHH", 5, 1, 0, -1, 1, 0, 7, 4, 0)
    request = asked("poll", STACK, 3, timeout, memory=memory)
    assert (request.sets, request.timed, request.external) == ((5, 7), timed, "")
    assert asked("poll", STACK, 3, timeout).external
    assert asked("poll", STACK, 10**9, timeout).external


def test_descriptor_sets_are_read() -> None:
    bits = (1 << 3 | 1 << 65).to_bytes(16, "little")
    for name in ("select", "pselect6"):
        if name in NUMBERS:
            request = asked(name, 66, STACK, 0, 0, 0, memory=bits)
            assert (request.sets, request.timed, request.external) == ((3, 65), False, "")
            assert asked(name, 66, STACK, 0, 0, STACK, memory=bits).timed
            assert asked(name, 66, STACK).external


def test_an_empty_set_waits_for_a_signal() -> None:
    assert "signal" in asked("ppoll", 0, 0, 0).external
    assert "signal" in asked("pselect6", 0, 0, 0, 0, 0).external


@pytest.mark.parametrize(
    ("call", "child"),
    [
        (("wait4", 42), 42),
        (("wait4", 0xFFFFFFFF), 0),
        (("wait4", ENDLESS), 0),
        (("wait4", 0), 0),
        (("waitid", 0, 0), 0),
        (("waitid", 1, 42), 42),
        (("waitid", 2, 42), 0),
    ],
)
def test_the_child_that_is_waited_for_is_known(call: tuple[str, int], child: int) -> None:
    request = asked(*call)
    assert (request.kind, request.child, request.external) == (WaitKind.CHILD, child, "")


def test_a_child_may_be_waited_for_by_descriptor() -> None:
    assert asked("waitid", 3, 9).descriptors == (9,)
    assert asked("waitid", 7, 9).external


def test_the_usual_users_of_a_futex_operation_are_named() -> None:
    assert "Python lock" in fingerprint(0x189, timed=False)
    assert fingerprint(0x7, timed=False) == ""


@given(
    st.sampled_from(sorted(NAMES) or [0]),
    st.lists(st.integers(0, 2**64 - 1), min_size=8, max_size=8),
    st.binary(max_size=64),
)
def test_no_arguments_make_the_decoder_raise(number: int, rest: list[int], memory: bytes) -> None:
    snapshot = ThreadSnapshot(tid=1, name="", state="S", syscall=(number, *rest), wchan="", switches=0, cpu_ticks=0)
    assert isinstance(decode(snapshot, lambda address, size: memory[:size]), Request)


@pytest.mark.parametrize(
    ("call", "data", "moment", "expected"),
    [
        (("clock_nanosleep", 1, 1, STACK), lambda: struct.pack("=qq", int(time.monotonic()) + 3480, 0), True, 3480),
        (("clock_nanosleep", 1, 0, STACK), lambda: struct.pack("=qq", 60, 500_000_000), False, 60.5),
        (("nanosleep", STACK), lambda: struct.pack("=qq", 60, 0), False, 60),
        (("futex", 0x1000, 0x89, 0, STACK), lambda: struct.pack("=qq", int(time.monotonic()) + 100, 0), True, 100),
        (("futex", 0x1000, 0x189, 0, STACK), lambda: struct.pack("=qq", int(time.time()) + 100, 0), True, 100),
        (("futex", 0x1000, 0x80, 0, STACK), lambda: struct.pack("=qq", 3, 0), False, 3),
        (("epoll_wait", 3, STACK, 1, 1500), bytes, False, 1.5),
        (("rt_sigtimedwait", STACK, 0, STACK), lambda: struct.pack("=qq", 7, 0), False, 7),
    ],
    ids=["until", "for", "nanosleep", "until-monotonic", "until-realtime", "futex", "epoll", "signal"],
)
def test_the_rest_of_a_timed_wait_is_known(
    call: tuple[str, int], data: Callable[[], bytes], moment: bool, expected: float
) -> None:
    timer = asked(*call, memory=data()).timer
    assert timer is not None
    assert timer.rest_s() == pytest.approx(expected, abs=60 if moment else 0)
    assert timer.is_moment is moment


@pytest.mark.parametrize("data", [b"", b"short", struct.pack("=qq", -1, 0), struct.pack("=qq", 1, 10**9)])
def test_a_time_that_is_none_is_left_out(data: bytes) -> None:
    request = asked("clock_nanosleep", 1, 1, STACK, memory=data)
    assert (request.timed, request.timer) == (True, None)


def test_a_moment_that_has_passed_leaves_nothing_and_one_that_never_comes_is_not_told() -> None:
    assert Timer(1.0, time.CLOCK_MONOTONIC).rest_s() == 0
    assert Timer(1e12).rest_s() is None
    assert Timer(1.0, 10**6).rest_s() is None
