"""A process writes to a full pipe whose reader waits for that very process."""

from __future__ import annotations

from collections.abc import Iterator

from ...model import Certainty, Remedy, Verdict, WaitKind
from .. import places
from ..card import Card
from ..case import Case

CARD = Card(
    slug="pipe-full-cycle",
    title="A process waits for another one, which waits for it to read from a full pipe",
    certainty=Certainty.PROVEN,
    explanation=(
        "A pipe holds 64 KiB. A process that writes more than that has to wait until somebody reads. Here the one who"
        " should read waits instead for the writer: for its end, as with Popen.wait() or Process.join(), or for what it"
        " says on another pipe. So the writer cannot end before the pipe is read, and the pipe is not read before the"
        " writer ends. With little output the same program works, which is why it shows up late, and with big data."
    ),
    conditions=(
        "A thread waits without a timeout for room in a pipe or socket, in two looks.",
        "A process that holds the reading end waits, directly or through other processes, for the one that writes.",
        "Nobody else holds the reading end who could still read, and no timer, signal handler or living thread could"
        " end either wait.",
        "Where only threads live that sleep in a loop and read nothing, or only a handler for a signal that asks the"
        " program to end could end a wait, it is likely instead of proven.",
    ),
    fixes=(
        Remedy(
            title="Read while waiting",
            cost="all of the output is kept in memory; for very much of it write to a file",
            command="out, err = process.communicate()",
        ),
        Remedy(
            title="Read in a thread, or read everything before the join",
            cost="one thread for each pipe; with multiprocessing recv() has to come before join()",
            command="threading.Thread(target=process.stdout.read).start()",
        ),
        Remedy(
            title="Do not ask for a pipe whose content nobody wants",
            cost="the output is lost",
            command="subprocess.Popen(..., stdout=subprocess.DEVNULL)",
        ),
    ),
    disproof=(
        "A context switch of the writer (/proc/PID/status), or another living process with the reading end among its"
        " open files (ls -l /proc/*/fd), would disprove it."
    ),
    links=(
        "https://docs.python.org/3/library/subprocess.html#subprocess.Popen.wait",
        "https://github.com/localstack/localstack/issues/1101",
        "https://github.com/dagster-io/dagster/issues/6435",
    ),
    yields_to=("queue-join-before-drain",),
    beside_idlers=True,
    beside_handlers=True,
)

# Waits for another process; a lock or a sleep is none.
_FOR_OTHERS = frozenset(
    {
        WaitKind.CHILD,
        WaitKind.PIPE_READ,
        WaitKind.PIPE_WRITE,
        WaitKind.SOCKET,
        WaitKind.POLL,
        WaitKind.SELECT,
        WaitKind.EPOLL,
    }
)


def match(case: Case) -> Iterator[Verdict]:
    """Proven for each dead writer whose reader waits for it."""
    for thread in case.closure.dead_threads:
        reader = _reader(case, thread.tid) if places.writes(case, thread.tid) else None
        if reader is not None:
            yield CARD.verdict(
                culprits=[case.culprit(reader), case.culprit(thread.tid)],
                evidence=places.described(case, [reader, thread.tid]),
            )


def _reader(case: Case, writer: int) -> int | None:
    """A thread that waits for the writer's process, of a process that could read what it writes."""
    for pid in case.wait(writer).pids:
        if pid == case.owner(writer):
            continue
        for tid in places.dead_threads(case, pid):
            if case.wait(tid).kind in _FOR_OTHERS and places.leads_to(case, tid, case.owner(writer)):
                return tid
    return None
