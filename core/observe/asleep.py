"""How long a thread has not run: from the scheduler's own note of when it ran last (Linux, /proc/PID/sched).

That clock stands still while a processor is taken away from the machine or serves interrupts, and so differs from
processor to processor: it is read on the one that the thread ran on last, by a thread of the observer's own that moves
there. Reads only. Format: fs/proc and kernel/sched/debug.c of the kernel; not every kernel has the file.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable

from .kernel import read

_EXEC_START = b"se.exec_start"
# stat(5): the field `processor` is the 39th; the name is the second, and two fields stand before its end.
_PROCESSOR = 39 - 3


def parse_last_run(sched: bytes) -> float | None:
    """When the thread ran last, in ms of its processor's clock; None when the file does not say."""
    for line in sched.splitlines():
        key, _, value = line.partition(b":")
        if key.strip() == _EXEC_START:
            try:
                return float(value)
            except ValueError:
                return None
    return None


def parse_processor(stat: bytes) -> int | None:
    """The processor that a thread ran on last; None when the line is cut short."""
    fields = stat[stat.rfind(b")") + 1 :].split()
    if len(fields) <= _PROCESSOR or not fields[_PROCESSOR].isdigit():
        return None
    return int(fields[_PROCESSOR])


def asleep_s(threads: Iterable[tuple[int, int]]) -> dict[int, float]:
    """By TID, how long each of these threads (PID, TID) has not run, in seconds; without those where nothing tells."""
    rows: dict[int, list[tuple[int, float]]] = {}
    for pid, tid in threads:
        folder = f"/proc/{pid}/task/{tid}"
        last, processor = parse_last_run(read(f"{folder}/sched")), parse_processor(read(f"{folder}/stat"))
        if last is not None and processor is not None:
            rows.setdefault(processor, []).append((tid, last))
    clocks = _clocks(rows)
    return {
        tid: max(0.0, clocks[processor] - last) / 1000
        for processor, found in rows.items()
        if processor in clocks
        for tid, last in found
    }


def _clocks(processors: Iterable[int]) -> dict[int, float]:
    """What the clock of each of these processors says now, in ms."""
    found: dict[int, float] = {}

    def visit() -> None:
        for processor in processors:
            try:
                os.sched_setaffinity(0, {processor})
            except OSError:
                continue
            last = parse_last_run(read("/proc/thread-self/sched"))
            if last is not None:
                found[processor] = last

    if processors:
        visitor = threading.Thread(target=visit, name="clock reader")  # its affinity ends with it
        visitor.start()
        visitor.join()
    return found
