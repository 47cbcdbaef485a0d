"""The story of a fork that a pool of native threads did not survive, as a drawing with the PIDs of this run. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size

from ...core import events as ev
from ...core.seen import ProcessSeen, ThreadSeen
from ...core.state import RunState
from ..text import clean
from .lines import Line, Part, entry, heading, plain
from .targets import of_thread
from .thread_words import called, known_as

# By slug: what the pool is called, and what a process does that needs it.
POOLS = {
    "rayon-fork-deadlock": ("the pool of tokenizers", "tokenizes a batch"),
    "native-pool-fork": ("the library's pool", "calls the library"),
    "openmp-fork-deadlock": ("the team of OpenMP", "calls the library"),
}
_NARROWEST = 62
_MOST_THREADS = 3
_MOST_PIDS = 4
_BRIDGE = 11  # cells between the boxes
_Row = tuple[Part, Part, Part]  # in the parent's box, between, in the child's box


class Cast(NamedTuple):
    """Who takes part: the parent where it is still there, its pool threads, and one of the children."""

    parent: ProcessSeen | None
    parent_pid: int
    pool: tuple[ThreadSeen, ...]
    child: ProcessSeen
    waiting: ThreadSeen | None
    children: tuple[int, ...]


def story(verdict: ev.VerdictReached, state: RunState, width: int) -> Iterator[Line]:
    """The drawing and what happened, step by step; nothing for other classes, or when the child is gone."""
    cast = _cast(verdict, state) if verdict.slug in POOLS else None
    if cast is None:
        return
    yield heading("What happened here")
    if width >= _NARROWEST:
        yield from _drawing(cast, POOLS[verdict.slug][0], width)
    yield from _steps(cast, *POOLS[verdict.slug], state, width)


def _cast(verdict: ev.VerdictReached, state: RunState) -> Cast | None:
    child = next((state.processes[each.pid] for each in verdict.culprits if each.pid in state.processes), None)
    if child is None:
        return None
    mine = [thread for thread in state.threads.values() if thread.pid == child.ppid]
    return Cast(
        parent=state.processes.get(child.ppid),
        parent_pid=child.ppid,
        pool=tuple(thread for thread in mine if thread.tid != thread.pid and not thread.place),
        child=child,
        waiting=next((thread for thread in state.threads.values() if thread.pid == child.pid), None),
        children=tuple(dict.fromkeys(each.pid for each in verdict.culprits)),
    )


# the drawing


def _drawing(cast: Cast, pool: str, width: int) -> Iterator[Line]:
    room = min((width - _BRIDGE - 2) // 2 - 4, 44)
    rows = [*_callers(cast), *_lost(cast, pool), *_memory()]
    title = _who(cast.parent_pid, cast.parent), _who(cast.child.pid, cast.child)
    yield _boxes(("parent: ", title[0]), ("  fork()   ", "bold"), ("child: ", title[1]), room)
    yield plain(("  ┌" + "─" * (room + 2) + "┐", "dim"), (" " * _BRIDGE, ""), ("┌" + "─" * (room + 2) + "┐", "dim"))
    for left, bridge, right in rows:
        yield plain(
            ("  │ ", "dim"), _cell(left, room), (" │", "dim"), _centred(bridge),
            ("│ ", "dim"), _cell(right, room), (" │", "dim"),
        )  # fmt: skip
    yield plain(("  └" + "─" * (room + 2) + "┘", "dim"), (" " * _BRIDGE, ""), ("└" + "─" * (room + 2) + "┘", "dim"))


def _boxes(left: tuple[str, str], bridge: Part, right: tuple[str, str], room: int) -> Line:
    """What stands above the boxes."""
    spare = room + 4
    return plain(
        ("  " + left[0], "dim"), _cell((left[1], "bold"), spare - len(left[0])), bridge,
        (right[0], "dim"), _cell((right[1], "bold"), spare - len(right[0])),
    )  # fmt: skip


def _callers(cast: Cast) -> Iterator[_Row]:
    name = called(cast.waiting, (cast.waiting,)) if cast.waiting else "thread"
    tid = cast.waiting.tid if cast.waiting else cast.child.pid
    yield (f"● {cast.parent_pid} main thread", "bold"), ("──copied─▶", "good"), (f"✗ {tid} {name}", "bad")
    yield ("  calls fork()", "dim"), ("", ""), ("  waits for the pool", "bad")


def _lost(cast: Cast, pool: str) -> Iterator[_Row]:
    """The threads of the pool, which the child has not."""
    shown = cast.pool[:_MOST_THREADS]
    for thread in shown:
        lost = ("╌ no such thread", "warn")
        name = known_as(thread.name)
        yield (f"● {thread.tid} {'native thread' if name == 'thread' else name}", ""), ("──lost──✗", "bad"), lost
    if not shown:
        yield (f"● threads of {pool}", ""), ("──lost──✗", "bad"), ("╌ no such threads", "warn")
    if more := len(cast.pool) - len(shown):
        yield (f"● and {more} more", ""), ("──lost──✗", "bad"), ("╌ nor these", "warn")


def _memory() -> Iterator[_Row]:
    said = "■ memory: the pool runs"
    yield (said, ""), ("──copied─▶", "good"), (said, "")
    yield ("  which is true here", "good"), ("", ""), ("  which is false here", "bad")


def _cell(part: Part, room: int) -> Part:
    return set_cell_size(clean(part[0]), room), part[1]


def _centred(part: Part) -> Part:
    spare = _BRIDGE - cell_len(part[0])
    return " " * (spare // 2) + part[0] + " " * (spare - spare // 2), part[1]


# the steps


def _steps(cast: Cast, pool: str, act: str, state: RunState, width: int) -> Iterator[Line]:
    parent, child = _who(cast.parent_pid, cast.parent), _who(cast.child.pid, cast.child)
    threads = _listed([thread.tid for thread in cast.pool], "thread") if cast.pool else "threads of its own"
    place = f" {cast.waiting.place}" if cast.waiting and cast.waiting.place else ""
    steps = (
        (f"{parent} started {pool}: {threads}.", cast.parent_pid),
        (
            f"It forked {_listed(cast.children, 'PID')}. A fork copies all of the memory, but only one thread: the one"
            " that called it.",
            cast.parent_pid,
        ),
        (
            f"{child} {act}{place}: it hands the work to the pool in its memory, and waits for the answer.",
            cast.child.pid,
        ),
        (
            f"That pool has no threads in PID {cast.child.pid}. No thread in it can answer, and no other process"
            " can: it waits for ever.",
            cast.child.pid,
        ),
    )
    for number, (text, pid) in enumerate(steps, 1):
        yield from entry(text, width, lead=(f"{number} ", "accent"), targets=of_thread(pid, pid, state))


def _who(pid: int, process: ProcessSeen | None) -> str:
    return f"PID {pid} ({process.role})" if process and process.role else f"PID {pid}"


def _listed(numbers: Sequence[int], word: str) -> str:
    shown = ", ".join(map(str, numbers[:_MOST_PIDS]))
    more = f" and {len(numbers) - _MOST_PIDS} more" if len(numbers) > _MOST_PIDS else ""
    return f"{word}{'s' if len(numbers) > 1 else ''} {shown}{more}"
