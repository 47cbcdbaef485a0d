"""Sessions of a PostgreSQL server in the case of one tree: who of it waits for a lock there, and who may hold it. Pure.

With a login the server names the blockers. Without one, the titles of its processes do by elimination: a lock is held
by somebody in a transaction of the same database.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

import msgspec

from ..model import DatabaseSession, Progress, Remedy, WaitKind
from ..observe.backends import PATIENCE_S, Backend
from .case import Case

State = Literal["idle", "idle in transaction", "active", "waiting", "starting", "prepared", "unknown"]

# Above it a process counts as busy.
BUSY_SHARE = 0.2
_STARTING = ("startup", "authentication", "initializing", "new")
# A function may take a lock that outlives the transaction, and an idle session then holds it.
_FUNCTIONS = ("SELECT", "CALL", "DO", "EXECUTE")
_SHOWN_QUERY = 80
# A program may well wait on the connection of an idle session, for notifications; then its own code asks for that.
_OWN_WAIT = re.compile(r"\b(select|poll|notif\w*|wait\w*|recv\w*)\b", re.IGNORECASE)
_LOOPS = ("/select.py", "/selectors.py", "/socket.py", "/ssl.py")
_PSYCOPG = ("psycopg/connection.py", "psycopg/connection_async.py")


class Party(msgspec.Struct, frozen=True, kw_only=True):
    """One session. `rests` says that neither it nor its client did anything for about a second. `clients` are the
    processes that hold its connection; `owner` is the one that opened it, 0 when unknown or outside of the tree."""

    pid: int
    state: State
    words: str
    backend: Backend | None = None
    session: DatabaseSession | None = None
    clients: tuple[int, ...] = ()
    owner: int = 0
    rests: bool = False

    @property
    def is_orphan(self) -> bool:
        """Whether it still works though nobody will ever read the answer."""
        return self.state == "active" and self.backend is not None and self.backend.client_gone

    @property
    def is_stopped(self) -> bool:
        """Whether a signal or a debugger holds its server process."""
        return self.backend is not None and self.backend.stopped

    @property
    def forgotten(self) -> bool:
        """Whether its transaction is open and nothing happens in it."""
        return self.state == "prepared" or (self.state == "idle in transaction" and self.rests)


class Blocked(msgspec.Struct, frozen=True, kw_only=True):
    """A session of the tree that waits for a lock. `roots` may hold it, and wait for nobody themselves.

    `known`: the server named them, and the lock comes free only when all have ended. Else one of them holds it; `sure`
    says that nobody else could.
    """

    waiter: Party
    tid: int
    roots: tuple[Party, ...]
    known: bool
    sure: bool


def parties(case: Case) -> dict[int, Party]:
    """All sessions of the tree's servers, by PID: this machine's, or the server's own where it runs elsewhere."""
    rows = {row.pid: row for row in case.surroundings.activity.sessions} if case.surroundings.activity else {}
    found: dict[int, Party] = {}
    for backend in case.surroundings.backends:
        row = rows.get(backend.server_pid)
        if row is not None and (row.user, row.database) == (backend.user, backend.database):
            del rows[backend.server_pid]
        else:
            row = None
        found[backend.pid] = _party(case, backend, row)
    if not case.surroundings.backends:
        found.update((row.pid, _party(case, None, row)) for row in rows.values())
    return found


def blocked(case: Case) -> Iterator[Blocked]:
    """Every session of the tree that waits for a lock, with those that may hold it."""
    everyone = parties(case)
    for waiter in everyone.values():
        if waiter.state == "waiting" and (tid := waiting_thread(case, waiter)):
            named = _named(waiter, everyone)
            guessed = () if named is not None else tuple(_possible(waiter, everyone))
            idle = [party for party in everyone.values() if party.state == "idle" and _neighbours(party, waiter)]
            calls = _activity(waiter).startswith(_FUNCTIONS)
            yield Blocked(
                waiter=waiter,
                tid=tid,
                roots=guessed if named is None else named,
                known=named is not None,
                sure=named is not None or (len(guessed) == 1 and not (calls and idle)),
            )


def waiting_thread(case: Case, party: Party) -> int:
    """The thread of the tree that waits for a session's answer: the client's main thread in doubt, 0 for none."""
    pids = [pid for pid in party.clients if pid in case.processes]
    tids = [thread.tid for pid in pids for thread in case.threads(pid)]
    certain = (tid for tid in tids if waits_for(case, tid, party))
    return next(certain, party.owner or next(iter(pids), 0))


def waits_for(case: Case, tid: int, party: Party) -> bool:
    """Whether a thread does nothing but wait for the answer of this session."""
    inode = party.backend.client_inode if party.backend else 0
    wait, pid = case.wait(tid), case.owner(tid)
    if inode and wait.inodes:
        direct = in_query(case, tid) or wait.kind in (WaitKind.POLL, WaitKind.SOCKET)
        return direct and set(wait.inodes) == {inode}
    # psycopg looks up ten times a second: a look may hit that moment.
    asking = [thread.tid for thread in case.threads(pid) if in_query(case, thread.tid)]
    return pid in party.clients and asking == [tid]


def in_query(case: Case, tid: int) -> bool:
    """Whether psycopg waits for the server on this thread, and not for notifications."""
    return case.inside(tid, _PSYCOPG[0], "wait") and not in_notifies(case, tid)


def in_notifies(case: Case, tid: int) -> bool:
    """Whether psycopg waits for notifications on this thread."""
    return any(case.inside(tid, file, "notifies") for file in _PSYCOPG)


def is_own_wait(case: Case, tid: int) -> bool:
    """Whether the program itself, or an event loop, waits on a socket, and not a database library for an answer."""
    frame = case.python_frame(tid)
    if frame is None or in_notifies(case, tid):
        return frame is not None
    if any("/psycopg/" in each.file for each in case.python_frames(tid)):
        return False
    return frame.file.endswith(_LOOPS) or _OWN_WAIT.search(case.sources.get(tid, "poll")) is not None


def answers(case: Case) -> Iterator[tuple[int, Party]]:
    """The threads that wait for what a session works on for them: the root's main thread, and those it waits for."""
    for party in parties(case).values():
        if party.state == "active" and not _awaits_rows(party):
            yield from ((tid, party) for tid in case.awaited if _expects(case, tid, party))


def listening(case: Case, tid: int) -> str:
    """What shows that a thread waits for notifications of an idle session; empty when nothing does."""
    for party in parties(case).values():
        if party.state != "idle" or party.is_stopped or not _expects(case, tid, party):
            continue
        if party.session is not None and party.session.query.upper().startswith("LISTEN"):
            return f"waits for notifications: {party.words}"
        inode = party.backend.client_inode if party.backend else 0
        asks = case.wait(tid).kind in (WaitKind.POLL, WaitKind.SELECT) and set(case.wait(tid).inodes) == {inode}
        if in_notifies(case, tid) or (inode and asks and is_own_wait(case, tid)):
            return f"waits for notifications on the connection of an idle session: {party.words}"
    return ""


def _expects(case: Case, tid: int, party: Party) -> bool:
    """Whether what a session sends would wake a living thread."""
    thread, inode = case.closure.threads.get(tid), party.backend.client_inode if party.backend else 0
    if thread is None or not thread.live or case.owner(tid) not in party.clients:
        return False
    inodes = case.wait(tid).inodes
    return inode in inodes if inode and inodes else in_query(case, tid) or in_notifies(case, tid)


def _awaits_rows(party: Party) -> bool:
    """Whether it is its client's turn to send more of a COPY."""
    return command(party).startswith("COPY") and party.rests


def stuck_behind(case: Case, party: Party) -> frozenset[int]:
    """The threads that cannot go on before this session answers: they wait for it, or for such threads only."""
    waiting = {tid for tid in case.closure.threads if waits_for(case, tid, party)}
    found = waiting | {tid for tid in case.closure.threads if _waits_within(case, tid)}
    while True:
        free = {tid for tid in found - waiting if not set(_wakers(case, tid)) <= found}
        if not free:
            return frozenset(found)
        found -= free


def is_stuck(case: Case, pid: int, behind: frozenset[int]) -> bool:
    """Whether a process of the tree has no thread that could go on, except for such as only sleep."""
    stuck = behind | case.idle.keys()
    threads = case.threads(pid)
    return bool(threads) and all(thread.tid in stuck or case.is_dead(thread.tid) for thread in threads)


def progress(case: Case, party: Party) -> tuple[Progress | None, bool]:
    """What the server says of the progress of a session, and whether it grew between two readings."""
    activity = case.surroundings.activity
    if activity is None or party.session is None:
        return None, False
    now = next((row for row in activity.progress if row.pid == party.session.pid), None)
    before = next((row for row in activity.earlier if row.pid == party.session.pid), None)
    grew = now is not None and before is not None and (now.done, now.rows) != (before.done, before.rows)
    return now, grew


def serves(case: Case, party: Party) -> bool:
    """Whether a process of the tree is the session's client."""
    return any(pid in case.processes for pid in party.clients)


def _party(case: Case, backend: Backend | None, row: DatabaseSession | None) -> Party:
    clients = backend.client_pids if backend else row.client_pids if row else ()
    inside = [case.processes[pid] for pid in clients if pid in case.processes]
    # What is inherited was opened by the oldest holder; none of those outside of the tree can have inherited from it.
    strangers = any(pid not in case.processes for pid in clients)
    owner = min(inside, key=lambda process: process.start_ticks).pid if inside and not strangers else 0
    since_s = row.since_s if row and row.state else None
    rests = since_s is None or since_s >= PATIENCE_S
    if backend is not None:
        rests = rests and not (backend.moved or backend.client_runs or backend.client_share >= BUSY_SHARE)
    return Party(
        pid=backend.pid if backend else row.pid if row else 0,
        state=_state(backend, row),
        words=_words(case, backend, row),
        backend=backend,
        session=row,
        clients=clients,
        owner=owner,
        rests=rests,
    )


def _state(backend: Backend | None, row: DatabaseSession | None) -> State:
    if row is not None and row.state:
        if row.state.startswith("idle in transaction"):
            return "idle in transaction"
        if row.state == "active" or row.state.startswith("fastpath"):
            return "waiting" if row.blockers else "active"
        if row.state == "idle":
            return "idle"
    activity = backend.activity if backend else ""
    if activity.startswith("idle in transaction"):
        return "idle in transaction"
    if activity == "idle" or activity in _STARTING:
        return "idle" if activity == "idle" else "starting"
    if not activity:
        return "unknown"
    return "waiting" if activity.endswith(" waiting") else "active"


def _words(case: Case, backend: Backend | None, row: DatabaseSession | None) -> str:
    """A session as evidence names it."""
    words = [f"backend {backend.pid} ({backend.title})" if backend else f"backend {row.pid if row else 0}"]
    if row is not None:
        words += [f"application {row.application}"] if row.application else []
        words += [f"{row.state} for {row.since_s:.0f} s"] if row.state else []
        words += [f"wait event {row.wait}"] if row.wait else []
        words += [f"last statement: {row.query[:_SHOWN_QUERY]}"] if row.query else []
    if backend is not None and backend.client_pids:
        words.append("its client is " + ", ".join(_client(case, pid) for pid in backend.client_pids))
    elif backend is not None and backend.client_gone:
        words.append("nobody holds the client's end of its connection")
    return ", ".join(words)


def _client(case: Case, pid: int) -> str:
    role = case.roles.get(pid, "")
    place = "" if pid in case.processes else ", not of this tree"
    dead = ", which is proven dead" if pid in case.dead_processes else ""
    return f"PID {pid}" + (f" ({role})" if role else "") + place + dead


def _named(waiter: Party, everyone: dict[int, Party]) -> tuple[Party, ...] | None:
    """The ends of the chains of those that the server names; None when it was not asked."""
    if waiter.session is None or not waiter.session.blockers:
        return None
    by_session = {party.session.pid: party for party in everyone.values() if party.session is not None}
    found: dict[int, Party] = {}
    queue = list(waiter.session.blockers)
    seen = {waiter.session.pid}
    for pid in queue:
        party = by_session.get(pid)
        if pid in seen:
            continue
        seen.add(pid)
        if pid == 0:
            found[0] = Party(pid=0, state="prepared", words="a prepared transaction (pg_prepared_xacts)")
        elif party is not None and party.session is not None and party.session.blockers:
            queue.extend(party.session.blockers)
        elif party is not None:
            found[pid] = party
    return tuple(found.values())


def _possible(waiter: Party, everyone: dict[int, Party]) -> Iterator[Party]:
    """Who was in a transaction of the same database all the time; nobody when a title does not tell."""
    others = [party for party in everyone.values() if party.pid != waiter.pid and _neighbours(party, waiter)]
    if any(party.state == "unknown" for party in others):
        return
    waited = waiter.backend is not None and waiter.backend.earlier.endswith(" waiting")
    for party in others:
        earlier = party.backend.earlier if party.backend else ""
        came_later = waited and (earlier == "idle" or earlier in _STARTING)
        if party.state in ("idle in transaction", "active") and not came_later:
            yield party


def _neighbours(party: Party, other: Party) -> bool:
    """Whether two sessions are in one database of one server."""
    mine, theirs = party.backend, other.backend
    if mine is None or theirs is None:
        return mine is theirs
    return (mine.postmaster, mine.database) == (theirs.postmaster, theirs.database)


def _activity(party: Party) -> str:
    return party.backend.activity if party.backend else party.session.query.upper() if party.session else ""


def _waits_within(case: Case, tid: int) -> bool:
    """Whether only threads of the tree could end a wait, and it was not ended between the looks."""
    wait = case.wait(tid)
    if case.is_dead(tid):
        return True
    blocked = wait.kind not in (WaitKind.RUNNING, WaitKind.UNKNOWN, WaitKind.ENDED)
    return blocked and not (wait.timed or wait.external or case.moved(tid)) and bool(_wakers(case, tid))


def _wakers(case: Case, tid: int) -> tuple[int, ...]:
    """The threads that could wake one; a process that is not in the tree counts as a thread of its own."""
    found: list[int] = []
    for pid, waker in case.closure.threads[tid].wakers:
        found.extend([waker] if waker is not None else [thread.tid for thread in case.threads(pid)] or [pid])
    return tuple(found)


def command(party: Party) -> str:
    """What a session runs: `TRUNCATE TABLE`, or the statement where there is no title."""
    return _activity(party).removesuffix(" waiting")


def ending(party: Party) -> Remedy:
    """The end of a session, from inside the server or, on its own machine, by a signal."""
    session, backend = party.session, party.backend
    number = session.pid if session else backend.server_pid if backend else party.pid
    return Remedy(
        title="End the session that holds the lock",
        cost="its transaction is rolled back, and its client gets an error at its next statement",
        command=f"psql -c 'SELECT pg_terminate_backend({number})'",
    )


def evidence(case: Case, each: Blocked) -> Iterator[str]:
    """Who waits, for what, and who holds it or may hold it."""
    session = each.waiter.session
    yield f"{case.who(each.tid)}: {case.wait(each.tid).text}"
    yield f"{each.waiter.words}: it waits for a lock"
    if session is not None and session.lock:
        yield f"pg_locks: backend {session.pid} waits for {session.lock}"
    if each.known:
        yield from (f"pg_blocking_pids({session.pid if session else 0}): {root.words}" for root in each.roots)
    elif len(each.roots) == 1:
        yield f"the only other session of that database in a transaction: {each.roots[0].words}"
    else:
        yield from (f"may hold the lock (--dsn would tell which): {root.words}" for root in each.roots)
