"""Adds to a case what takes more than /proc: stacks, source lines, live variables.

What was read of a process is kept until one of its threads moves, so that looking again costs nothing. A native dump
stops the process for a moment; without being asked it is made only of processes that are proven dead, and never where
a thread is in a call that a stop could cut short.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import msgspec

from ..errors import ObserveError
from ..model import ProcessSnapshot, Stack
from ..observe import environment, lockfiles, memory, stacks
from ..observe.lockfiles import PolledLock
from ..observe.proc import futex
from ..observe.source import source_line, source_text
from . import idlers
from .case import Case, Variable
from .closure import RUST_OP
from .listing import Idleness
from .owners import Owners

# How long py-spy may take over one process: libraries with many symbols take it a second the first time.
DUMP_S = 5.0
PARALLELISM = "TOKENIZERS_PARALLELISM"


class _Reading(msgspec.Struct, frozen=True):
    """What was read of one process while its threads were as `state` says."""

    state: tuple[object, ...]
    dead: bool
    stacks: tuple[Stack, ...]
    no_stack: str
    sources: dict[int, str]
    held: dict[int, tuple[str, ...]]
    idle: dict[int, Idleness]
    parallelism: Variable | None
    lock_files: tuple[PolledLock, ...]


class Inspector:
    """Reads stacks; remembers them by process. Used by one thread."""

    def __init__(self, *, deadline_s: float = DUMP_S) -> None:
        """`deadline_s` is how long py-spy may take over one process."""
        self._deadline_s = deadline_s
        self._kept: dict[int, _Reading] = {}
        self._is_python: dict[tuple[int, int], bool] = {}
        self._owners = Owners()

    def inspect(self, case: Case, *, native: bool = False, only: Iterable[int] | None = None) -> Case:
        """The case with the stacks of its Python processes, or of those in `only`."""
        wanted = [case.processes[pid] for pid in (case.processes if only is None else only) if pid in case.processes]
        dead = set(case.dead_processes)
        fresh = (p.pid for p in case.processes.values() if not self._is_stale(p, dead=p.pid in dead))
        self._kept = {pid: self._kept[pid] for pid in fresh}
        stale = [p for p in wanted if p.pid not in self._kept and self._runs_python(p, case)]
        with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            read = pool.map(lambda p: _read(p, self._deadline_s, asked=native, dead=p.pid in dead), stale)
            self._kept.update(zip((process.pid for process in stale), read, strict=True))
        case = msgspec.structs.replace(
            case,
            stacks={stack.tid: stack for reading in self._kept.values() for stack in reading.stacks},
            no_stacks={pid: reading.no_stack for pid, reading in self._kept.items() if reading.no_stack},
            sources={tid: line for reading in self._kept.values() for tid, line in reading.sources.items()},
            held={tid: locks for reading in self._kept.values() for tid, locks in reading.held.items()},
            idle={tid: how for r in self._kept.values() for tid, how in r.idle.items() if idlers.sleeps(case, tid)},
            parallelism={pid: r.parallelism for pid, r in self._kept.items() if r.parallelism is not None},
            lock_files={lock.tid: lock for reading in self._kept.values() for lock in reading.lock_files},
        )
        return msgspec.structs.replace(case, semaphores=self._owners.of(case))

    def _is_stale(self, process: ProcessSnapshot, *, dead: bool) -> bool:
        kept = self._kept.get(process.pid)
        return kept is None or kept.dead != dead or kept.state != _state(process, dead=dead)

    def _runs_python(self, process: ProcessSnapshot, case: Case) -> bool:
        key = process.pid, process.start_ticks
        if key not in self._is_python:
            program = case.first.programs.get(process.pid) or os.path.basename((*process.cmdline, "")[0])
            self._is_python[key] = program.startswith(("python", "pypy")) or _maps_python(process.pid)
        return self._is_python[key]


def _state(process: ProcessSnapshot, *, dead: bool) -> tuple[object, ...]:
    """What changes when the stacks do. Being dumped natively is a switch too, but the dead stay where they are."""
    threads = tuple((t.tid, t.state, t.syscall, None if dead else (t.switches, t.cpu_ticks)) for t in process.threads)
    return process.start_ticks, threads


def _maps_python(pid: int) -> bool:
    text = memory.maps(pid)
    return text is not None and b"libpython" in text


def _read(process: ProcessSnapshot, deadline_s: float, *, asked: bool, dead: bool) -> _Reading:
    native = (dead and stacks.native_is_safe(process)) or (asked and stacks.may_be_stopped(process))
    found: list[Stack] = []
    why = ""
    try:
        found = stacks.dump(process.pid, native=native, deadline_s=deadline_s)
        why = "" if found else "py-spy found no Python thread in it"
    except ObserveError as error:
        why = str(error)
    texts = cache(lambda path: source_text(process.pid, path))
    held = {stack.tid: locks for stack in found if (locks := tuple(idlers.held(stack, texts)))}
    idle = {stack.tid: idleness for stack in found if (idleness := idlers.idleness(stack, texts)) is not None}
    lines = {stack.tid: line for stack in found if (line := _source(process.pid, stack))}
    variable = _parallelism(process.pid) if process.forked and (dead or _in_rust(process)) else None
    polled = (lockfiles.polled(process.pid, stack.tid) for stack in found if lockfiles.polls(stack))
    lock_files = tuple(lock for lock in polled if lock is not None)
    return _Reading(_state(process, dead=dead), dead, tuple(found), why, lines, held, idle, variable, lock_files)


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
