"""Collects the evidence about a process that is proven dead: its stack, its parent, its live environment.

A native dump stops the process for a moment. That is safe here, and only here, because a proven process waits on a
futex: no write can be cut short. Whatever may not be looked at is left out, and the evidence says why.
"""

from __future__ import annotations

from typing import NamedTuple

from ..errors import ObserveError
from ..model import ProcessSnapshot, Stack
from ..observe import environment, stacks
from ..observe.source import source_line
from .evidence import Evidence, Variable

PARALLELISM = "TOKENIZERS_PARALLELISM"


class Death(NamedTuple):
    """The two snapshots that prove a process dead, and its parent, where that is in the tree."""

    first: ProcessSnapshot
    second: ProcessSnapshot
    gap_s: float
    parent: ProcessSnapshot | None


def gather(death: Death) -> Evidence:
    """Everything about one dead process but its role and what its parent waits for. 30-90 ms, mostly py-spy's."""
    stack, no_stack = _stack(death.second)
    return Evidence(
        first=death.first,
        second=death.second,
        gap_s=death.gap_s,
        parallelism=_parallelism(death.second.pid),
        stack=stack,
        no_stack=no_stack,
        source=_source(death.second.pid, stack),
        parent=death.parent,
        parent_python_tids=_python_tids(death.parent),
    )


def _stack(process: ProcessSnapshot) -> tuple[Stack | None, str]:
    if not stacks.native_is_safe(process):
        return None, "stopping it might cut a write short"
    try:
        dumped = stacks.dump(process.pid, native=True)
    except ObserveError as error:
        return None, str(error)
    return (dumped[0], "") if dumped else (None, "py-spy found no Python thread in it")


def _source(pid: int, stack: Stack | None) -> str:
    frame = next((frame for frame in stack.frames if not frame.native), None) if stack else None
    return source_line(pid, frame) if frame else ""


def _python_tids(parent: ProcessSnapshot | None) -> frozenset[int] | None:
    if parent is None:
        return None
    try:
        return frozenset(stack.tid for stack in stacks.dump(parent.pid, native=False))
    except ObserveError:
        return None


def _parallelism(pid: int) -> Variable:
    try:
        return Variable(name=PARALLELISM, value=environment.live_variable(pid, PARALLELISM))
    except ObserveError as error:
        return Variable(name=PARALLELISM, unknown=str(error))
