"""A tree of processes as psutil shows it, for systems other than Linux: who is there, what it uses, and no more.

What the threads wait for is not known there, so each of them counts as alive: nothing is ever proven of such a tree.
Reads only.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import NamedTuple

import psutil

from ..model import ProcessSnapshot, ThreadSnapshot, TreeSnapshot, Wait, WaitKind
from . import permissions

_WAIT = Wait(kind=WaitKind.UNKNOWN, text="waits or runs: this system does not say", external="nobody can tell here")
# psutil's words as the letters that Linux uses for them.
_STATES = {
    psutil.STATUS_RUNNING: "R", psutil.STATUS_SLEEPING: "S", psutil.STATUS_DISK_SLEEP: "D", psutil.STATUS_STOPPED: "T",
    psutil.STATUS_TRACING_STOP: "t", psutil.STATUS_ZOMBIE: "Z", psutil.STATUS_DEAD: "X", psutil.STATUS_IDLE: "S",
}  # fmt: skip
_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
# From when start times count here, in seconds since 1970.
EPOCH = 0.0


class Row(NamedTuple):
    """A process in a list. `owner` is its effective user; `program` the name of what it runs."""

    parent: int
    owner: int
    program: str


def take(root: int) -> TreeSnapshot:
    """The tree of `root`, without descriptors; no processes when `root` is gone."""
    at_s = time.monotonic()
    found = {process.pid: (process, program) for process, program in _snapshots(root)}
    processes = tuple(process for process, _ in found.values())
    return TreeSnapshot(
        root=root,
        at_s=at_s,
        processes=processes,
        waits={thread.tid: _WAIT for process in processes for thread in process.threads},
        programs={pid: program for pid, (_, program) in found.items()},
        not_seen=tuple(map(str, permissions.system())),
    )


def members(root: int) -> list[int]:
    """The PIDs of the tree, root first; empty when the root is gone."""
    return [process.pid for process in _tree(root)]


def everybody() -> dict[int, Row]:
    """All processes that may be seen, by PID."""
    found = {}
    for process in psutil.process_iter():
        try:
            found[process.pid] = Row(process.ppid(), process.uids().effective, process.name())
        except psutil.Error:  # it is gone, or another user's
            continue
    return found


def _tree(root: int) -> list[psutil.Process]:
    try:
        top = psutil.Process(root)
        return [top, *top.children(recursive=True)]
    except psutil.Error:
        return []


def _snapshots(root: int) -> Iterator[tuple[ProcessSnapshot, str]]:
    for process in _tree(root):
        try:
            with process.oneshot():
                snapshot = _snapshot(process), process.name()
        except psutil.Error:  # it is gone
            continue
        yield snapshot


def _snapshot(process: psutil.Process) -> ProcessSnapshot:
    """What may not be read is left empty; only a process that is gone raises."""
    state = _STATES.get(process.status(), "?")
    return ProcessSnapshot(
        pid=process.pid,
        ppid=process.ppid(),
        start_ticks=int(process.create_time() * _TICKS_A_SECOND),
        state=state,
        cmdline=_cmdline(process),
        rss_bytes=_rss_bytes(process),
        signals_caught=0,
        frozen=False,
        threads=_threads(process, state),
    )


def _cmdline(process: psutil.Process) -> tuple[str, ...]:
    try:
        return tuple(process.cmdline())
    except (psutil.AccessDenied, psutil.ZombieProcess, OSError):
        return ()


def _rss_bytes(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except (psutil.AccessDenied, psutil.ZombieProcess):
        return 0


def _threads(process: psutil.Process, state: str) -> tuple[ThreadSnapshot, ...]:
    """The main thread has the PID for its TID, as on Linux, and the switches of the whole process."""
    try:
        times = {int(thread.id): thread.user_time + thread.system_time for thread in process.threads()}
        switches = sum(process.num_ctx_switches())
    except (psutil.AccessDenied, psutil.ZombieProcess):
        times, switches = {}, 0
    if process.pid not in times:  # elsewhere threads have numbers of their own: the first is the main thread
        first = next(iter(times), process.pid)
        times[process.pid] = times.pop(first, 0.0)
    return tuple(
        ThreadSnapshot(
            tid=tid,
            name="",
            state=state,
            syscall=None,
            wchan="",
            switches=switches if tid == process.pid else 0,
            cpu_ticks=round(used_s * _TICKS_A_SECOND),
        )
        for tid, used_s in sorted(times.items(), key=lambda item: (item[0] != process.pid, item[0]))
    )
