"""The thread of a Pool that takes in results is gone."""

from __future__ import annotations

from collections.abc import Iterator

from ...model import Certainty, Remedy, Verdict
from .. import facts, pools
from ..card import Card
from ..case import Case
from ..pools import Pools

CARD = Card(
    slug="pool-result-thread-died",
    title="The thread of a Pool that takes in results has died, and no answer gets through",
    certainty=Certainty.CERTAIN,
    explanation=(
        "A worker sent back a result or an exception that could be pickled but not unpickled: typically an exception"
        " whose __init__ takes arguments that it does not hand on, like httpx.HTTPStatusError with its keywords. The"
        " parent unpickles in the Pool's result thread, outside of any try: the error ends that thread, and with it"
        " every answer that was still to come. The traceback went to standard error, and the rest of the program does"
        " not know. As soon as one more result lies in the pipe, the Pool's repair thread finds it readable again and"
        " again, and uses a whole core for nothing, so that the program looks busy."
    ),
    conditions=(
        "A thread waits for an answer of a Pool (get, wait, next, or join of a closed Pool), in two looks.",
        "The same process has the Pool's threads _handle_workers and _handle_tasks, but no _handle_results.",
    ),
    fixes=(
        Remedy(
            title="Catch the exception in the worker, and raise a plain one",
            cost="the type of the original is lost, unless its name is put into the text",
            command="except Exception as error: raise RuntimeError(repr(error)) from None",
        ),
        Remedy(
            title="Give the exception a __reduce__ that fits its __init__",
            cost="only for classes of one's own; try pickle.loads(pickle.dumps(error)) on each",
        ),
        Remedy(
            title="Use concurrent.futures.ProcessPoolExecutor",
            cost="it ends the whole executor with BrokenProcessPool, and says why",
            command="with concurrent.futures.ProcessPoolExecutor() as executor: ...",
        ),
    ),
    disproof=(
        "A thread in Pool._handle_results (py-spy dump --pid PID) would disprove it. A traceback of that thread on"
        " standard error confirms it and names the class."
    ),
    links=(
        "https://github.com/python/cpython/issues/79492",
        "https://github.com/python/cpython/issues/103061",
        "https://github.com/amoffat/sh/issues/458",
    ),
)


def match(case: Case) -> Iterator[Verdict]:
    """Certain for each process that waits for an answer of a Pool which cannot take one in."""
    for found in pools.pools(case):
        waiters = [tid for tid in found.waiters if not case.moved(tid)]
        whole = len(found.feeders) == len(found.replacers)
        if waiters and whole and len(found.collectors) < len(found.replacers) and not _in_motion(case, found):
            yield CARD.verdict(
                culprits=[case.culprit(tid) for tid in waiters],
                evidence=[line for tid in waiters for line in _evidence(case, found, tid)],
            )


def _in_motion(case: Case, found: Pools) -> bool:
    """Whether a Pool is being made or taken down: then some of its threads are missing for a moment."""
    tids = [thread.tid for thread in case.threads(found.pid)]
    return any(pools.calls(case, tid, "__init__", "_terminate_pool", "terminate") for tid in tids)


def _evidence(case: Case, found: Pools, tid: int) -> Iterator[str]:
    yield f"{case.who(tid)}: waits for an answer of a Pool: {facts.calls(pools.own_frames(case, tid))}"
    yield from facts.of_stillness(case, tid)
    yield (
        f"PID {found.pid} has {len(found.replacers)} thread in Pool._handle_workers, {len(found.feeders)} in"
        f" _handle_tasks, and {len(found.collectors)} in _handle_results, where results are taken in"
    )
    for replacer in found.replacers:
        yield from facts.of_cpu(case, replacer)
    idle = [pid for pid in found.workers if pools.is_idle(case, pid)]
    if found.workers:
        yield f"{len(idle)} of {len(found.workers)} workers are idle, in SimpleQueue.get"
