"""Trees of processes and threads made by hand or at random, for tests of the process tree."""

from __future__ import annotations

from typing import Any

from cvdebug.core import events as ev
from cvdebug.core.model import WaitKind
from cvdebug.core.seen import ProcessSeen, ThreadSeen
from hypothesis import strategies as st

ROOT = 100
POOL = 12


def process(pid: int, ppid: int = ROOT, **more: Any) -> ProcessSeen:
    command = more.pop("command", ("python", "worker.py"))
    return ProcessSeen(pid=pid, ppid=ppid, start_ticks=more.pop("start_ticks", 1), command=command, **more)


def thread(pid: int, tid: int, **more: Any) -> ThreadSeen:
    said: dict[str, Any] = {"name": "MainThread", "state": "S", "status": "waits", "wait": "waits on a private futex"}
    return ThreadSeen(pid=pid, tid=tid, kind=WaitKind.FUTEX, **{**said, **more})


def pool(pid: int, count: int = POOL, **more: Any) -> list[ThreadSeen]:
    """The main thread of a process, and `count` threads that are alike."""
    return [thread(pid, pid), *(thread(pid, pid * 100 + n, name=f"rayon-{n}", **more) for n in range(count))]


def sampled(processes: list[ProcessSeen], threads: list[ThreadSeen], *, key: bool = True) -> ev.TreeSampled:
    return ev.TreeSampled(key=key, processes=tuple(processes), threads=tuple(threads))


def family(workers: int = 3, **more: Any) -> tuple[list[ProcessSeen], list[ThreadSeen]]:
    """A root with a pool of threads, and workers of one thread each."""
    processes = [process(ROOT, 1, role="subject", **more)]
    threads = pool(ROOT)
    for number in range(1, workers + 1):
        processes.append(process(ROOT + number, role=f"worker {number}", rss_bytes=number * 10_000_000))
        threads.append(thread(ROOT + number, ROOT + number, wait=f"waits for data on pipe {number}"))
    return processes, threads


@st.composite
def forests(draw: st.DrawFn) -> tuple[dict[int, ProcessSeen], dict[int, ThreadSeen]]:
    """Any processes at all: orphans, circles of parents, PIDs used again, threads of processes that are gone."""
    pids = draw(st.lists(st.integers(1, 12), unique=True, max_size=8))
    some = st.sampled_from(["", "worker", "a [b] c", "\x1b[31m", "漢字"])
    processes = {
        pid: ProcessSeen(pid=pid, ppid=draw(st.integers(0, 13)), start_ticks=draw(st.integers(0, 2)), role=draw(some),
                         cpu=draw(st.sampled_from([0.0, 0.5])), dead=draw(st.booleans()))
        for pid in pids
    }  # fmt: skip
    tids = draw(st.lists(st.integers(1, 40), unique=True, max_size=20))
    states = st.sampled_from(["", "R", "S", "T", "Z", "?"])
    threads = {
        tid: ThreadSeen(pid=draw(st.integers(1, 13)), tid=tid, name=draw(some), state=draw(states),
                        status=draw(st.sampled_from(["", "dead", "waits", "runs"])),
                        cpu=draw(st.sampled_from([0.0, 0.7])))
        for tid in tids
    }  # fmt: skip
    return processes, threads
