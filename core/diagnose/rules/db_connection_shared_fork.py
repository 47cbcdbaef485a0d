"""One database connection that is used on both sides of a fork."""

from __future__ import annotations

from collections.abc import Iterator

from ...model import Certainty, DescriptorKind, Remedy, Verdict, WaitKind
from .. import database, facts
from ..card import Card
from ..case import Case
from ..database import Party

CARD = Card(
    slug="db-connection-shared-fork",
    title="A forked process waits on a database connection that it shares with another one",
    certainty=Certainty.CERTAIN,
    explanation=(
        "The connection was opened before a fork, and so both processes hold the same socket. Whatever the server"
        " sends is read by whoever comes first: one process takes the answer that the other one waits for. The server"
        " has answered and now waits for the next statement, the process waits for an answer that is gone, and nothing"
        " is on its way. With TLS the two ruin each other's encryption as well. Engines and pools that were made before"
        " the workers are forked bring this about."
    ),
    conditions=(
        "Two processes of the tree hold the same socket to a server process (the same inode in /proc/PID/fd).",
        "A thread waits in a database library for an answer on it, while the server process is idle in both looks.",
        "Nothing lies unread at either end.",
    ),
    fixes=(
        Remedy(
            title="Connect after the fork, in each worker",
            cost="one connection for each worker",
            command="Pool(initializer=connect)",
        ),
        Remedy(
            title="Throw the inherited pool away in the child, without closing it",
            cost="one hook; closing it would end the parent's connection as well",
            command="os.register_at_fork(after_in_child=lambda: engine.dispose(close=False))",
        ),
    ),
    disproof="Unread bytes on the socket (ss -xp, ss -tnp), or a server process that works, disprove it.",
    links=(
        "https://github.com/psycopg/psycopg2/issues/487",
        "https://github.com/psycopg/psycopg2/issues/281",
        "https://github.com/psycopg/psycopg2/issues/853",
        "https://github.com/psycopg/psycopg/issues/651",
        "https://github.com/PlanExeOrg/PlanExe/issues/674",
    ),
)


def match(case: Case) -> Iterator[Verdict]:
    """Certain, for each thread that waits so; likely when an event loop waits."""
    everyone = database.parties(case).values()
    for party in everyone:
        backend = party.backend
        if backend is None or not backend.client_inode or backend.moved or backend.queued_bytes:
            continue
        holders = _holders(case, backend.client_inode)
        if len(holders) > 1 and party.state in ("idle", "idle in transaction"):
            for pid in holders:
                alone = sum(pid in other.clients for other in everyone) == 1
                yield from _verdicts(case, pid, holders, party, alone=alone)


def _verdicts(case: Case, pid: int, holders: list[int], party: Party, *, alone: bool) -> Iterator[Verdict]:
    """`alone`: the process has no other session. A look may hit the moment in which psycopg looks up."""
    inode = party.backend.client_inode if party.backend else 0
    for thread in case.threads(pid):
        wait = case.wait(thread.tid)
        waits = inode in wait.inodes or (alone and not wait.inodes and database.waits_for(case, thread.tid, party))
        if waits and (certainty := _certainty(case, thread.tid, holders)):
            yield CARD.verdict(
                culprits=[case.culprit(thread.tid)],
                certainty=certainty,
                evidence=(
                    f"{case.who(thread.tid)}: {wait.text}",
                    *facts.of_stack(case, thread.tid),
                    f"socket:[{inode}] is open in PID {', '.join(map(str, holders))} (/proc/PID/fd)",
                    f"{party.words}: it waits for a statement, while the program waits for its answer",
                    f"nothing lies unread at either end of socket {inode}",
                ),
            )


def _certainty(case: Case, tid: int, holders: list[int]) -> Certainty | None:
    """None where the program may only listen."""
    pid, kind = case.owner(tid), case.wait(tid).kind
    if case.python_frame(tid) is None:
        return None
    if database.in_query(case, tid):
        return Certainty.CERTAIN
    if kind is WaitKind.EPOLL:
        # A loop of the child's own has the inherited socket only while psycopg waits for an answer on it.
        inherited = case.processes[pid].forked and case.processes[pid].ppid in holders
        return Certainty.LIKELY if inherited and case.inside(tid, "asyncio/base_events.py", "run_forever") else None
    asks = kind in (WaitKind.POLL, WaitKind.SOCKET) and not database.is_own_wait(case, tid)
    return Certainty.CERTAIN if asks else None


def _holders(case: Case, inode: int) -> list[int]:
    """The processes of the tree that hold a socket."""
    return [
        pid
        for pid, items in case.first.descriptors.items()
        if any(item.kind is DescriptorKind.SOCKET and item.inode == inode for item in items)
    ]
