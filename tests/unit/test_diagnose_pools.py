"""A storm of workers on hand-made looks: how fast they come and go depends on the machine."""

from __future__ import annotations

import msgspec
import pytest
from cvdebug.core.diagnose.case import Case
from cvdebug.core.diagnose.closure import close
from cvdebug.core.diagnose.judge import judge
from cvdebug.core.model import Frame, ProcessSnapshot, Stack, ThreadSnapshot, TreeSnapshot, Wait, WaitKind

ROOT, REPLACES, HANDS_OUT, TAKES_IN, FIRST, LAST = 10, 11, 12, 13, 20, 22
PLACES = {
    ROOT: "ApplyResult.get",
    REPLACES: "Pool._handle_workers",
    HANDS_OUT: "Pool._handle_tasks",
    TAKES_IN: "Pool._handle_results",
}
LOCK = Wait(kind=WaitKind.FUTEX, text="waits on a lock", pids=(ROOT,), op=0x189)


def process(pid: int, *tids: int, moved: tuple[int, ...] = ()) -> ProcessSnapshot:
    threads = tuple(
        ThreadSnapshot(
            tid=tid,
            name="",
            state="S",
            syscall=None,
            wchan="",
            switches=5 + (tid in moved),
            cpu_ticks=10 * (pid != ROOT),
        )
        for tid in (pid, *tids)
    )
    return ProcessSnapshot(
        pid=pid,
        ppid=1 if pid == ROOT else ROOT,
        start_ticks=9,
        state="S",
        cmdline=("python",),
        rss_bytes=0,
        signals_caught=0,
        frozen=False,
        threads=threads,
    )


def case(*passing: int, moved: tuple[int, ...] = (REPLACES,)) -> Case:
    """A Pool whose first worker ends between the looks, and whose last one appears; `passing` live in between."""
    helpers = (REPLACES, HANDS_OUT, TAKES_IN)
    first = TreeSnapshot(
        root=ROOT,
        at_s=0.0,
        processes=(process(ROOT, *helpers), process(FIRST)),
        waits=dict.fromkeys((ROOT, *helpers, FIRST), LOCK),
        programs={ROOT: "python3.11", FIRST: "python3.11"},
    )
    second = msgspec.structs.replace(
        first, at_s=0.3, processes=(process(ROOT, *helpers, moved=moved), process(LAST)), waits={}
    )
    frames = {tid: (Frame(function=name, file="/multiprocessing/pool.py", line=1),) for tid, name in PLACES.items()}
    return Case(
        first=first,
        second=second,
        closure=close(first, second),
        stacks={tid: Stack(tid=tid, name="", frames=where) for tid, where in frames.items()},
        seen=(frozenset({ROOT, FIRST}), frozenset({ROOT, *passing}), frozenset({ROOT, LAST})),
    )


def test_a_worker_that_came_and_went_without_an_answer_is_a_storm() -> None:
    assert judge(case(21))[0].slug == "pool-respawn-storm"


@pytest.mark.parametrize(("passing", "moved"), [((), (REPLACES,)), ((21,), (REPLACES, TAKES_IN)), ((21,), ())])
def test_workers_that_answer_or_end_once_are_no_storm(passing: tuple[int, ...], moved: tuple[int, ...]) -> None:
    assert judge(case(*passing, moved=moved))[0].slug != "pool-respawn-storm"
