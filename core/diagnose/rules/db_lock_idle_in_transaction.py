"""A statement that waits for a lock which a forgotten transaction holds."""

from __future__ import annotations

from collections.abc import Iterator

from ...model import Certainty, Remedy, Verdict
from .. import database
from ..card import Card
from ..case import Case
from ..database import Blocked, Party

CARD = Card(
    slug="db-lock-idle-in-transaction",
    title="A statement waits for a lock that another session's open transaction holds",
    certainty=Certainty.LIKELY,
    explanation=(
        "PostgreSQL keeps a lock until the transaction that took it ends. TRUNCATE, ALTER, DROP and CREATE INDEX need a"
        " lock that even a mere SELECT in an open transaction denies them, and a row that was updated stays locked as"
        " long. The session that holds it is idle in transaction: it does nothing, and nothing will happen before its"
        " client commits, rolls back or goes away. A client library that opens a transaction with the first statement"
        " makes this easy to forget. Without lock_timeout the statement waits for ever, and PostgreSQL's own deadlock"
        " detector cannot help, because the other session waits for nothing inside the server."
    ),
    conditions=(
        "The server process that serves the program waits for a lock: its title ends with `waiting`.",
        "A session that may hold the lock is idle in transaction, and it and its client rested for a second.",
        "With --dsn pg_blocking_pids() names it. Without, nobody else of the same database is in a transaction.",
    ),
    fixes=(
        Remedy(
            title="Commit as soon as the reading is done, or use autocommit",
            cost="statements no longer see one common snapshot",
            command="psycopg.connect(dsn, autocommit=True)",
        ),
        Remedy(
            title="Give the waiting session a lock_timeout",
            cost="the statement fails instead of waiting, and has to be tried again",
            command="SET lock_timeout = '5s'",
        ),
        Remedy(
            title="Let the server end forgotten transactions",
            cost="a session that rests for longer loses its connection",
            command="ALTER SYSTEM SET idle_in_transaction_session_timeout = '60s'",
        ),
    ),
    disproof=(
        "It goes on when the other session's client commits by itself, or when a lock_timeout is set, which cannot be"
        " seen from outside. A transaction that was prepared holds locks without any session: see pg_prepared_xacts."
    ),
    links=(
        "https://github.com/psycopg/psycopg/issues/739",
        "https://github.com/psycopg/psycopg2/issues/1654",
        "https://github.com/lobu-ai/lobu/issues/2820",
        "https://www.postgresql.org/docs/current/explicit-locking.html",
    ),
    yields_to=("db-self-deadlock", "db-index-waits-old-snapshot"),
)


def match(case: Case) -> Iterator[Verdict]:
    """Likely; certain when the holder's client is stuck itself; undecided when a busy session may hold it as well."""
    for each in database.blocked(case):
        forgotten = [party for party in each.roots if party.forgotten]
        if forgotten:
            yield CARD.verdict(
                culprits=[case.culprit(each.tid)],
                evidence=_evidence(case, each, forgotten),
                certainty=_certainty(case, each, forgotten),
                first_aid=[database.ending(party) for party in forgotten if party.pid] if len(forgotten) == 1 else (),
            )


def _certainty(case: Case, each: Blocked, forgotten: list[Party]) -> Certainty:
    if not each.known and len(forgotten) < len(each.roots):
        return Certainty.UNDECIDED
    behind = database.stuck_behind(case, each.waiter)
    stuck = any(party.owner and database.is_stuck(case, party.owner, behind) for party in forgotten)
    return Certainty.CERTAIN if stuck and each.sure else Certainty.LIKELY


def _evidence(case: Case, each: Blocked, forgotten: list[Party]) -> Iterator[str]:
    yield from database.evidence(case, each)
    for party in forgotten:
        if party.owner in case.dead_processes:
            yield f"PID {party.owner}, which would have to end that transaction, is proven dead"
    if each.known or not database.command(each.waiter).startswith(("CREATE INDEX", "REINDEX")):
        return
    yield "were it CREATE INDEX CONCURRENTLY, it would wait for a transaction on any table: --dsn tells"
