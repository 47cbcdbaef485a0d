"""A statement that waits for a lock whose holder works. No hang."""

from __future__ import annotations

from collections.abc import Iterator

from ...model import Certainty, Remedy, Verdict
from .. import database
from ..card import Card
from ..case import Case
from ..database import BUSY_SHARE, Party

CARD = Card(
    slug="db-lock-active-holder",
    title="A statement waits for a lock, and the session that holds it works",
    certainty=Certainty.NOT_HUNG,
    explanation=(
        "The server process that serves the program waits for a lock that another session holds. That session is not"
        " forgotten: it runs a statement, or its client computes between two of them. The lock comes free when its"
        " transaction ends. This may take long, but it is no hang."
    ),
    conditions=(
        "The server process that serves the program waits for a lock.",
        "Every session that may hold it is active, or did something just now, and has a client.",
    ),
    fixes=(
        Remedy(title="Wait", cost="as long as the other session's transaction takes"),
        Remedy(
            title="Give the waiting session a lock_timeout",
            cost="the statement fails instead of waiting, and has to be tried again",
            command="SET lock_timeout = '5s'",
        ),
    ),
    disproof="A holder that stays idle in transaction is a forgotten one.",
    links=("https://www.postgresql.org/docs/current/explicit-locking.html",),
)


def match(case: Case) -> Iterator[Verdict]:
    """Not hung, where all that may hold the lock work."""
    for each in database.blocked(case):
        if each.roots and all(_works(root) for root in each.roots):
            yield CARD.verdict(
                culprits=[case.culprit(each.tid)],
                evidence=(*database.evidence(case, each), *(line for root in each.roots for line in _busy(root))),
            )


def _works(party: Party) -> bool:
    """An idle client may leave a COPY half-way, without being idle in transaction."""
    if party.is_orphan or party.is_stopped or party.forgotten or party.state == "prepared":
        return False
    if party.state == "active" and database.command(party).startswith("COPY"):
        return not party.rests
    return party.state in ("active", "idle in transaction")


def _busy(party: Party) -> Iterator[str]:
    backend = party.backend
    if backend is None:
        return
    yield f"backend {backend.pid}: {backend.cpu_share:.0%} of a core" + (
        f", its client {backend.client_share:.0%}" if backend.client_share >= BUSY_SHARE else ""
    )
