"""Threads that do not run because somebody stopped them or the kernel holds them: since when, by whom. Reads only."""

from __future__ import annotations

import msgspec

from ..model import TreeSnapshot, WaitKind
from .asleep import asleep_s
from .kernel import read

_HELD = frozenset({WaitKind.STOPPED, WaitKind.TRACED, WaitKind.DISK})


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """A stopped, traced or uninterruptible thread. `for_s` is the time since it ran last, None when that is not known;
    `tracer` the PID of its debugger, 0 for none, and `tracer_name` that one's command."""

    tid: int
    for_s: float | None
    tracer: int = 0
    tracer_name: str = ""


def held(first: TreeSnapshot) -> dict[int, Held]:
    """By TID, the threads that were held in this look."""
    threads = [
        (process.pid, thread.tid)
        for process in first.processes
        for thread in process.threads
        if thread.tid in first.waits and first.waits[thread.tid].kind in _HELD
    ]
    times = asleep_s(threads) if threads else {}
    return {tid: _held(pid, tid, times.get(tid)) for pid, tid in threads}


def parse_tracer(status: bytes) -> int:
    """The TracerPid of a status file; 0 for none, or when it is not in it."""
    _, _, rest = status.partition(b"\nTracerPid:")
    number = rest.partition(b"\n")[0].strip()
    return int(number) if number.isascii() and number.isdigit() else 0


def _held(pid: int, tid: int, for_s: float | None) -> Held:
    tracer = parse_tracer(read(f"/proc/{pid}/task/{tid}/status"))
    name = read(f"/proc/{tracer}/comm").decode("utf-8", "replace").strip() if tracer else ""
    return Held(tid=tid, for_s=for_s, tracer=tracer, tracer_name=name)
