"""A picture as a tree of lines: a process, then a line a thread with its wait, its wakers and its place. Pure.

Whatever a line says by its mark it says by a word too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from typing import NamedTuple, TypeVar

from ..model import Frame, WaitKind
from .picture import Picture, Process, Thread

MARKS = {"dead": "✗", "runs": "▶", "waits": "○", "ended": "·", "stopped": "‖", "traced": "‖", "frozen": "‖"}
# So many threads of a process, or processes of a parent, that differ in nothing are shown as one.
_ALIKE = 3
_NAMED = 6
_SOURCES = 2
_COMMAND = 160  # characters; the picture has all of them
_FUTEX = re.compile(r"(waits on .*?) \(op (0x[0-9a-f]+)(?:: ([^(,:;]*[^(,:; ]))?")
_LIBRARIES = ("/lib/python3.", "/lib64/python3.", "/site-packages/", "/dist-packages/", "<frozen")
_BY_KIND = {
    WaitKind.STOPPED: "stopped",
    WaitKind.TRACED: "traced",
    WaitKind.FROZEN: "frozen",
    WaitKind.RUNNING: "runs",
}


T = TypeVar("T")


class RowKind(StrEnum):
    """What a row is about."""

    PROCESS = "process"
    THREAD = "thread"
    MORE = "more"


class Row(NamedTuple):
    """One line. `lead` are the branches of the tree before it, `next_lead` those before what wraps; `status` is one
    of MARKS; `name` is who, `text` all the rest."""

    kind: RowKind
    lead: str
    next_lead: str
    status: str
    name: str
    text: str


def outline(picture: Picture) -> Iterator[Row]:
    """The rows, the root first. Those whose parent is not in the tree, orphans, stand beside the root."""
    pids = {process.pid for process in picture.processes}
    children: dict[int, list[Process]] = {}
    tops = []
    for process in picture.processes:
        if process.pid == picture.root or process.ppid not in pids:
            tops.append(process)
        else:
            children.setdefault(process.ppid, []).append(process)
    for top in tops:
        yield from _process(top, children, "", "", parent=None)


def plain(row: Row) -> str:
    """A row as one line of text."""
    return f"{row.lead}{head(row)}{row.text}".rstrip()


def head(row: Row) -> str:
    """What stands before a row's text: the mark with its word, and the name."""
    mark = f"{MARKS[row.status]} {row.status}" if row.status else ""
    if row.kind is RowKind.THREAD:
        return f"{mark:<9} {row.name}: "
    return f"{row.name}{'  ' if mark else ''}{mark}{'  ' if row.name else ''}"


def _process(
    process: Process, children: dict[int, list[Process]], lead: str, below: str, *, parent: Process | None
) -> Iterator[Row]:
    mine = list(_alike(children.get(process.pid, ()), lambda child: _shape(child, children)))
    bar = "│ " if mine else "  "
    name = f"PID {process.pid}" + (f" {process.role}" if process.role else "")
    yield Row(RowKind.PROCESS, lead, below + bar, "dead" if process.dead else "", name, _facts(process, parent))
    for threads in _alike(process.threads, lambda thread: _sameness(process, thread)):
        yield _threads(process, threads, below + bar)
    if process.no_stack:
        what = "native frames" if any(thread.stack for thread in process.threads) else "stacks"
        yield Row(RowKind.MORE, below + bar, below + bar + "  ", "", "", f"no {what}: {process.no_stack.rstrip('.')}")
    for number, group in enumerate(mine, 1):
        last = number == len(mine)
        yield from _process(
            group[0], children, below + ("└─ " if last else "├─ "), below + ("   " if last else "│  "), parent=process
        )
        if len(group) > 1:
            bar = "   " if last else "│  "
            pids = _numbers([child.pid for child in group[1:]])
            text = f"and {len(group) - 1} processes more like PID {group[0].pid}: PID {pids}"
            yield Row(RowKind.MORE, below + bar, below + bar + "  ", "", "", text)


def _facts(process: Process, parent: Process | None) -> str:
    parts = [f"state {process.state}", f"{process.cpu:.0%} CPU", f"{process.rss_bytes / 1e6:.0f} MB"]
    if process.forked and parent is not None and parent.cmdline == process.cmdline:
        return f"{', '.join(parts)}  forked from PID {parent.pid}"
    command = " ".join(process.cmdline) or "(no command line)"
    shown = command if len(command) <= _COMMAND else command[: _COMMAND - 1] + "…"
    return f"{', '.join(parts)}  {shown}"


def _threads(process: Process, group: Sequence[Thread], lead: str) -> Row:
    thread = group[0]
    name = f"{thread.name} {thread.tid}"
    if len(group) > 1:
        name = f"{len(group)} threads ({_numbers([other.tid for other in group])})"
    said = why(process, thread)
    parts = [brief(thread.wait)]
    if said not in ("it runs", "it has ended") and said not in thread.wait:
        parts.append(said)
    if any(other.cpu >= 0.01 for other in group):
        parts.append(f"{sum(other.cpu for other in group):.0%} of a core")
    native = not thread.stack and any(other.stack for other in process.threads)
    where = place(thread) or ("no line of Python: it is a native thread" if native else "")
    text = "; ".join(parts) + (f" · {where}" if where else "")
    return Row(RowKind.THREAD, lead, lead + " " * 10, status(thread), name, text)


def brief(wait: str) -> str:
    """A wait in fewer words: of a futex who is known to wait so, of many sources the first ones."""
    if found := _FUTEX.match(wait):
        what, op, who = found.groups()
        timer = ", with a timeout" if wait.endswith(", with a timeout") else ""
        return f"{what} (op {op}{f', {who}' if who else ''}){timer}"
    sources = wait.split(" or ")
    more = f" or {len(sources) - _SOURCES} more" if len(sources) > _SOURCES else ""
    return " or ".join(sources[:_SOURCES]) + more


def why(process: Process, thread: Thread) -> str:
    """Why it lives, or who could wake it."""
    return thread.why if thread.live or thread.ended else _wakers(process, thread)


def _wakers(process: Process, thread: Thread) -> str:
    """Who could wake a dead thread."""
    mates = [waker.tid for waker in thread.wakers if waker.pid == process.pid and waker.tid is not None]
    any_mate = any(waker.pid == process.pid and waker.tid is None for waker in thread.wakers)
    all_mates = any_mate or len(mates) == len(process.threads) - 1 > 1
    names = [f"thread {_numbers(mates)}"] if mates else []
    others = [waker.pid for waker in thread.wakers if waker.pid != process.pid]
    names = (["the others of its process"] if all_mates else names) + ([f"PID {_numbers(others)}"] if others else [])
    return f"only dead ones could wake it: {' and '.join(names)}" if names else "nobody could wake it"


def status(thread: Thread) -> str:
    """One of MARKS."""
    if thread.ended:
        return "ended"
    if not thread.live:
        return "dead"
    return _BY_KIND.get(thread.kind, "runs" if thread.state == "R" else "waits")


def place(thread: Thread) -> str:
    """The innermost Python line, and the innermost one outside of the libraries; empty when there is none."""
    frames = thread.python_frames
    if not frames:
        return ""
    inner = frames[0]
    own = next((frame for frame in frames if not any(part in frame.file for part in _LIBRARIES)), None)
    if own is not None and own is not inner:
        return f"at {call(inner)} < {call(own)}"
    return f"at {call(inner)}" + (f": {thread.source}" if thread.source else "")


def call(frame: Frame) -> str:
    """A frame in words: `put (queue.py:133)`."""
    file = frame.file or frame.module
    return f"{frame.function} ({file.rpartition('/')[2]}{f':{frame.line}' if frame.line else ''})"


def _sameness(process: Process, thread: Thread) -> object:
    """What must be equal for threads to be shown as one; the main thread is shown for itself."""
    if thread.tid == process.pid:
        return thread.tid
    return (
        status(thread),
        thread.kind,
        thread.timed,
        len(thread.wakers),
        bool(thread.cpu),
        thread.python_frames[:3],
        thread.python_frames == () and thread.name,
    )


def _shape(process: Process, children: dict[int, list[Process]]) -> object:
    """What must be equal for processes without children to be shown as one."""
    if children.get(process.pid):
        return process.pid
    threads = tuple(
        (status(thread), thread.kind, thread.timed, thread.python_frames[:3], bool(thread.cpu))
        for thread in process.threads
    )
    return process.cmdline, process.forked, process.role, process.no_stack != "", threads


def _alike(items: Iterable[T], shape: Callable[[T], object]) -> Iterator[list[T]]:
    """Groups of those that are alike, in the order of their first members; groups of few are taken apart."""
    groups: dict[object, list[T]] = {}
    for item in items:
        groups.setdefault(shape(item), []).append(item)
    for group in groups.values():
        yield from [group] if len(group) >= _ALIKE else [[item] for item in group]


def _numbers(numbers: Sequence[int]) -> str:
    more = f" and {len(numbers) - _NAMED} more" if len(numbers) > _NAMED else ""
    return ", ".join(map(str, numbers[:_NAMED])) + more
