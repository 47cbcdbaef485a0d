"""A native call sleeps and keeps the GIL, so that no other thread can run Python."""

from __future__ import annotations

from collections.abc import Iterator

from ...model import Certainty, Remedy, Verdict, WaitKind
from .. import facts, pace
from ..card import Card
from ..case import Case

CARD = Card(
    slug="gil-held-by-native-call",
    title="A native call sleeps and keeps the GIL: no other thread can run Python",
    certainty=Certainty.LIKELY,
    explanation=(
        "Only the thread that has the GIL runs Python. Native code has to give it up before it waits for anything; here"
        " a call waits in the kernel and still has it. All other Python threads ask for the GIL every 5 ms and do not"
        " get it, which makes them look active: about 200 context switches a second, with no work behind them. If what"
        " the call waits for has to come from one of those threads, it never comes. Signal handlers written in Python"
        " do not run either."
    ),
    conditions=(
        "py-spy says of a thread that it owns the GIL, and that it sleeps.",
        "It is in the same wait in two looks and did not move; no timer and nobody outside of the tree ends that wait,"
        " and no process of the tree that has something to do of its own.",
        "At least one other thread of the process asks for the GIL, more than 100 times a second, and gets nothing.",
    ),
    fixes=(
        Remedy(
            title="Release the GIL around the blocking call",
            cost="a change of the extension, or ctypes.CDLL in place of ctypes.PyDLL",
            command="Py_BEGIN_ALLOW_THREADS ... Py_END_ALLOW_THREADS",
        ),
        Remedy(title="Give the call a timeout", cost="the other threads still stand still for that long"),
        Remedy(
            title="Run the call in a process of its own",
            cost="what goes in and out must be picklable",
        ),
    ),
    disproof="If the call returns by itself, because what it waits for comes from another process, it was only slow.",
    links=(
        "https://docs.python.org/3/c-api/init.html#releasing-the-gil-from-extension-code",
        "https://docs.python.org/3/library/ctypes.html#ctypes.PyDLL",
    ),
)

_SHOWN = 3


def match(case: Case) -> Iterator[Verdict]:
    """Likely, for each thread that keeps the GIL asleep while others ask for it in vain."""
    for tid, stack in case.stacks.items():
        if not (stack.owns_gil and not stack.on_cpu and _sleeps(case, tid)):
            continue
        asking = [each.tid for each in case.threads(case.owner(tid)) if pace.wants_gil(case, each.tid)]
        if asking:
            yield CARD.verdict(
                culprits=[case.culprit(tid)],
                evidence=(
                    f"{case.who(tid)}: owns the GIL and sleeps (py-spy dump)",
                    f"{case.who(tid)}: {case.wait(tid).text}",
                    *facts.of_stillness(case, tid),
                    *facts.of_stack(case, tid),
                    *(line for other in asking[:_SHOWN] for line in facts.of_cpu(case, other)),
                ),
            )


def _sleeps(case: Case, tid: int) -> bool:
    """In one wait in both looks that nobody outside ends: a signal may, but its Python handler cannot run."""
    wait = case.wait(tid)
    if wait.timed or (wait.external and wait.kind is not WaitKind.SIGNAL):
        return False
    now = case.thread(tid)
    still = now is not None and not case.moved(tid) and now.state == "S" and now.syscall is not None
    return still and not any(pace.lives_alone(case, other) for other in _others(case, tid))


def _others(case: Case, tid: int) -> Iterator[int]:
    """The threads of other processes that may end the wait, directly or through each other. Those of the thread's own
    process wait for the GIL."""
    own = case.owner(tid)
    queue = [pid for pid in case.wait(tid).pids if pid != own]
    for pid in queue:
        for thread in case.threads(pid):
            yield thread.tid
            queue.extend(other for other in case.wait(thread.tid).pids if other != own and other not in queue)
