"""A request waits for a connection of a pool whose connections are all taken and never given back."""

from __future__ import annotations

from collections.abc import Iterator

from ...model import Certainty, DescriptorKind, Remedy, Verdict, WaitKind
from .. import places
from ..card import Card
from ..case import Case

CARD = Card(
    slug="http-pool-exhausted",
    title="A request waits for a free connection, and the program itself holds them all",
    certainty=Certainty.PROVEN,
    explanation=(
        "An HTTP client keeps a limited number of connections. A connection goes back to the pool when its response has"
        " been read to the end or closed. Streamed responses that were opened and never closed keep theirs, and when"
        " all are taken the next request waits for one. The pool's timeout is switched off here, so it waits for ever:"
        " nobody but the program itself could close a response, and all of its threads wait. The server has nothing to"
        " do with it."
    ),
    conditions=(
        "A thread waits without a timeout in the pool of httpx (httpcore) or of urllib3 for a connection.",
        "Every other thread of the process waits without a timeout too.",
        "Where only a thread lives that sleeps in a loop and touches no response, it is likely instead of proven.",
    ),
    fixes=(
        Remedy(
            title="Close every streamed response",
            cost="none",
            command='with client.stream("GET", url) as response: ...',
        ),
        Remedy(
            title="Leave the pool's timeout on",
            cost="httpx.PoolTimeout is raised instead, after 5 s by default",
            command="httpx.Timeout(None, pool=5.0)",
        ),
        Remedy(
            title="Allow more connections",
            cost="more open sockets, here and at the server; a leak fills these as well",
            command="httpx.Limits(max_connections=...)",
        ),
    ),
    disproof="A context switch of this thread, or a further thread in /proc/PID/task, would disprove it.",
    links=(
        "https://github.com/encode/httpx/issues/557",
        "https://github.com/encode/httpcore/issues/550",
        "https://github.com/encode/httpcore/issues/822",
        "https://github.com/LearningCircuit/local-deep-research/issues/5704",
    ),
    beside_idlers=True,
)

_POOLS = (("/connection_pool.py", "wait_for_connection"), ("urllib3/connectionpool.py", "_get_conn"))


def match(case: Case) -> Iterator[Verdict]:
    """Proven for each process with a dead thread that waits for a connection of its pool."""
    for pid in case.dead_processes:
        tids = [tid for tid in places.dead_threads(case, pid) if _waits(case, tid)]
        if tids:
            sockets = sum(item.kind is DescriptorKind.SOCKET for item in case.first.descriptors.get(pid, ()))
            yield CARD.verdict(
                culprits=[case.culprit(tid) for tid in tids],
                evidence=(*places.described(case, tids), f"PID {pid} has {sockets} open sockets (/proc/{pid}/fd)"),
            )


def _waits(case: Case, tid: int) -> bool:
    return case.wait(tid).kind is WaitKind.FUTEX and any(case.inside(tid, file, name) for file, name in _POOLS)
