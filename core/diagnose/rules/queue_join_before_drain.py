"""A process is joined before the queue is read that it has filled."""

from __future__ import annotations

from collections.abc import Iterator

from ...model import Certainty, Remedy, Verdict
from .. import places
from ..card import Card
from ..case import Case

CARD = Card(
    slug="queue-join-before-drain",
    title="A parent joins a child that cannot end before its queue is read",
    certainty=Certainty.PROVEN,
    explanation=(
        "multiprocessing.Queue.put() does not write: it leaves the item to a feeder thread, which writes it to a pipe."
        " A process that has put something on a queue waits at its end for that thread, so that nothing is lost. The"
        " pipe is full here, and the process that could read from it waits in join() for the child's end. Small items"
        " fit into the pipe's 64 KiB, so that the same program works until the results grow."
    ),
    conditions=(
        "A thread waits in Queue._feed of multiprocessing for room in the queue's pipe.",
        "Its process waits at its end, in Queue._finalize_join, for that thread.",
        "A process that could read the queue waits, directly or through others, for that process to end.",
        "Nobody who lives could read the queue, or end one of these waits.",
        "Where only threads live that sleep in a loop and read nothing, or only a handler for a signal that asks the"
        " program to end could end a wait, it is likely instead of proven.",
    ),
    fixes=(
        Remedy(
            title="Read the queue before join()",
            cost="the parent has to know how many items come, or to send a last one that says so",
            command="results = [queue.get() for _ in workers]; [worker.join() for worker in workers]",
        ),
        Remedy(
            title="Let the child end without its items",
            cost="what is not written yet is lost",
            command="queue.cancel_join_thread()",
        ),
        Remedy(
            title="Use a pool, which reads the results itself",
            cost="results come when the pool gives them, not through a queue of your own",
            command="concurrent.futures.ProcessPoolExecutor",
        ),
    ),
    disproof=(
        "A context switch of the feeder thread (/proc/PID/task/TID/status), or another living process with the reading"
        " end of the pipe among its open files, would disprove it."
    ),
    links=(
        "https://docs.python.org/3/library/multiprocessing.html#programming-guidelines",
        "https://github.com/python/cpython/issues/78321",
    ),
    beside_idlers=True,
    beside_handlers=True,
)


def match(case: Case) -> Iterator[Verdict]:
    """Proven for each dead feeder thread whose process ends, and whose reader waits for that end."""
    for thread in case.closure.dead_threads:
        feeds = any(case.inside(thread.tid, file, "_feed") for file in places.QUEUES)
        if not feeds or not places.writes(case, thread.tid):
            continue
        ending = [tid for tid in places.dead_threads(case, thread.pid) if _ends(case, tid)]
        readers = _readers(case, thread.tid)
        if ending and readers:
            culprits = [readers[0], ending[0], thread.tid]
            yield CARD.verdict(
                culprits=[case.culprit(tid) for tid in culprits], evidence=places.described(case, culprits)
            )


def _ends(case: Case, tid: int) -> bool:
    return any(case.inside(tid, file, "_finalize_join") for file in places.QUEUES)


def _readers(case: Case, feeder: int) -> list[int]:
    """Threads of other processes that could read the queue, and wait for the feeder's process."""
    pid = case.owner(feeder)
    others = (other for other in case.wait(feeder).pids if other != pid)
    return [tid for other in others for tid in places.dead_threads(case, other) if places.leads_to(case, tid, pid)]
