"""What a thread asked the kernel to wait for, read from its system call: the question, not yet who could answer it.

Pure, but for the memory reader that is handed in. What is not understood is said to be ended by something unseen:
that a wait can never end is concluded only from calls that are known here.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable

import msgspec

from ..model import ThreadSnapshot, WaitKind
from .calls import NAMES, NUMBERS
from .proc import FUTEX_WAIT, FUTEX_WAIT_BITSET

# (address, size) -> bytes, empty when they cannot be read.
Memory = Callable[[int, int], bytes]

_FUTEX_PRIVATE, _FUTEX_COMMAND = 0x80, 0x7F
_MAX_DESCRIPTORS = 4096
# The stack of a 64-bit process lies above this; a 32-bit process has other numbers for its calls.
_LOWEST_STACK = 1 << 32
# include/uapi/linux/wait.h
_P_ALL, _P_PID, _P_PGID, _P_PIDFD = range(4)
_TIMER_ABSTIME = 1  # include/uapi/linux/time.h
_FUTEX_CLOCK_REALTIME = 0x100
# Longer than anybody waits: what else is read is no time.
_LONGEST_S = 1e10

# Who waits like this: measured on glibc and x86-64 for operation and whether it is timed.
_FINGERPRINTS = {
    (0x109, False): "a semaphore that processes share: multiprocessing's Lock, Queue and Pool; or the end of a thread",
    (0x189, False): "a Python lock, or another semaphore of the C library",
    (0x189, True): "a Python lock with a timeout",
    (0x89, False): "Rust's standard library (tokenizers, polars, tokio), or C++",
    (0x89, True): "a Python lock with a timeout, the GIL, or Rust",
    (0x80, False): "an OpenMP team, or a plain lock",
    (0x80, True): "absl (gRPC)",
}

_STATES = {
    "R": (WaitKind.RUNNING, "runs"),
    "T": (WaitKind.STOPPED, "is stopped by a signal, until somebody sends SIGCONT"),
    "t": (WaitKind.TRACED, "is held by a debugger"),
    "Z": (WaitKind.ENDED, "has ended"),
    "X": (WaitKind.ENDED, "has ended"),
    "I": (WaitKind.DISK, "is an idle thread of the kernel"),
}


class Timer(msgspec.Struct, frozen=True):
    """What ends a timed wait: a moment on a clock of the kernel, or, with no clock, so much after it began."""

    seconds: float
    clock: int = -1

    @property
    def is_moment(self) -> bool:
        """Whether the rest can be told, and not only the whole."""
        return self.clock >= 0

    def rest_s(self) -> float | None:
        """The seconds until then, at most; None when that is no time at all."""
        try:
            rest = self.seconds - time.clock_gettime(self.clock) if self.is_moment else self.seconds
        except OSError:
            return None
        return max(rest, 0.0) if rest < _LONGEST_S else None


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What one thread waits for. `external` says in words why something unseen may end it, or is empty.

    `reads` and `writes` are descriptors that it wants to read and write; `sets` those that it has in a poll set, for
    which the descriptor's own direction counts. `child` is a PID, 0 for any child; `pidfd` a descriptor.
    `timer` says when a timed wait ends, where that can be read.
    """

    kind: WaitKind
    external: str = ""
    timed: bool = False
    timer: Timer | None = None
    reads: tuple[int, ...] = ()
    writes: tuple[int, ...] = ()
    sets: tuple[int, ...] = ()
    child: int = 0
    pidfd: int = -1
    address: int = 0
    op: int = 0

    @property
    def descriptors(self) -> tuple[int, ...]:
        """All that the thread waits on."""
        return self.reads + self.writes + self.sets + ((self.pidfd,) if self.pidfd >= 0 else ())


def fingerprint(op: int, *, timed: bool) -> str:
    """Who usually waits with this futex operation; empty when that is not known."""
    return _FINGERPRINTS.get((op, timed), "")


def decode(thread: ThreadSnapshot, memory: Memory, *, frozen: bool = False) -> Request:
    """The thread's request, from its state and its system call."""
    call = thread.syscall
    if frozen:
        return Request(kind=WaitKind.FROZEN, external="a cgroup freezes it, until somebody thaws it")
    if thread.state == "D":
        return _uninterruptible(thread)
    if thread.state != "S":
        kind, words = _STATES.get(thread.state, (WaitKind.UNKNOWN, f"is in state {thread.state}"))
        return Request(kind=kind, external=f"it {words}")
    if call is None or len(call) != 9 or call[7] < _LOWEST_STACK:
        return Request(kind=WaitKind.UNKNOWN, external="its system call cannot be seen")
    name = NAMES.get(call[0], "")
    decoder = _DECODERS.get(name)
    if decoder is None:
        return Request(kind=WaitKind.UNKNOWN, external=f"what ends system call {name or call[0]} cannot be seen")
    return decoder(call[1:7], memory)


def _uninterruptible(thread: ThreadSnapshot) -> Request:
    makes_child = {NUMBERS.get(name, -1) for name in ("vfork", "clone", "clone3")}
    if thread.syscall is not None and thread.syscall[0] in makes_child:
        return Request(kind=WaitKind.VFORK, external="its new child must run a program or end first")
    return Request(kind=WaitKind.DISK, external="it waits for the disk or the kernel")


def _int32(value: int) -> int:
    value &= 0xFFFFFFFF
    return value - (1 << 32) if value >> 31 else value


def _timer(memory: Memory, address: int, *, clock: int = -1) -> Timer | None:
    """From a timespec of a 64-bit process; None when there is none, or it cannot be read."""
    data = memory(address, 16) if address else b""
    if len(data) != 16:
        return None
    seconds, nanoseconds = struct.unpack("=qq", data)
    return Timer(seconds + nanoseconds / 1e9, clock) if seconds >= 0 and 0 <= nanoseconds < 10**9 else None


def _milliseconds(value: int) -> Timer | None:
    return Timer(_int32(value) / 1e3) if _int32(value) >= 0 else None


Arguments = tuple[int, ...]


def _futex(args: Arguments, memory: Memory) -> Request:
    op = _int32(args[1])
    if op & _FUTEX_COMMAND not in (FUTEX_WAIT, FUTEX_WAIT_BITSET):
        return Request(kind=WaitKind.UNKNOWN, external=f"what ends futex operation {op:#x} is not known", op=op)
    kind = WaitKind.FUTEX if op & _FUTEX_PRIVATE else WaitKind.SHARED_FUTEX
    clock = -1
    if op & _FUTEX_COMMAND == FUTEX_WAIT_BITSET:  # its timeout is a moment, that of FUTEX_WAIT a length
        clock = time.CLOCK_REALTIME if op & _FUTEX_CLOCK_REALTIME else time.CLOCK_MONOTONIC
    timer = _timer(memory, args[3], clock=clock)
    return Request(kind=kind, timed=args[3] != 0, timer=timer, address=args[0], op=op)


def _read(args: Arguments, memory: Memory) -> Request:
    return Request(kind=WaitKind.FILE, reads=(_int32(args[0]),))


def _write(args: Arguments, memory: Memory) -> Request:
    return Request(kind=WaitKind.FILE, writes=(_int32(args[0]),))


def _receive(args: Arguments, memory: Memory) -> Request:
    return Request(kind=WaitKind.SOCKET, reads=(_int32(args[0]),))


def _receive_many(args: Arguments, memory: Memory) -> Request:
    return Request(kind=WaitKind.SOCKET, reads=(_int32(args[0]),), timed=args[4] != 0)


def _send(args: Arguments, memory: Memory) -> Request:
    return Request(kind=WaitKind.SOCKET, writes=(_int32(args[0]),))


def _accept(args: Arguments, memory: Memory) -> Request:
    return Request(
        kind=WaitKind.ACCEPT, reads=(_int32(args[0]),), external="anybody may connect to the socket it listens on"
    )


def _connect(args: Arguments, memory: Memory) -> Request:
    return Request(kind=WaitKind.SOCKET, writes=(_int32(args[0]),), external="it waits to be connected")


def _poll(args: Arguments, memory: Memory) -> Request:
    return _polled(args, memory, timed=_int32(args[2]) >= 0, timer=_milliseconds(args[2]))


def _ppoll(args: Arguments, memory: Memory) -> Request:
    return _polled(args, memory, timed=args[2] != 0, timer=None)  # the kernel writes the rest there only at the end


def _polled(args: Arguments, memory: Memory, *, timed: bool, timer: Timer | None) -> Request:
    count = args[1]
    data = memory(args[0], 8 * count) if 0 < count <= _MAX_DESCRIPTORS else b""
    if len(data) != 8 * count:
        return Request(kind=WaitKind.POLL, timed=timed, external="its poll set cannot be read")
    found = tuple(fd for fd, _, _ in struct.iter_unpack("=iHH", data) if fd >= 0)
    return _set(WaitKind.POLL, found, timed=timed, timer=timer)


def _select(args: Arguments, memory: Memory) -> Request:
    count = _int32(args[0])
    size = (count + 63) // 64 * 8
    found: set[int] = set()
    for address in args[1:4]:
        data = memory(address, size) if address and 0 <= count <= _MAX_DESCRIPTORS else b""
        if address and len(data) != size:
            return Request(kind=WaitKind.SELECT, timed=args[4] != 0, external="its descriptor sets cannot be read")
        bits = int.from_bytes(data, "little")
        found.update(fd for fd in range(count) if bits >> fd & 1)
    return _set(WaitKind.SELECT, tuple(sorted(found)), timed=args[4] != 0)


def _set(kind: WaitKind, found: tuple[int, ...], *, timed: bool, timer: Timer | None = None) -> Request:
    external = "" if found or timed else "it waits for nothing but a signal"
    return Request(kind=kind, sets=found, timed=timed, timer=timer, external=external)


def _epoll_wait(args: Arguments, memory: Memory) -> Request:
    timer = _milliseconds(args[3])
    return Request(kind=WaitKind.EPOLL, reads=(_int32(args[0]),), timed=timer is not None, timer=timer)


def _epoll_pwait2(args: Arguments, memory: Memory) -> Request:
    return Request(kind=WaitKind.EPOLL, reads=(_int32(args[0]),), timed=args[3] != 0)


def _wait4(args: Arguments, memory: Memory) -> Request:
    return Request(kind=WaitKind.CHILD, child=max(_int32(args[0]), 0))


def _waitid(args: Arguments, memory: Memory) -> Request:
    which, number = _int32(args[0]), _int32(args[1])
    if which == _P_PIDFD:
        return Request(kind=WaitKind.CHILD, pidfd=number)
    if which not in (_P_ALL, _P_PID, _P_PGID):
        return Request(kind=WaitKind.CHILD, external="which child it waits for is not known")
    return Request(kind=WaitKind.CHILD, child=max(number, 0) if which == _P_PID else 0)


def _fcntl(args: Arguments, memory: Memory) -> Request:
    return Request(kind=WaitKind.FILE_LOCK, external="the owner of the lock on a file must release it")


def _always(kind: WaitKind, external: str, *, timed: bool = False) -> Callable[[Arguments, Memory], Request]:
    request = Request(kind=kind, external=external, timed=timed)
    return lambda args, memory: request


def _nanosleep(args: Arguments, memory: Memory) -> Request:
    return Request(kind=WaitKind.SLEEP, timed=True, timer=_timer(memory, args[0]))


def _clock_nanosleep(args: Arguments, memory: Memory) -> Request:
    clock = _int32(args[0]) if args[1] & _TIMER_ABSTIME else -1
    return Request(kind=WaitKind.SLEEP, timed=True, timer=_timer(memory, args[2], clock=clock))


def _sigtimedwait(args: Arguments, memory: Memory) -> Request:
    return Request(kind=WaitKind.SIGNAL, external=_ANY_SIGNAL, timed=args[2] != 0, timer=_timer(memory, args[2]))


_ANY_SIGNAL = "it waits for a signal, and anybody may send one"
_SIGNAL = _always(WaitKind.SIGNAL, _ANY_SIGNAL)
_IPC = _always(WaitKind.IPC, "any process of the machine may use the same queue or semaphore")
_IO = _always(WaitKind.IO_URING, "it waits for input or output that it gave to the kernel")

_DECODERS: dict[str, Callable[[Arguments, Memory], Request]] = {
    "futex": _futex,
    **dict.fromkeys(("read", "readv"), _read),
    **dict.fromkeys(("write", "writev"), _write),
    **dict.fromkeys(("recvfrom", "recvmsg"), _receive),
    "recvmmsg": _receive_many,
    **dict.fromkeys(("sendto", "sendmsg", "sendmmsg"), _send),
    **dict.fromkeys(("accept", "accept4"), _accept),
    "connect": _connect,
    "poll": _poll,
    "ppoll": _ppoll,
    **dict.fromkeys(("select", "pselect6"), _select),
    **dict.fromkeys(("epoll_wait", "epoll_pwait"), _epoll_wait),
    "epoll_pwait2": _epoll_pwait2,
    "wait4": _wait4,
    "waitid": _waitid,
    **dict.fromkeys(("flock", "fcntl"), _fcntl),
    "nanosleep": _nanosleep,
    "clock_nanosleep": _clock_nanosleep,
    "rt_sigtimedwait": _sigtimedwait,
    **dict.fromkeys(("pause", "rt_sigsuspend"), _SIGNAL),
    **dict.fromkeys(("msgsnd", "msgrcv", "semop", "semtimedop", "mq_timedsend", "mq_timedreceive"), _IPC),
    **dict.fromkeys(("io_getevents", "io_pgetevents", "io_uring_enter"), _IO),
    "restart_syscall": _always(
        WaitKind.UNKNOWN, "its system call was interrupted and resumed, and what it waits for cannot be seen any more"
    ),
}
