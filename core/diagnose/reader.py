"""Reads of processes what takes more than /proc: stacks, source lines, live variables.

A native dump stops a process for a moment; without being asked it is made only of processes that are proven dead, and
never where a thread is in a call that a stop could cut short. Where many dead processes look alike it is made of two of
them, and holds for the others when it is the same.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import cache, partial

import msgspec

from ..errors import ObserveError
from ..model import ProcessSnapshot, Stack
from ..observe import environment, lockfiles, stacks
from ..observe.lockfiles import PolledLock
from ..observe.proc import futex
from ..observe.source import source_line, source_text
from . import idlers
from .case import Variable
from .closure import RUST_OP
from .listing import Idleness

PARALLELISM = "TOKENIZERS_PARALLELISM"
# More dead processes than these are not all dumped natively, where they look alike.
MOST_NATIVE = 8

Ask = Callable[[int, float], list[Stack]]
_ReadAll = Callable[[Sequence[ProcessSnapshot], Collection[int]], dict[int, "Reading"]]


class Reading(msgspec.Struct, frozen=True):
    """What was read of one process while its threads were as `state` says; `state` is empty where there was no time.

    `no_stack` says why py-spy gave no stacks: those that there are the process wrote itself. `alike` is the PID of the
    process whose native frames it was given, or 0.
    """

    state: tuple[object, ...]
    dead: bool
    stacks: tuple[Stack, ...]
    no_stack: str
    sources: dict[int, str]
    held: dict[int, tuple[str, ...]]
    idle: dict[int, Idleness]
    parallelism: Variable | None
    lock_files: tuple[PolledLock, ...]
    alike: int = 0


def read(
    processes: Sequence[ProcessSnapshot],
    dead: Collection[int],
    *,
    asked: bool,
    deadline_s: float,
    all_s: float,
    ask: Ask | None = None,
) -> dict[int, Reading]:
    """What there is to know of these processes, by PID. `asked`: a person wants native stacks of living ones too.

    `deadline_s` is how long py-spy may take over one process, `all_s` how long over all of them. `ask` has a dead
    process write its Python stacks itself, where py-spy gives none: to be asked moves a thread.
    """
    end_s = time.monotonic() + all_s
    native = {p.pid: p for p in processes if (p.pid in dead and stacks.native_is_safe(p)) or _may_stop(p, asked)}
    many = len(native) > MOST_NATIVE and not asked

    def all_of(pool: Executor, chosen: Sequence[ProcessSnapshot], natively: Collection[int]) -> dict[int, Reading]:
        def one(process: ProcessSnapshot) -> Reading:
            left_s = min(deadline_s, end_s - time.monotonic())
            may_ask = ask if process.pid in dead else None
            return _read(process, left_s, may_ask, native=process.pid in natively, dead=process.pid in dead)

        return {process.pid: reading for process, reading in zip(chosen, pool.map(one, chosen), strict=True)}

    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        found = all_of(pool, processes, () if many else native)
        return found | _sampled(list(native.values()), found, partial(all_of, pool)) if many else found


def state(process: ProcessSnapshot, *, dead: bool) -> tuple[object, ...]:
    """What changes when the stacks do. Being dumped natively is a switch too, but the dead stay where they are."""
    threads = tuple((t.tid, t.state, t.syscall, None if dead else (t.switches, t.cpu_ticks)) for t in process.threads)
    return process.start_ticks, threads


def _may_stop(process: ProcessSnapshot, asked: bool) -> bool:
    return asked and stacks.may_be_stopped(process)


# many that look alike


def _sampled(processes: Sequence[ProcessSnapshot], found: dict[int, Reading], read_all: _ReadAll) -> dict[int, Reading]:
    """Native readings of the first and the last of each group that looks alike; the others are given theirs.

    Where these two differ after all, every process of the group is read.
    """
    groups: dict[object, list[ProcessSnapshot]] = {}
    for process in processes:
        groups.setdefault(_looks(process, found[process.pid]), []).append(process)
    ends = {process.pid: process for group in groups.values() for process in (group[0], group[-1])}
    read = read_all(list(ends.values()), ends)
    for group in groups.values():
        first, last, rest = group[0].pid, group[-1].pid, group[1:-1]
        if _places(read[first].stacks, native=True) == _places(read[last].stacks, native=True):
            read |= {process.pid: _given(found[process.pid], read[first], first) for process in rest}
        else:
            read |= read_all(rest, {process.pid for process in rest})
    return read


def _looks(process: ProcessSnapshot, reading: Reading) -> tuple[object, ...]:
    """What look-alikes have in common: the parent, the command, each thread's wait, and each Python line."""
    waits = ((t.syscall[0] if t.syscall else None, f.op if (f := futex(t)) else None) for t in process.threads)
    places = _places(reading.stacks, native=False)
    return process.ppid, process.forked, process.cmdline, tuple(waits), places, reading.no_stack


def _places(stacks: Iterable[Stack], *, native: bool) -> tuple[object, ...]:
    return tuple(
        tuple((f.function, f.file, f.module, f.line) for f in stack.frames if native or not f.native)
        for stack in sorted(stacks, key=lambda stack: stack.tid)
    )


def _given(reading: Reading, other: Reading, pid: int) -> Reading:
    """A reading with the native frames of a process that looks like it."""
    pairs = zip(*(sorted(each.stacks, key=lambda stack: stack.tid) for each in (reading, other)), strict=False)
    given = tuple(msgspec.structs.replace(own, frames=its.frames, raw=its.raw) for own, its in pairs)
    return msgspec.structs.replace(reading, stacks=given, alike=pid)


# one process


def _read(process: ProcessSnapshot, deadline_s: float, ask: Ask | None, *, native: bool, dead: bool) -> Reading:
    if deadline_s <= 0:
        return Reading((), dead, (), "there was no time for it", {}, {}, {}, None, ())
    found, why = _stacks(process.pid, deadline_s, ask, native=native)
    texts = cache(lambda path: source_text(process.pid, path))
    held = {stack.tid: locks for stack in found if (locks := tuple(idlers.held(stack, texts)))}
    idle = {stack.tid: idleness for stack in found if (idleness := idlers.idleness(stack, texts)) is not None}
    lines = {stack.tid: line for stack in found if (line := _source(process.pid, stack))}
    variable = _parallelism(process.pid) if process.forked and (dead or _in_rust(process)) else None
    polled = (lockfiles.polled(process.pid, stack.tid) for stack in found if lockfiles.polls(stack))
    lock_files = tuple(lock for lock in polled if lock is not None)
    return Reading(state(process, dead=dead), dead, tuple(found), why, lines, held, idle, variable, lock_files)


def _stacks(pid: int, deadline_s: float, ask: Ask | None, *, native: bool) -> tuple[list[Stack], str]:
    """The stacks of a process, by py-spy or by asking itself; why there are none of py-spy."""
    try:
        found = stacks.dump(pid, native=native, deadline_s=deadline_s)
        return found, "" if found else "py-spy found no Python thread in it"
    except ObserveError as error:
        why = str(error)
    if ask is not None:
        with contextlib.suppress(ObserveError):
            return ask(pid, deadline_s), why
    return [], why


def _source(pid: int, stack: Stack) -> str:
    frame = next((frame for frame in stack.frames if not frame.native), None)
    return source_line(pid, frame) if frame else ""


def _in_rust(process: ProcessSnapshot) -> bool:
    waits = map(futex, process.threads)
    return any(wait is not None and not wait.timed and wait.op == RUST_OP for wait in waits)


def _parallelism(pid: int) -> Variable:
    try:
        return Variable(name=PARALLELISM, value=environment.live_variable(pid, PARALLELISM))
    except ObserveError as error:
        return Variable(name=PARALLELISM, unknown=str(error))
