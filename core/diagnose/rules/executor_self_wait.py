"""Tasks of a thread pool wait for tasks that are queued behind them."""

from __future__ import annotations

from collections.abc import Iterator

from ...model import Certainty, Remedy, Verdict
from .. import places
from ..card import Card
from ..case import Case

CARD = Card(
    slug="executor-self-wait",
    title="Tasks of a thread pool wait for tasks that only their own pool could run",
    certainty=Certainty.PROVEN,
    explanation=(
        "A task of a thread pool has submitted another task to the same pool and waits for its result. The pool has a"
        " limited number of threads, and each of them is taken by a task that waits like this. So the tasks they wait"
        " for stay in the queue, and no thread will ever come free to run them. With more threads than nested tasks"
        " the same program works."
    ),
    conditions=(
        "Threads of a pool wait within a task for another task's result, without a timeout.",
        "No thread of the same pool is free, and every thread of the process waits, so that nobody could finish the"
        " tasks they wait for.",
        "Where only a thread lives that sleeps in a loop and calls nothing that could finish a task, it is likely"
        " instead of proven.",
    ),
    fixes=(
        Remedy(
            title="Give the inner tasks a pool of their own",
            cost="more threads",
            command="inner = ThreadPoolExecutor(...)",
        ),
        Remedy(
            title="Do not wait within a task",
            cost="the code that needs the result moves to the caller, or into a callback",
            command="future.add_done_callback(...)",
        ),
        Remedy(title="Call the inner function directly", cost="it runs in the same thread, one after the other"),
    ),
    disproof=(
        "A thread of the pool that waits for work, a further thread in the process, or a context switch of one of these"
        " threads would disprove it."
    ),
    links=("https://docs.python.org/3/library/concurrent.futures.html#threadpoolexecutor",),
    beside_idlers=True,
)

_PROCESS_POOL = "futures/process.py"
_POOL = ("multiprocessing/pool.py", "multiprocess/pool.py")


def match(case: Case) -> Iterator[Verdict]:
    """Proven for each dead process that has a pool all of whose threads wait for results."""
    for pid in case.dead_processes:
        tids = places.dead_threads(case, pid)
        waiting = [tid for pool in _pools(case, tids) if all(_waits(case, tid) for tid in pool) for tid in pool]
        if waiting and not any(_could_answer(case, tid) for tid in tids):
            yield CARD.verdict(
                culprits=[case.culprit(tid) for tid in waiting], evidence=places.described(case, waiting)
            )


def _pools(case: Case, tids: tuple[int, ...]) -> list[list[int]]:
    """The threads of each pool: ThreadPoolExecutor numbers their names, those of a ThreadPool count as one pool."""
    found: dict[str, list[int]] = {}
    for tid in tids:
        if case.inside(tid, places.POOL_THREAD, "_worker"):
            found.setdefault(case.stacks[tid].name.rpartition("_")[0], []).append(tid)
        elif _in_thread_pool(case, tid):
            found.setdefault("ThreadPool", []).append(tid)
    return list(found.values())


def _in_thread_pool(case: Case, tid: int) -> bool:
    return tid != case.owner(tid) and any(case.inside(tid, file, "worker") for file in _POOL)


def _waits(case: Case, tid: int) -> bool:
    """For a result, within a task."""
    if _in_thread_pool(case, tid):
        return any(case.inside(tid, file, "get", "next") for file in _POOL)
    wanted = case.inside(tid, places.FUTURES, "result", "exception", "wait", "as_completed", "result_iterator")
    return wanted and places.runs_task(case, tid)


def _could_answer(case: Case, tid: int) -> bool:
    """Whether the result may be another's to give: of a pool of processes, or of a blocked event loop."""
    return case.inside(tid, _PROCESS_POOL, "run", "wait_result_broken_or_wakeup") or bool(
        places.loop_callback(case, tid) or places.in_selector(case, tid)
    )
