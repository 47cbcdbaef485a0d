"""Requests to other programs: which threads wait for an answer over a connection that they made, and how far it got.

Pure. Connections that a server process of PostgreSQL on this machine serves are left to the rules about databases.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from ..model import WaitKind
from ..observe.peers import Connection
from ..secrets import redact
from . import database
from .case import Case

_ON_SOCKETS = frozenset({WaitKind.SOCKET, WaitKind.POLL, WaitKind.SELECT, WaitKind.EPOLL})
_DATABASE_TITLE = "postgres: "
_DATABASE_PORTS = (".s.PGSQL.", ":5432")
_DATABASE_FILES = ("/psycopg/", "/psycopg2/", "/psycopg_c/", "/psycopg_binary/", "/asyncpg/", "/pg8000/")
# Clients of protocols in which one side asks and the other answers.
_HTTP_FILES = ("/http/client.py", "/httpcore/", "/urllib3/", "/aiohttp/")
# Where they wait for the first line of an answer, and not for more of one that has begun.
_HEAD = frozenset({"_read_status", "begin", "getresponse", "_receive_response_headers"})


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A thread that waits for what somebody else sends over `connections`, all of them made by its own process.

    `http` says that an HTTP client waits, `timeout_s` how long its wait may last, None for ever or not known.
    """

    tid: int
    connections: tuple[Connection, ...]
    http: bool
    timed: bool
    timeout_s: float | None


def requests(case: Case) -> Iterator[Request]:
    """Of the root's main thread and of the threads that it waits for, if they live."""
    for tid in case.awaited:
        thread = case.closure.threads.get(tid)
        if thread is not None and thread.live and case.wait(tid).kind in _ON_SOCKETS:
            found = _outgoing(case, tid)
            if found:
                yield Request(
                    tid=tid,
                    connections=found,
                    http=_calls(case, tid, _HTTP_FILES),
                    timed=case.wait(tid).timed,
                    timeout_s=found[0].timeout_s,
                )


def _outgoing(case: Case, tid: int) -> tuple[Connection, ...]:
    """Its connections, when it waits for nothing but answers: a server waits for requests as well."""
    waited = [each for each in case.surroundings.connections if each.tid == tid and not _is_own(each)]
    served = {backend.client_inode for backend in case.surroundings.backends}
    if any(each.listening or each.incoming or not each.address or each.inode in served for each in waited):
        return ()
    of_database = _calls(case, tid, _DATABASE_FILES) or any(_is_database(case, each) for each in waited)
    if _is_in_tree(case, tid, waited):
        return ()
    return () if of_database and not _asks_database(case, tid) else tuple(waited)


def _is_in_tree(case: Case, tid: int, waited: list[Connection]) -> bool:
    """Whether it asks a manager of multiprocessing that is part of the tree: no other program, but more of this one."""
    served = all(each.peer_pids and set(each.peer_pids) <= case.processes.keys() for each in waited)
    return served and _calls(case, tid, ("/multiprocessing/managers.py",))


def _asks_database(case: Case, tid: int) -> bool:
    """Whether a database library waits, and not the program for notifications, or an event loop for anything."""
    return case.python_frame(tid) is not None and not database.is_own_wait(case, tid)


def _is_own(connection: Connection) -> bool:
    """A pair of sockets inside one process, by which an event loop wakes itself."""
    return not connection.address and connection.peer_pids == (connection.pid,)


def _is_database(case: Case, connection: Connection) -> bool:
    strangers = [case.surroundings.strangers.get(pid) for pid in connection.peer_pids]
    titled = any(each is not None and each.title.startswith(_DATABASE_TITLE) for each in strangers)
    return titled or connection.address.endswith(_DATABASE_PORTS[1]) or _DATABASE_PORTS[0] in connection.address


def _calls(case: Case, tid: int, files: tuple[str, ...]) -> bool:
    return any(part in frame.file for frame in case.python_frames(tid) for part in files)


def awaits_head(case: Case, tid: int) -> bool:
    """Whether an HTTP client waits for the beginning of an answer."""
    return any(
        frame.function.rpartition(".")[2] in _HEAD and any(part in frame.file for part in _HTTP_FILES)
        for frame in case.python_frames(tid)
    )


def stage(case: Case, connection: Connection) -> Iterator[str]:
    """How far a request got, in lines that `ss -tnp` and `ss -xp` confirm."""
    name = case.who(connection.tid)
    holders = [_titled(case, pid) for pid in connection.peer_pids]
    where = f", held by {' and '.join(holders)}" if holders else ", on no process that can be seen here"
    yield f"{name}: waits on socket {connection.inode}, connected to {connection.address}{where}"
    if connection.connecting:
        yield f"{name}: the other side has not answered the call to connect"
    elif connection.accepted is False:
        yield f"{name}: {connection.address} has not accepted the connection: it waits in the listener's backlog"
    elif connection.peer_unread_bytes:
        yield (
            f"{name}: {connection.peer_unread_bytes} bytes of what it sent lie unread at the other end"
            " (Recv-Q of the other end)"
        )
    elif connection.peer_unread_bytes == 0:
        yield f"{name}: the other end has read everything that was sent (Recv-Q 0 on both sides)"
    if connection.silent_s is not None and connection.since_sent_s is not None:
        last = f"; the last byte went out {connection.since_sent_s:.1f} s ago" if connection.asked else ""
        yield f"{name}: nothing has come for {connection.silent_s:.1f} s{last} (ss -ti: lastrcv, lastsnd)"


def _titled(case: Case, pid: int) -> str:
    stranger, server = case.surroundings.strangers.get(pid), case.surroundings.servers.get(pid)
    title = stranger.title if stranger else server.title if server else ""
    return f"PID {pid} ({redact(title)[:80]})" if title else f"PID {pid}"
