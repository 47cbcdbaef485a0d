"""A blocking call in a coroutine waits for something that its own event loop would have to do."""

from __future__ import annotations

from collections.abc import Iterator

from ...model import Certainty, Remedy, Verdict, WaitKind
from .. import facts, places
from ..card import Card
from ..case import Case

CARD = Card(
    slug="event-loop-blocked",
    title="A coroutine blocks its event loop, and waits for something that only this loop could do",
    certainty=Certainty.PROVEN,
    explanation=(
        "An event loop runs one callback at a time, and goes on only when that one awaits or returns. Here a coroutine"
        " has made a call that blocks the whole thread: a receive from a socket, a queue, a lock, a result(). What it"
        " waits for would have to come from the same loop: a server that it runs, another coroutine, a callback. The"
        " loop cannot run it, because it stands in this call."
    ),
    conditions=(
        "A thread waits without a timeout inside of a callback of an asyncio loop (Handle._run), not in the loop's"
        " own select.",
        "Only its own process could end the wait, and every thread that could is in such a wait itself.",
    ),
    fixes=(
        Remedy(
            title="Move the blocking call into a thread",
            cost="a thread; what it touches must be safe to use there",
            command="await asyncio.to_thread(call, ...)",
        ),
        Remedy(
            title="Use the asynchronous counterpart",
            cost="the callers become coroutines too",
            command="asyncio.Queue, asyncio.Lock, asyncio.open_connection, httpx.AsyncClient",
        ),
        Remedy(title="Give the blocking call a timeout", cost="the loop stands still until it expires"),
    ),
    disproof="A context switch of this thread, or a further thread in /proc/PID/task, would disprove it.",
    links=(
        "https://docs.python.org/3/library/asyncio-dev.html#running-blocking-code",
        "https://docs.python.org/3/library/asyncio-task.html#running-in-threads",
    ),
    yields_to=("thread-lock-cycle", "executor-self-wait"),
    beside_idlers=True,
)

_KINDS = frozenset({WaitKind.SOCKET, WaitKind.FUTEX, WaitKind.PIPE_READ, WaitKind.PIPE_WRITE, WaitKind.POLL})


def match(case: Case) -> Iterator[Verdict]:
    """Proven for each dead thread that waits in a callback of its loop for its own process."""
    for thread in case.closure.dead_threads:
        tid, wait = thread.tid, case.wait(thread.tid)
        callback = places.loop_callback(case, tid)
        if callback and wait.kind in _KINDS and set(wait.pids) <= {thread.pid} and not places.in_selector(case, tid):
            yield CARD.verdict(
                culprits=[case.culprit(tid)],
                evidence=(
                    *places.described(case, [tid]),
                    f"{case.who(tid)}: the loop's callback is {facts.calls(callback)}",
                ),
            )
