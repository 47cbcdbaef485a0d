"""The Database panel: what is loaded and indexed now, and the server's sessions, those in each other's way first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size

from ...core.events import DatabaseSampled
from ...core.model import DatabaseSession, Phase, Progress
from ..scene import Scene, Selection
from ..text import clean, seconds, size
from .blocks import bar
from .rows import Key, Part, Rows

if TYPE_CHECKING:
    from ..app import CvdebugApp

BAR = 16
_STATES = {
    "active": ("▶ active", ""), "idle": ("○ idle", "dim"), "idle in transaction": ("○ in transaction", "warn"),
    "idle in transaction (aborted)": ("✗ aborted", "warn"), "fastpath function call": ("▶ active", ""),
    "disabled": ("○ not said", "dim"), "": ("○ not said", "dim"),
}  # fmt: skip
_PID = 8
_STATE = 20
_TIME = 10
_APPLICATION = 11


class Database(Rows):
    """Sessions by their backend's PID; Enter goes to the process that uses one, where that is known."""

    app: CvdebugApp

    BORDER_TITLE = "Database"
    HELP = (
        "What the database server says of itself: COPY and CREATE INDEX with their progress, then every session. A"
        " session that blocks others comes first, with those that wait for it (✗) below it."
    )

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._lines: dict[Key, list[Part]] = {}
        self._sessions: dict[int, DatabaseSession] = {}
        self._wanted: int = 0
        self._seen: object = None

    def show(self, scene: Scene) -> None:
        """Shows what there is now."""
        state = scene.state
        coming = state.phases[Phase.STORE].status == "waiting" and not scene.followed
        seen = (id(state.database), coming)
        if seen == self._seen:
            return
        self._seen, self._sampled = seen, state.database  # kept alive, so that its id stays its own
        self._take(state.database)
        lines = dict(_lines(state.database, coming=coming))
        changed = [key for key, parts in lines.items() if self._lines.get(key) != parts]
        self._lines = lines
        self.show_keys(list(lines))
        self.touch(changed)
        if self._wanted and self.put_cursor(self._wanted):
            self._wanted = 0

    def reveal(self, backend_pid: int) -> bool:
        """Puts the cursor on the session of a backend; whether there is one."""
        self.show(self.app.scene)
        if backend_pid not in self._sessions:
            return False
        self._wanted = 0 if self.put_cursor(backend_pid) else backend_pid
        return True

    def parts(self, key: Key, width: int) -> Iterable[Part]:
        return self._lines[key]

    def on_rows_chosen(self, message: Rows.Chosen) -> None:
        session = self._sessions.get(message.key) if isinstance(message.key, int) else None
        if session is None:
            return
        pids = [pid for pid in session.client_pids if pid in self.app.scene.state.processes]
        if pids:
            self.app.main.select(Selection(pids[0], pids[0]))
        else:
            self.app.notify(f"Which process uses session PID {session.pid} is not known here.", markup=False)

    def _take(self, sampled: DatabaseSampled | None) -> None:
        self._sessions = {session.pid: session for session in sampled.sessions} if sampled else {}


def _lines(sampled: DatabaseSampled | None, *, coming: bool) -> Iterator[tuple[Key, list[Part]]]:
    """The rows: backends by their PID, all others by a name."""
    if sampled is None:
        yield "empty", [("Sessions, locks, COPY and index progress will stand here", "dim")]
        when = "when the run stores its vectors." if coming else "as soon as a database server is asked."
        yield "when", [(when, "dim")]
        return
    for number, progress in enumerate(sampled.progress):
        yield f"progress {number}", progress_parts(progress)
    if sampled.unknown:
        yield "unknown", [("✗ the server could not be asked: ", "bad"), (sampled.unknown, "")]
        return
    if not sampled.sessions:
        yield "none", [("○ the server has no sessions now", "dim")]
        return
    yield "head", [(_columns("PID", "state", "since", "application") + "  what it does", "dim")]
    yield from session_lines(sampled.sessions)


def progress_parts(progress: Progress) -> list[Part]:
    """One COPY or CREATE INDEX."""
    parts: list[Part] = [("▶ ", "accent"), (f"{progress.command or 'working'} ", "bold")]
    if progress.total > 0:
        part = progress.done / progress.total
        full, rest = bar(part, BAR)
        parts += [(full, "accent"), (rest, "dim"), (f" {min(part, 1.0):>4.0%}  ", "")]
        done = size(progress.done) if progress.unit == "bytes" else f"{progress.done:,}"
        parts.append((f"{done}/{_amount(progress.total, progress.unit)} ", ""))
    elif progress.done:
        parts.append((f"{_amount(progress.done, progress.unit)} ", ""))
    if progress.rows and progress.unit != "rows":
        parts.append((f" {progress.rows:,} rows ", ""))
    if progress.phase:
        parts.append((f" {progress.phase}", "dim"))
    if progress.locker:
        parts.append((f"  waits for PID {progress.locker}", "warn"))
    return [*parts, (f"  PID {progress.pid}", "dim")]


def _amount(number: int, unit: str) -> str:
    return size(number) if unit == "bytes" else f"{number:,} {unit}".rstrip()


def session_lines(sessions: Sequence[DatabaseSession]) -> Iterator[tuple[Key, list[Part]]]:
    """Those who are blocked, each below the one that blocks it, then all others."""
    by_pid = {session.pid: session for session in sessions}
    done: set[int] = set()
    stack = [(0, pid) for pid in reversed(_order(by_pid))]
    while stack:
        depth, pid = stack.pop()
        if pid in done:
            continue
        done.add(pid)
        waiting = [other.pid for other in sessions if pid in other.blockers]
        yield pid, _session(by_pid[pid], depth, blocks=len(waiting))
        stack += [(depth + 1, other) for other in reversed(waiting)]


def _order(by_pid: Mapping[int, DatabaseSession]) -> list[int]:
    """Who stands at the left: blockers that wait for nobody, then circles of blocked ones, then all others."""
    blockers = {pid for session in by_pid.values() for pid in session.blockers}

    def rank(pid: int) -> tuple[int, bool, int]:
        session = by_pid[pid]
        known = any(blocker in by_pid for blocker in session.blockers)
        first = 0 if pid in blockers and not known else 1 if session.blockers else 2
        return first, session.state == "idle", pid

    return sorted(by_pid, key=rank)


def _session(session: DatabaseSession, depth: int, *, blocks: int) -> list[Part]:
    state, tone = _STATES.get(session.state, (f"○ {session.state}", ""))
    if session.blockers:
        others = f" +{len(session.blockers) - 1}" if len(session.blockers) > 1 else ""
        state, tone = f"✗ blocked by {session.blockers[0]}{others}", "bad"
    elif session.lock:
        state, tone = "○ waits for a lock", "warn"
    branch = "  " * (depth - 1) + "└ " if depth else ""
    pid = f"{branch}{session.pid}"
    name = session.application or session.user
    parts: list[Part] = [(_columns(pid, state, seconds(session.since_s), name), tone), ("  ", "")]
    if session.lock:
        parts.append((f"{session.lock}  ", "warn"))
    if blocks:
        parts.append((f"blocks {blocks}  ", "warn"))
    if session.wait and not session.lock and session.wait != "Client:ClientRead":
        parts.append((f"waits on {session.wait}  ", "dim"))
    return [*parts, (session.query, "dim")]


def _columns(pid: str, state: str, since: str, name: str) -> str:
    return f"{pid:<{_PID}} {_fit(state, _STATE)} {since:>{_TIME}}  {_fit(name, _APPLICATION)}"


def _fit(text: str, width: int) -> str:
    shown = clean(text)
    return set_cell_size(shown, width) if cell_len(shown) <= width else set_cell_size(shown, width - 1) + "…"
