"""A program that waits for the answer of another one, which may still come."""

from __future__ import annotations

from collections.abc import Iterator

from ...model import Certainty, Remedy, Verdict
from .. import database, facts
from ..card import Card
from ..case import Case
from ..database import Party
from ..requests import Request, requests, stage

CARD = Card(
    slug="waiting-for-remote",
    title="It waits for an answer from another program",
    certainty=Certainty.NOT_HUNG,
    explanation=(
        "The program asked another one over a connection and waits for what it sends back. That can take as long as the"
        " other side needs: a model is loaded, a long answer is computed, a queue is worked off. Nothing shows that the"
        " other side has given up, so this is no hang of this program. Whether its client has a timeout decides what"
        " happens if no answer ever comes."
    ),
    conditions=(
        "The root's main thread, or one that it waits for, waits for data on connections that its own process made.",
        "Nothing shows that nobody works on the answer.",
    ),
    fixes=(
        Remedy(
            title="Look at the other side: is it busy?",
            cost="nothing: looking only reads",
            command="ss -tnp  # shows the PID at the other end; then cvdebug attach PID",
        ),
        Remedy(
            title="Give the client a read timeout",
            cost="a request that only takes long is given up too",
            command="httpx.Client(timeout=httpx.Timeout(10, read=120))",
        ),
    ),
    disproof="A server all of whose threads are idle, or one that still sends nothing after a long time.",
    yields_to=("remote-no-reply", "slow-index-build", "db-lock-active-holder"),
)


def match(case: Case) -> Iterator[Verdict]:
    """For each thread that waits for an answer, of a database too."""
    for tid, party in database.answers(case):
        if not party.is_stopped:
            yield CARD.verdict(
                culprits=[case.culprit(tid)],
                evidence=(
                    f"{case.who(tid)}: {case.wait(tid).text}",
                    f"{party.words}: it runs a statement for the program",
                    *_share(party),
                    *facts.of_stack(case, tid),
                ),
            )
    for request in requests(case):
        yield CARD.verdict(
            culprits=[case.culprit(request.tid)],
            evidence=(
                *(line for each in request.connections for line in stage(case, each)),
                *_work(case, request),
                *_timeout(case, request),
                *case.notes,
                *facts.of_stack(case, request.tid),
            ),
        )


def _share(party: Party) -> Iterator[str]:
    if party.backend is not None:
        yield f"backend {party.pid}: {party.backend.cpu_share:.0%} of a core"


def _work(case: Case, request: Request) -> Iterator[str]:
    """What shows that the other side may be at it."""
    for pid in dict.fromkeys(pid for each in request.connections for pid in each.peer_pids):
        server = case.surroundings.servers.get(pid)
        if server is not None and server.busy:
            yield f"the server, PID {pid}, may be at work: {server.busy}"


def _timeout(case: Case, request: Request) -> Iterator[str]:
    name = case.who(request.tid)
    if request.timeout_s is not None:
        yield f"{name}: its wait ends after {request.timeout_s:g} s at the latest"
    elif request.timed:
        yield f"{name}: its wait has a timeout"
    else:
        yield f"{name}: its wait has no timeout: if the answer never comes, it waits for ever"
