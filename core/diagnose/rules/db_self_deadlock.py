"""A program that waits on one connection for a lock which it holds itself by another."""

from __future__ import annotations

from collections.abc import Iterator

from ...model import Certainty, Remedy, Verdict
from .. import database
from ..card import Card
from ..case import Case
from ..database import Blocked

CARD = Card(
    slug="db-self-deadlock",
    title="The program waits for a lock that it holds itself, on its other connection",
    certainty=Certainty.CERTAIN,
    explanation=(
        "The process has two connections to the same database. On the first it has a transaction open, which holds a"
        " lock; on the second it waits for that lock. Only a commit on the first connection could free it, and the one"
        " who would have to commit is the one who waits. PostgreSQL cannot see this circle: to the server the first"
        " session is merely idle, so its deadlock detector never fires. Pools and ORMs make it easy, as they hand out"
        " a second connection where one expects the first."
    ),
    conditions=(
        "The server process that serves the program waits for a lock.",
        "The session that holds it is idle in transaction, and the same process opened its connection.",
        "Every thread of that process waits for the blocked statement: then it is certain, else likely.",
    ),
    fixes=(
        Remedy(
            title="Commit on the first connection before the second one needs the lock",
            cost="what was read before is no longer of the same snapshot",
        ),
        Remedy(
            title="Do both on one connection",
            cost="both then succeed or fail together",
        ),
        Remedy(
            title="Give the waiting session a lock_timeout",
            cost="the statement fails with an error that says so, instead of waiting",
            command="SET lock_timeout = '5s'",
        ),
    ),
    disproof="A commit, by a thread that was not seen to wait, or a lock_timeout of the waiting session disproves it.",
    links=("https://github.com/psycopg/psycopg2/issues/1654",),
)


def match(case: Case) -> Iterator[Verdict]:
    """Certain when no thread of the process could commit; likely when some other thread of it might."""
    for each in database.blocked(case):
        own = [root for root in each.roots if root.forgotten and root.owner and root.owner == each.waiter.owner]
        if own and (each.known or len(own) == len(each.roots)):
            stuck = database.is_stuck(case, each.waiter.owner, database.stuck_behind(case, each.waiter))
            yield CARD.verdict(
                culprits=[case.culprit(each.tid)],
                evidence=_evidence(case, each, stuck),
                certainty=Certainty.CERTAIN if stuck and each.sure else Certainty.LIKELY,
                first_aid=[database.ending(own[0])],
            )


def _evidence(case: Case, each: Blocked, stuck: bool) -> Iterator[str]:
    yield from database.evidence(case, each)
    pid = each.waiter.owner
    yield f"PID {pid} opened both connections (/proc/{pid}/fd)"
    threads = len(case.threads(pid))
    if stuck:
        which = "its only thread waits" if threads == 1 else f"all of its {threads} threads wait"
        yield f"{which} for the blocked statement, so that nobody can commit"
    else:
        other = "another thread" if threads > 1 else "another task of its event loop"
        yield f"it is not certain, because {other} might commit, which cannot be seen"
