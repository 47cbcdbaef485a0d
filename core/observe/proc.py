"""Processes and threads as /proc shows them (Linux, x86-64 and aarch64).

Parsers are pure: bytes in, values or None out. Files that are empty, cut short or gone give None or an empty value,
never an exception: processes vanish while they are read. Nothing here stops, signals or writes to a process.
File formats: proc(5).
"""

from __future__ import annotations

import ctypes
import os
import platform
from collections.abc import Container, Iterable, Iterator
from typing import NamedTuple

import msgspec

from ..model import ProcessSnapshot, ThreadSnapshot
from . import cgroup
from .kernel import read

MACHINE = platform.machine()
# System calls by processor: arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h.
FUTEX_CALL = {"x86_64": 202, "aarch64": 98}.get(MACHINE, -1)
_KCMP_CALL = {"x86_64": 312, "aarch64": 272}.get(MACHINE, -1)
_KCMP_FILE = 0
_KCMP_VM = 1

# include/uapi/linux/futex.h
FUTEX_WAIT = 0
FUTEX_WAIT_BITSET = 9
_FUTEX_PRIVATE = 0x80
_FUTEX_COMMAND = 0x7F

# include/linux/sched.h: "Forked but didn't exec".
_PF_FORKNOEXEC = 0x40

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
# Waits of the cgroup freezer, versions 2 and 1: a second sign, for where the cgroup's files cannot be seen.
_FREEZER_WAITS = frozenset({"do_freezer_trap", "__refrigerator"})
_GONE = frozenset("ZXx")


class Stat(NamedTuple):
    """What is used of /proc/PID/stat and /proc/PID/task/TID/stat."""

    pid: int
    name: str
    state: str
    ppid: int
    flags: int
    cpu_ticks: int
    start_ticks: int
    rss_bytes: int


class Futex(msgspec.Struct, frozen=True, kw_only=True):
    """A thread's futex wait. `op` is the whole second argument; `timed` says that a timeout will end it."""

    address: int
    op: int
    private: bool
    timed: bool


def parse_stat(text: bytes) -> Stat | None:
    """A stat line; None when it is empty or cut short. The name may hold spaces, parentheses and newlines."""
    head, opened, rest = text.partition(b"(")
    name, closed, tail = rest.rpartition(b")")
    fields = tail.split()
    if not opened or not closed or len(fields) < 22:
        return None
    try:
        flags, utime, stime, start, rss = (int(fields[n]) for n in (6, 11, 12, 19, 21))
        pid, ppid = int(head), int(fields[1])
    except ValueError:
        return None
    state = fields[0].decode(errors="replace")
    return Stat(pid, _text(name), state, ppid, flags, utime + stime, start, rss * PAGE_BYTES)


def parse_parent(text: bytes) -> tuple[str, int]:
    """State and parent of a stat line, for a pass over all processes; ("", 0) when it is empty or cut short."""
    fields = text[text.rfind(b")") + 1 :].split(None, 2)
    if len(fields) < 3 or not fields[1].isdigit():
        return "", 0
    return fields[0].decode(errors="replace"), int(fields[1])


def parse_syscall(text: bytes) -> tuple[int, ...] | None:
    """(number, six arguments, stack pointer, program counter); None when the thread runs or is in no system call."""
    fields = text.split()
    if len(fields) != 9:
        return None
    try:
        return tuple(int(field, 0) for field in fields)
    except ValueError:
        return None


def parse_switches(status: bytes) -> int | None:
    """Voluntary and involuntary context switches of a status file; None when they are not in it."""
    counts = [_number(status, key, 10) for key in (b"\nvoluntary_ctxt_switches:", b"\nnonvoluntary_ctxt_switches:")]
    return None if None in counts else sum(count for count in counts if count is not None)


def parse_state(status: bytes) -> str:
    """The state's letter of a status file; "" when it is not in it."""
    at = status.find(b"\nState:\t")
    return status[at + 8 : at + 9].decode("ascii", "replace") if at >= 0 else ""


def parse_signals_caught(status: bytes) -> int | None:
    """The SigCgt mask of a status file; None when it is not in it."""
    return _number(status, b"\nSigCgt:", 16)


def parse_cmdline(text: bytes) -> tuple[str, ...]:
    """The arguments; empty for a zombie or a kernel thread."""
    return tuple(_text(argument) for argument in text.rstrip(b"\0").split(b"\0")) if text else ()


def futex(thread: ThreadSnapshot) -> Futex | None:
    """The futex that a thread waits for; None when it is in no futex wait, or when that cannot be seen.

    Only FUTEX_WAIT and FUTEX_WAIT_BITSET count: of other operations the fourth argument is no timeout.
    """
    call = thread.syscall
    if call is None or len(call) < 5 or call[0] != FUTEX_CALL:
        return None
    if call[2] & _FUTEX_COMMAND not in (FUTEX_WAIT, FUTEX_WAIT_BITSET):
        return None
    return Futex(address=call[1], op=call[2], private=bool(call[2] & _FUTEX_PRIVATE), timed=call[4] != 0)


def snapshot(pids: Iterable[int]) -> dict[int, ProcessSnapshot]:
    """One snapshot of each of these processes that still lives, by PID."""
    frozen_groups: dict[bytes, bool] = {}
    taken = ((pid, _process(pid, frozen_groups)) for pid in pids)
    return {pid: process for pid, process in taken if process is not None}


def snapshot_again(
    processes: Iterable[ProcessSnapshot], *, idle: Container[int] = frozenset()
) -> dict[int, ProcessSnapshot]:
    """One more snapshot of those that still live, at half the price.

    Of a thread that moved since, the system call is not asked; of one that did not, the processor time is taken over.
    Name and `wchan` always are. The threads in `idle` are known not to have run, and are taken over whole.
    """
    frozen_groups: dict[bytes, bool] = {}
    taken = ((process.pid, _process(process.pid, frozen_groups, process, idle)) for process in processes)
    return {pid: process for pid, process in taken if process is not None}


def descendants(root: int) -> list[int]:
    """`root` and all its living descendants, parents before children; empty when `root` is gone."""
    children: dict[int, list[int]] = {}
    living = set()
    for pid, parent in parents():
        living.add(pid)
        children.setdefault(parent, []).append(pid)
    found = [root] if root in living else []
    for pid in found:
        found.extend(children.get(pid, ()))
    return found


def parents() -> Iterator[tuple[int, int]]:
    """(PID, PID of its parent) of every process that lives."""
    for pid in _pids():
        state, parent = parse_parent(read(f"/proc/{pid}/stat"))
        if state and state not in _GONE:
            yield pid, parent


def frozen(pid: int) -> bool:
    """Whether a cgroup at or above the process is frozen."""
    return cgroup.frozen(read(f"/proc/{pid}/cgroup"))


def shares_memory(pid: int, other: int) -> bool:
    """Whether two processes live in one address space, as a vfork child and its parent do: kcmp(2)."""
    libc = ctypes.CDLL(None, use_errno=True)
    return _KCMP_CALL > 0 and libc.syscall(_KCMP_CALL, pid, other, _KCMP_VM, 0, 0) == 0


def shares_file(pid: int, fd: int, other: int, other_fd: int) -> bool:
    """Whether two descriptors are one open file, as after a fork: kcmp(2). Yes, when the kernel does not say."""
    libc = ctypes.CDLL(None, use_errno=True)
    return _KCMP_CALL < 0 or libc.syscall(_KCMP_CALL, pid, other, _KCMP_FILE, fd, other_fd) in (0, -1)


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _process(
    pid: int,
    frozen_groups: dict[bytes, bool],
    earlier: ProcessSnapshot | None = None,
    idle: Container[int] = frozenset(),
) -> ProcessSnapshot | None:
    stat = parse_stat(read(f"/proc/{pid}/stat"))
    caught = parse_signals_caught(read(f"/proc/{pid}/status"))
    threads = _threads(pid, earlier.threads if earlier else (), idle)
    if stat is None or caught is None or not threads:
        return None
    return ProcessSnapshot(
        pid=pid,
        ppid=stat.ppid,
        start_ticks=stat.start_ticks,
        state=stat.state,
        cmdline=parse_cmdline(read(f"/proc/{pid}/cmdline")),
        rss_bytes=stat.rss_bytes,
        signals_caught=caught,
        frozen=_frozen_group(pid, frozen_groups) or any(thread.wchan in _FREEZER_WAITS for thread in threads),
        threads=threads,
        forked=bool(stat.flags & _PF_FORKNOEXEC),
    )


def _frozen_group(pid: int, known: dict[bytes, bool]) -> bool:
    """Most processes of a tree are in one cgroup, which is asked once a snapshot."""
    group = read(f"/proc/{pid}/cgroup")
    if group not in known:
        known[group] = cgroup.frozen(group)
    return known[group]


def _threads(pid: int, earlier: Iterable[ThreadSnapshot], idle: Container[int]) -> tuple[ThreadSnapshot, ...]:
    try:
        tids = sorted((int(name) for name in os.listdir(f"/proc/{pid}/task")), key=lambda tid: (tid != pid, tid))
    except OSError:
        return ()
    known = {thread.tid: thread for thread in earlier}
    taken = (
        known[tid] if tid in known and tid in idle else _thread_again(f"/proc/{pid}/task/{tid}", tid, known.get(tid))
        for tid in tids
    )
    return tuple(thread for thread in taken if thread is not None)


def _thread_again(folder: str, tid: int, old: ThreadSnapshot | None) -> ThreadSnapshot | None:
    """A thread that was seen before. One that has slept since may be asked for its system call: see `_thread`."""
    if old is None:
        return _thread(folder, tid)
    status = read(f"{folder}/status")
    switches, state = parse_switches(status), parse_state(status)
    if switches is None:
        return None
    syscall = None
    cpu_ticks = old.cpu_ticks
    if switches != old.switches or state == "R":
        stat = parse_stat(read(f"{folder}/stat"))
        cpu_ticks = stat.cpu_ticks if stat else cpu_ticks
    elif state == old.state and old.syscall is not None:
        syscall = parse_syscall(read(f"{folder}/syscall"))
        switches = parse_switches(read(f"{folder}/status"))
    if switches is None:
        return None
    if switches != old.switches:
        syscall = None  # that call is over
    return ThreadSnapshot(
        tid=tid,
        name=old.name,
        state=state,
        syscall=syscall,
        wchan=old.wchan,
        switches=switches,
        cpu_ticks=cpu_ticks,
    )


def thread(pid: int, tid: int) -> ThreadSnapshot | None:
    """One thread now; None when it is gone."""
    return _thread(f"/proc/{pid}/task/{tid}", tid)


def _thread(folder: str, tid: int) -> ThreadSnapshot | None:
    """One thread. Its counter is read last: equal counters in two snapshots then cover the time between them.

    The kernel answers `syscall` only when the thread rests, and waits for that: measured, up to 16 s for a thread that
    plays ping-pong over a lock. So it is asked only about a thread that slept while its other files were read.
    """
    earlier = parse_switches(read(f"{folder}/status"))
    stat = parse_stat(read(f"{folder}/stat"))
    wchan = _text(read(f"{folder}/wchan"))
    switches = parse_switches(read(f"{folder}/status"))
    if stat is None or switches is None:
        return None
    syscall = None
    if switches == earlier and stat.state != "R":
        syscall = parse_syscall(read(f"{folder}/syscall"))
        switches = parse_switches(read(f"{folder}/status"))
    if switches is None:
        return None
    if switches != earlier:
        syscall = None  # that call is over
    return ThreadSnapshot(
        tid=tid,
        name=stat.name,
        state=stat.state,
        syscall=syscall,
        wchan="" if wchan == "0" else wchan,
        switches=switches,
        cpu_ticks=stat.cpu_ticks,
    )


def _number(status: bytes, key: bytes, base: int) -> int | None:
    at = status.find(key)
    if at < 0:
        return None
    line, ended, _ = status[at + len(key) :].partition(b"\n")
    try:
        return int(line, base) if ended else None
    except ValueError:
        return None


def _text(value: bytes) -> str:
    """Names come from strangers: what is no UTF-8 is replaced, so that they can be written as JSON."""
    return value.decode("utf-8", "replace")
