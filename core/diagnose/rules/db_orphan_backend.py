"""A statement that waits for a lock which a server process holds whose client is gone."""

from __future__ import annotations

from collections.abc import Iterator

from ...model import Certainty, Remedy, Verdict
from .. import database
from ..card import Card
from ..case import Case

CARD = Card(
    slug="db-orphan-backend",
    title="A statement waits for a server process that still works for a client which is gone",
    certainty=Certainty.CERTAIN,
    explanation=(
        "An earlier run was killed while the server worked on a long statement for it. The server notices that a"
        " client is gone only when it wants to read from it or write to it, which a CREATE INDEX does at its very end."
        " Until then the orphaned process works on and keeps its locks, and the next run waits for them. Nobody will"
        " ever read the answer: at its end the work is rolled back. It is slow, and no deadlock."
    ),
    conditions=(
        "The server process that serves the program waits for a lock.",
        "The one that holds it is active, and nobody holds the other end of its connection.",
    ),
    fixes=(
        Remedy(
            title="Let the server look after its clients while it works",
            cost="one look at the socket in each interval",
            command="ALTER SYSTEM SET client_connection_check_interval = '5s'",
        ),
        Remedy(
            title="End what an earlier run left behind before a new one starts",
            cost="an application_name that tells whose sessions are whose",
            command="SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '...'",
        ),
    ),
    disproof="A process that holds the other end of the connection (ss -xp, ss -tnp) disproves it.",
    links=(
        "https://www.postgresql.org/docs/current/runtime-config-connection.html#GUC-CLIENT-CONNECTION-CHECK-INTERVAL",
    ),
)


def match(case: Case) -> Iterator[Verdict]:
    """Certain, where every session that may hold the lock is such an orphan, or the server names one."""
    for each in database.blocked(case):
        orphans = [root for root in each.roots if root.is_orphan]
        if orphans and (each.known or len(orphans) == len(each.roots)):
            yield CARD.verdict(
                culprits=[case.culprit(each.tid)],
                evidence=database.evidence(case, each),
                first_aid=[database.ending(root) for root in orphans],
            )
