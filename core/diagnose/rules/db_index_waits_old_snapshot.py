"""CREATE INDEX CONCURRENTLY that waits for a transaction which is older than itself."""

from __future__ import annotations

from collections.abc import Iterator

from ...model import Certainty, Remedy, Verdict
from .. import database
from ..card import Card
from ..case import Case
from ..database import Blocked

CARD = Card(
    slug="db-index-waits-old-snapshot",
    title="CREATE INDEX CONCURRENTLY waits for an old transaction to end",
    certainty=Certainty.LIKELY,
    explanation=(
        "CREATE INDEX CONCURRENTLY does not lock out writers. Instead it waits, at several points, until every"
        " transaction that might not know the new index has ended: at last every one with a snapshot older than"
        " the index, whatever table it read. A single session that was left idle in transaction, even on another"
        " table, therefore keeps the index from being finished for as long as it stays open."
    ),
    conditions=(
        "pg_stat_progress_create_index shows a phase that begins with `waiting for`, or a wait for a virtualxid.",
        "The session it waits for is idle in transaction and does nothing. It takes --dsn to see this.",
    ),
    fixes=(
        Remedy(
            title="Use plain CREATE INDEX",
            cost="writers to the table wait until the index is built",
            command="CREATE INDEX ...",
        ),
        Remedy(
            title="Let the server end forgotten transactions",
            cost="a session that rests for longer loses its connection",
            command="ALTER SYSTEM SET idle_in_transaction_session_timeout = '60s'",
        ),
    ),
    disproof="It goes on as soon as the other session commits or rolls back.",
    links=("https://www.postgresql.org/docs/current/sql-createindex.html#SQL-CREATEINDEX-CONCURRENTLY",),
)


def match(case: Case) -> Iterator[Verdict]:
    """Likely, where the server was asked."""
    for each in database.blocked(case):
        forgotten = [root for root in each.roots if root.forgotten]
        phase = _phase(case, each)
        if each.known and forgotten and phase:
            yield CARD.verdict(
                culprits=[case.culprit(each.tid)],
                evidence=(*database.evidence(case, each), phase),
                first_aid=[database.ending(forgotten[0])] if len(forgotten) == 1 else (),
            )


def _phase(case: Case, each: Blocked) -> str:
    """What the server says it waits for, when that is the end of transactions."""
    row, _ = database.progress(case, each.waiter)
    if row is not None and row.phase.startswith("waiting for"):
        who = f", current_locker_pid {row.locker}" if row.locker else ""
        return f"pg_stat_progress_create_index: {row.command}, phase {row.phase!r}{who}"
    session = each.waiter.session
    if session is not None and "virtualxid" in session.lock and "CONCURRENTLY" in session.query.upper():
        return f"pg_locks: it waits for {session.lock}, the end of another transaction"
    return ""
