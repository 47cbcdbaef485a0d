"""A worker of a Pool ended with a task in its hands, and nobody will ever answer for it."""

from __future__ import annotations

from collections.abc import Iterator

from ...model import Certainty, Remedy, Verdict
from .. import pools
from ..card import Card
from ..case import Case

CARD = Card(
    slug="pool-task-lost",
    title="A worker of a Pool ended in the middle of a task, and its answer will never come",
    certainty=Certainty.PROVEN,
    explanation=(
        "A worker of a multiprocessing.Pool took a task and ended before it answered: the out-of-memory killer or"
        " somebody's SIGKILL ended it, a native library crashed, or the task called sys.exit or os._exit. The Pool"
        " notices only that a worker is missing, and starts another one. It keeps no list of who works on what, so the"
        " task that the dead worker had taken is neither run again nor reported as failed. Whoever called get, map,"
        " next or join waits for that one answer, while all workers, the replacement included, wait for new tasks."
    ),
    conditions=(
        "A thread waits for an answer of a Pool (get, wait, next, or join of a closed Pool), in two looks.",
        "All workers of the Pool are idle, and one of them reads the pipe of tasks, which is therefore empty.",
        "The Pool's own threads have no task to hand out and no answer to take in.",
        "At least one worker is a replacement: it was started after the Pool was made.",
        "Proven when nothing could wake the waiter; certain when a thread beside it keeps the process alive.",
    ),
    fixes=(
        Remedy(
            title="Use concurrent.futures.ProcessPoolExecutor",
            cost="the loss of a worker ends the whole executor: every pending task raises BrokenProcessPool",
            command="with concurrent.futures.ProcessPoolExecutor() as executor: ...",
        ),
        Remedy(
            title="Find out what ended the worker, and take that away",
            cost="fewer workers or smaller batches need less memory and take longer",
            command="dmesg | grep -iE 'killed process|segfault'",
        ),
        Remedy(
            title="Wait with a timeout, and start the rest of the work anew when it passes",
            cost="the longest healthy task has to be known",
            command="result.get(timeout=600)",
        ),
        Remedy(
            title="Do not leave a task with sys.exit, os._exit or an exception that is no Exception",
            cost="nothing: raise an ordinary exception, and get raises it",
        ),
    ),
    disproof=(
        "A context switch of any worker, or of the Pool's threads, would disprove it. If no worker ended, but the Pool"
        " was made with maxtasksperchild, look whether the answer belongs to another Pool that was terminated."
    ),
    links=(
        "https://github.com/python/cpython/issues/96062",
        "https://github.com/python/cpython/issues/82265",
        "https://github.com/python/cpython/pull/10441",
        "https://github.com/lenskit/lkpy/issues/290",
        "https://github.com/mapillary/OpenSfM/issues/190",
    ),
    yields_to=("worker-died-shm-full",),
)


def match(case: Case) -> Iterator[Verdict]:
    """For each process whose Pools rest while an answer is awaited."""
    for loss in pools.losses(case):
        yield CARD.verdict(
            culprits=[case.culprit(tid) for tid in (*loss.replacements, *loss.pools.waiters)],
            evidence=pools.of_loss(case, loss),
            certainty=loss.certainty,
        )
