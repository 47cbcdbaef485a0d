"""The interpreter is at its end and waits for a thread that never ends."""

from __future__ import annotations

from collections.abc import Iterator

from ...model import Certainty, Remedy, Verdict
from .. import places
from ..card import Card
from ..case import Case

CARD = Card(
    slug="exit-join-waits-thread",
    title="The program is done, and waits at its exit for a thread that waits for ever",
    certainty=Certainty.PROVEN,
    explanation=(
        "Python ends only when all threads that are not daemons have ended; after the last line of the main program it"
        " joins them, and so does concurrent.futures with the threads of its pools. Here such a thread waits for"
        " something that only another thread of the process could bring about: an item on a queue, an event, a lock."
        " All the others wait too, so it never comes. Mostly the message that tells the thread to stop was forgotten,"
        " or lost in an exception."
    ),
    conditions=(
        "The main thread is in threading._shutdown, or in _python_exit of concurrent.futures.",
        "Every thread of the process waits without a timeout for another thread of the process, in two looks.",
    ),
    fixes=(
        Remedy(
            title="Tell the thread to end",
            cost="it has to look: a last item on the queue, or an event",
            command="queue.put(None)",
        ),
        Remedy(
            title="Make it a daemon",
            cost="it is cut off in the middle of whatever it does",
            command="threading.Thread(..., daemon=True)",
        ),
        Remedy(
            title="Wait with a timeout in the thread",
            cost="it wakes up now and then",
            command="queue.get(timeout=1)",
        ),
    ),
    disproof="A further thread in /proc/PID/task, or a context switch of one of these threads, would disprove it.",
    links=(
        "https://docs.python.org/3/library/threading.html#thread-objects",
        "https://docs.python.org/3/library/atexit.html",
    ),
    yields_to=(
        "thread-lock-cycle",
        "executor-self-wait",
        "event-loop-blocked",
        "asyncio-await-never",
        "http-pool-exhausted",
    ),
)


def match(case: Case) -> Iterator[Verdict]:
    """Proven for each dead process that is at its end, and whose threads wait for nobody outside."""
    for pid in case.dead_processes:
        tids = places.dead_threads(case, pid)
        alone = all(set(case.wait(tid).pids) <= {pid} for tid in tids)
        stuck = [tid for tid in tids if tid != pid and case.python_frame(tid)]
        if alone and stuck and _is_at_exit(case, pid):
            shown = [stuck[0], pid, *stuck[1:]]
            yield CARD.verdict(culprits=[case.culprit(tid) for tid in shown], evidence=places.described(case, shown))


def _is_at_exit(case: Case, pid: int) -> bool:
    return case.inside(pid, places.THREADING, "_shutdown") or case.inside(pid, places.POOL_THREAD, "_python_exit")
