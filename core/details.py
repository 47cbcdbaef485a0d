"""What a thorough look says of a tree, in the form in which it travels: waits in words, stacks, the graph.

It is made from pictures, so that secrets are hidden and all text is fit to be shown. Import it late: it brings the
whole diagnosis. No I/O.
"""

from __future__ import annotations

from typing import Any

import msgspec

from .diagnose import outline
from .diagnose.investigate import Finding
from .diagnose.picture import Picture, Process, Thread, fit_to_show, picture
from .events import GraphDrawn, StacksRead
from .model import Frame, Graph
from .observe.stacks import ENDED
from .seen import StackSeen, ThreadSeen, Waking

# Of a stack deeper than this so many frames stay at either end.
INNER, OUTER = 200, 50
# Who could wake a thread: more than these are a crowd.
MOST_WAKERS = 8
# A line of source, a wait, a reason: longer ones are cut.
MOST_CHARS = 300


class Details:
    """One finding, taken apart: `threads` by TID without what is cheap, `no_stack` by PID, `stacks` by PID."""

    def __init__(self, finding: Finding, *, at: float) -> None:
        """`at`, in seconds since the epoch, is when it was found."""
        shown = picture(finding)
        self.dead = frozenset(finding.case.dead_processes)
        self.not_seen = tuple(sentence for sentence in shown.not_seen if ENDED not in sentence)
        self.graph = shown.graph
        self.no_stack = {process.pid: process.no_stack for process in shown.processes}
        self.threads = {
            thread.tid: _thread(process, thread) for process in shown.processes for thread in process.threads
        }
        self.stacks = {event.pid: event for event in _stacks(shown, finding, at)}


def _thread(process: Process, thread: Thread) -> ThreadSeen:
    frames = thread.python_frames
    return ThreadSeen(
        pid=process.pid,
        tid=thread.tid,
        name=thread.name,
        status=outline.status(thread),
        wait=_short(outline.brief(thread.wait)),
        why=_short(outline.why(process, thread)),
        kind=thread.kind,
        timed=thread.timed,
        wakers=tuple(Waking(waker.pid, waker.tid or 0) for waker in thread.wakers[:MOST_WAKERS]),
        place=_short(f"at {outline.call(frames[0])}") if frames else "",
        source=_short(thread.source),
    )


def _stacks(shown: Picture, finding: Finding, at: float) -> list[StacksRead]:
    """The stacks of each process that has some, or of which it is known why not."""
    found = []
    for process in shown.processes:
        stacks = tuple(
            StackSeen(tid=t.tid, name=t.name, frames=trimmed(t.stack), raw=_raw(finding, t))
            for t in process.threads
            if t.stack
        )
        if stacks or (process.no_stack and ENDED not in process.no_stack):
            native = any(frame.native for stack in stacks for frame in stack.frames)
            trouble = process.no_stack
            found.append(
                StacksRead(at=at, source="diagnosis", pid=process.pid, stacks=stacks, native=native, trouble=trouble)
            )
    return found


def _raw(finding: Finding, thread: Thread) -> dict[int, str]:
    stack = finding.case.stacks.get(thread.tid)
    return raw_of(stack.raw, len(stack.frames)) if stack else {}


def raw_of(raw: dict[int, str], frames: int) -> dict[int, str]:
    """The names of the symbol table at the places that `trimmed` leaves a stack of so many frames."""
    fit: Any = {at: fit_to_show(name) for at, name in raw.items()}
    if frames <= INNER + OUTER:
        return dict(fit)
    left_out = frames - INNER - OUTER
    inner = {at: name for at, name in fit.items() if at < INNER}
    return inner | {at - left_out + 1: name for at, name in fit.items() if at >= frames - OUTER}


def trimmed(frames: tuple[Frame, ...]) -> tuple[Frame, ...]:
    """A stack that is not too deep to travel: of an endless recursion the two ends, and how much is between."""
    left_out = len(frames) - INNER - OUTER
    if left_out <= 0:
        return frames
    return (*frames[:INNER], Frame(function=f"({left_out:,} frames more)"), *frames[-OUTER:])


def weight(event: StacksRead | GraphDrawn) -> int:
    """About how many bytes an event takes in a journal."""
    if isinstance(event, GraphDrawn):
        return weight_of(event.graph)
    return 100 + sum(60 + 130 * len(stack.frames) for stack in event.stacks)


def weight_of(graph: Graph) -> int:
    """The same of a graph."""
    return 100 * len(graph.nodes) + 200 * len(graph.edges)


def _short(text: str) -> str:
    return text if len(text) <= MOST_CHARS else text[: MOST_CHARS - 1] + "…"


def with_cheap(detail: ThreadSeen | None, *, pid: int, tid: int, name: str, state: str, cpu: float) -> ThreadSeen:
    """A thread with what is cheap to know beside what a thorough look said, if there was one."""
    if detail is None or detail.pid != pid:
        return ThreadSeen(pid=pid, tid=tid, name=name, state=state, cpu=cpu)
    return msgspec.structs.replace(detail, name=detail.name or name, state=state, cpu=cpu)
