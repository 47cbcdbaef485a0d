"""Reads the stacks of one process because a person asked, and says them as an event: never raises.

Natively only where a stop disturbs nothing; it takes its time, so call it in a thread of its own. Import it late.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import msgspec

from .details import raw_of, trimmed
from .diagnose.picture import fit_to_show
from .errors import ObserveError
from .events import StacksRead
from .model import ProcessSnapshot, Stack
from .observe import proc, stacks
from .seen import StackSeen

# How long py-spy may take: libraries with many symbols take it some seconds the first time.
DEADLINE_S = 10.0

Ask = Callable[[int, float], list[Stack]]


def dump(pid: int, tree: Iterable[int], *, native: bool, ask: Ask | None = None) -> StacksRead:
    """The stacks of a process of `tree`, or in `trouble` why py-spy gave none.

    `ask` (PID, seconds) has a process of our own write its Python stacks itself, where py-spy is missing or refused.
    """
    began_s = time.monotonic()
    try:
        found, trouble = _stacks(pid, tree, native=native, ask=ask)
    except ObserveError as error:
        trouble = _fit(error)
        return StacksRead(pid=pid, asked=True, native=native, trouble=trouble, taken_s=time.monotonic() - began_s)
    return StacksRead(
        pid=pid,
        stacks=found,
        native=any(frame.native for stack in found for frame in stack.frames),
        asked=True,
        taken_s=time.monotonic() - began_s,
        trouble=trouble,
    )


def _stacks(pid: int, tree: Iterable[int], *, native: bool, ask: Ask | None) -> tuple[tuple[StackSeen, ...], str]:
    process = proc.snapshot([pid]).get(pid)
    if pid not in tree:
        raise ObserveError(f"process {pid} does not belong to this tree")
    if process is None:
        raise ObserveError(f"process {pid} has ended")
    if native and not stacks.native_is_safe(process):
        raise ObserveError(_refusal(process), hint="Its Python stacks can be read without stopping it.")
    trouble = ""
    try:
        found = stacks.dump(pid, native=native, deadline_s=DEADLINE_S)
        if not found:
            raise ObserveError(f"py-spy found no Python thread in process {pid}")
    except ObserveError as refused:
        try:
            found = ask(pid, DEADLINE_S) if ask else []
        except ObserveError as also:
            raise ObserveError(refused.what, hint=refused.hint or also.what) from None
        if not found:
            raise
        trouble = _fit(refused)
    return tuple(_seen(stack) for stack in found), trouble


def _fit(error: ObserveError) -> str:
    return msgspec.convert(fit_to_show(str(error)), str)


def _refusal(process: ProcessSnapshot) -> str:
    restless = next(thread for thread in process.threads if not stacks.native_is_safe(_only(process, thread.tid)))
    doing = "runs" if restless.state == "R" else "is in a call that a stop could cut short"
    return (
        f"native frames of process {process.pid} are not read, for that stops it: thread {restless.tid}"
        f" ({restless.name}) {doing}, and data could be lost"
    )


def _only(process: ProcessSnapshot, tid: int) -> ProcessSnapshot:
    return msgspec.structs.replace(process, threads=tuple(t for t in process.threads if t.tid == tid))


def _seen(stack: Stack) -> StackSeen:
    whole = StackSeen(
        tid=stack.tid, name=stack.name, frames=trimmed(stack.frames), raw=raw_of(stack.raw, len(stack.frames))
    )
    return msgspec.convert(fit_to_show(whole), StackSeen, str_keys=True)
