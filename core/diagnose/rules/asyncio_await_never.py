"""Every task of an event loop awaits something that nobody will complete."""

from __future__ import annotations

from collections.abc import Iterator

from ...model import Certainty, Remedy, Verdict, WaitKind
from .. import forks, launchers, places
from ..card import Card
from ..case import Case

CARD = Card(
    slug="asyncio-await-never",
    title="All tasks of an event loop wait for each other, or for nobody",
    certainty=Certainty.PROVEN,
    explanation=(
        "The loop has nothing to run, no timer to wait for and no connection to listen to: the only descriptor in its"
        " set is the pipe by which it wakes itself. So every task awaits a future, a queue, an event or a lock that"
        " another task or thread would have to complete, and all of those wait as well. Often a task that should have"
        " done it ended early, by an exception that nobody looked at. Which await it is cannot be seen from outside,"
        " because tasks that wait have no stack."
    ),
    conditions=(
        "A thread waits without a timeout in the select of an asyncio loop, in two looks.",
        "Its set holds only descriptors whose other ends are in the same process, such as the loop's own wake-up pipe.",
        "Every other thread of the process waits without a timeout too, and there is no Python signal handler but"
        " that of Ctrl-C.",
        "Where only threads live that sleep in a loop, print nothing, and call nothing that could complete a future, it"
        " is likely instead of proven, and only of a loop on the main thread: another one may wait for work.",
    ),
    fixes=(
        Remedy(
            title="Ask Python which await it is",
            cost="nothing; it needs Python 3.14 or later",
            command="python -m asyncio pstree PID",
        ),
        Remedy(
            title="Put a timeout around what is awaited",
            cost="the program must know what to do when it expires",
            command="async with asyncio.timeout(30): ...",
        ),
        Remedy(
            title="Let a task that fails end the others",
            cost="none; Python 3.11 or later",
            command="async with asyncio.TaskGroup() as group: ...",
        ),
    ),
    disproof=(
        "A line `tfd:` in /proc/PID/fdinfo/EPFD for a connection to somebody else, a further thread in /proc/PID/task,"
        " or a context switch of this thread would disprove it."
    ),
    links=(
        "https://docs.python.org/3/library/asyncio-task.html#asyncio.timeout",
        "https://docs.python.org/3/library/asyncio-dev.html#debug-mode",
    ),
    yields_to=("thread-lock-cycle", "executor-self-wait"),
    beside_idlers=True,
)

_SETS = frozenset({WaitKind.EPOLL, WaitKind.POLL, WaitKind.SELECT})


def match(case: Case) -> Iterator[Verdict]:
    """Proven for each dead thread in a loop whose descriptors lead to its own process alone."""
    for thread in case.closure.dead_threads:
        wait = case.wait(thread.tid)
        if case.without_idle and (thread.tid != thread.pid or any(idler.talks for idler in case.idle.values())):
            continue
        kept = launchers.at_work(case, thread.pid) or launchers.is_kept(case, thread.pid)
        if kept or forks.awaits_tokio(case, thread.pid):
            continue
        if wait.kind in _SETS and set(wait.pids) <= {thread.pid} and places.in_selector(case, thread.tid):
            others = [tid for tid in places.dead_threads(case, thread.pid) if tid != thread.tid]
            yield CARD.verdict(
                culprits=[case.culprit(thread.tid)], evidence=places.described(case, [thread.tid, *others])
            )
