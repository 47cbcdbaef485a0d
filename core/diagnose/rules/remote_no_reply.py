"""A request to another program that nobody works on, in a client without a timeout."""

from __future__ import annotations

from collections.abc import Iterator

from ...model import Certainty, Remedy, Verdict
from ...observe.peers import Connection
from ...observe.servers import Server
from .. import database, facts
from ..card import Card
from ..case import Case
from ..requests import Request, awaits_head, requests, stage

CARD = Card(
    slug="remote-no-reply",
    title="A server took the request and does not answer, and the client waits without a timeout",
    certainty=Certainty.LIKELY,
    explanation=(
        "The program asked another one over a connection and waits for the answer. TCP keeps a silent connection open"
        " for ever, and a client without a read timeout never looks at the clock, so that a request which the other"
        " side lost is waited for until somebody ends it. Here nothing at the other side works on it any more: every"
        " thread of the server waits for new requests or for ever, or nothing has come from a server elsewhere for"
        " more than a minute. Ollama has done this for empty inputs and for model runners that never stopped; its port"
        " and /api/version answer all the same."
    ),
    conditions=(
        "The root's main thread, or one that it waits for, waits for data on connections that its own process made,"
        " without a timeout, or as an HTTP client with one of a minute or more.",
        "The server is on this machine, every thread of it and of its children sleeps in both looks, and none of them"
        " has a timer within half an hour, a child at work or a request of its own under way; or the server cannot be"
        " seen, an HTTP client asked it, and nothing has come for a minute.",
        "The last word on the connection was the client's.",
    ),
    fixes=(
        Remedy(
            title="Give the client a read timeout, and ask again",
            cost="a request that only takes long is given up too; the timeout counts for each read, not for the whole",
            command="httpx.Client(timeout=httpx.Timeout(10, read=120))",
        ),
        Remedy(
            title="End the part of the server that hangs (for Ollama: the model's runner, not the server)",
            cost="other requests of that part are lost; the connection closes, so that the client sees an error",
            command="ss -tnp  # shows the PID at the other end; then kill PID",
        ),
        Remedy(title="Leave out empty inputs", cost="none: they have no embedding", command=""),
    ),
    disproof=(
        "An answer that comes after all, CPU time of a thread of the server, or a timer in it that nothing shows from"
        " outside."
    ),
    links=(
        "https://github.com/ollama/ollama/issues/3944",
        "https://github.com/ollama/ollama/issues/7779",
        "https://github.com/ollama/ollama/issues/15950",
        "https://github.com/ollama/ollama/issues/17428",
    ),
)

# A server elsewhere may only be slow: it gets this long. A shorter timeout of an HTTP client is left to run out.
_SILENT_S = 60.0
_LONG_TIMEOUT_S = 60.0
# Between a request and the first sign of work on it lie moments in which nothing runs.
_SETTLED_S = 1.0
# multiprocessing's connections carry work to those who wait for it, as well as answers.
_MESSAGES = "/multiprocessing/connection.py"


def match(case: Case) -> Iterator[Verdict]:
    """Likely for each thread that waits for an answer that nobody works on."""
    for tid, party in database.answers(case):
        if party.is_stopped:
            yield CARD.verdict(
                culprits=[case.culprit(tid)],
                evidence=(
                    f"{case.who(tid)}: {case.wait(tid).text}",
                    f"{party.words}: it has the program's statement",
                    f"backend {party.pid}: stopped by a signal or a debugger in both looks (state in /proc/PID/status)",
                    *facts.of_stack(case, tid),
                ),
                first_aid=[
                    Remedy(title="Let the server process go on", cost="none", command=f"kill -CONT {party.pid}")
                ],
            )
    for request in requests(case):
        if not _may_last(request) or _is_messages(case, request) or _waits_for_more(case, request):
            continue
        reasons = [_reason(case, request, connection) for connection in request.connections]
        if all(reasons):
            yield CARD.verdict(
                culprits=[case.culprit(request.tid)],
                evidence=(
                    *(line for each in request.connections for line in stage(case, each)),
                    *(line for lines in reasons for line in lines),
                    *case.notes,
                    *facts.of_stack(case, request.tid),
                ),
            )


def _may_last(request: Request) -> bool:
    long = request.http and request.timeout_s is not None and request.timeout_s >= _LONG_TIMEOUT_S
    return long or not request.timed


def _is_messages(case: Case, request: Request) -> bool:
    return any(frame.file.endswith(_MESSAGES) for frame in case.python_frames(request.tid))


def _waits_for_more(case: Case, request: Request) -> bool:
    """Whether something else than these connections, and what its own process holds, may end the wait."""
    wait = case.wait(request.tid)
    own = {each.inode for each in case.surroundings.connections if each.tid == request.tid}
    return not own.issuperset(wait.inodes)


def _reason(case: Case, request: Request, connection: Connection) -> tuple[str, ...]:
    """Why no answer is on its way over a connection; empty when one may be."""
    settled = connection.since_sent_s is None or connection.since_sent_s >= _SETTLED_S
    if connection.gone or connection.connecting or connection.unread_bytes or not settled:
        return ()
    if not connection.peer_pids:
        return _silence(case, request, connection)
    servers = [case.surroundings.servers.get(pid) for pid in connection.peer_pids]
    if not _is_asked(case, request, connection, servers):
        return ()
    idle: list[str] = []
    for server in servers:
        if server is None or server.busy:
            return ()
        idle.extend(server.idle)
    return (*idle, f"no thread of the server ran between the two looks, {case.gap_s:.2f} s apart (/proc/PID/status)")


def _is_asked(case: Case, request: Request, connection: Connection, servers: list[Server | None]) -> bool:
    """Whether it is the server's turn. Where no HTTP client says so, it must not wait for the client's words."""
    if connection.accepted is False or connection.peer_unread_bytes:
        return True
    if request.http and awaits_head(case, request.tid):
        return connection.asked is not False
    reads = any(server is not None and connection.peer_inode in server.reads for server in servers)
    return connection.asked is True and (request.http or not reads)


def _silence(case: Case, request: Request, connection: Connection) -> tuple[str, ...]:
    silent_s = connection.silent_s or 0.0
    if request.timed or not request.http or not connection.asked or silent_s < _SILENT_S:
        return ()
    name = case.who(request.tid)
    return (f"{name}: its request has been without any answer for {silent_s:.0f} s, and its read has no timeout",)
