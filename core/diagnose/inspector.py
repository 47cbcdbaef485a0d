"""Adds to a case what takes more than /proc: stacks, source lines, live variables.

What was read of a process is kept until one of its threads moves, so that looking again costs nothing. A native dump
stops the process for a moment; without being asked it is made only of processes that are proven dead, and never where
a thread is in a call that a stop could cut short.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import msgspec

from ..errors import ObserveError
from ..model import ProcessSnapshot, Stack
from ..observe import environment, memory, stacks
from ..observe.source import source_line
from .case import Case, Variable

PARALLELISM = "TOKENIZERS_PARALLELISM"


class _Reading(msgspec.Struct, frozen=True):
    """What was read of one process while its threads were as `state` says."""

    state: tuple[object, ...]
    dead: bool
    stacks: tuple[Stack, ...]
    no_stack: str
    sources: dict[int, str]
    parallelism: Variable | None


class Inspector:
    """Reads stacks; remembers them by process. Used by one thread."""

    def __init__(self) -> None:
        self._kept: dict[int, _Reading] = {}
        self._is_python: dict[tuple[int, int], bool] = {}

    def inspect(self, case: Case, *, native: bool = False, only: Iterable[int] | None = None) -> Case:
        """The case with the stacks of its Python processes, or of those in `only`."""
        wanted = [case.processes[pid] for pid in (case.processes if only is None else only) if pid in case.processes]
        dead = set(case.dead_processes)
        self._kept = {pid: reading for pid, reading in self._kept.items() if pid in case.processes}
        stale = [p for p in wanted if self._is_stale(p, dead=p.pid in dead) and self._runs_python(p, case)]
        with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            read = pool.map(lambda p: _read(p, asked=native, dead=p.pid in dead), stale)
            self._kept.update(zip((process.pid for process in stale), read, strict=True))
        return msgspec.structs.replace(
            case,
            stacks={stack.tid: stack for reading in self._kept.values() for stack in reading.stacks},
            no_stacks={pid: reading.no_stack for pid, reading in self._kept.items() if reading.no_stack},
            sources={tid: line for reading in self._kept.values() for tid, line in reading.sources.items()},
            parallelism={pid: r.parallelism for pid, r in self._kept.items() if r.parallelism is not None},
        )

    def _is_stale(self, process: ProcessSnapshot, *, dead: bool) -> bool:
        kept = self._kept.get(process.pid)
        return kept is None or kept.dead != dead or kept.state != _state(process, dead=dead)

    def _runs_python(self, process: ProcessSnapshot, case: Case) -> bool:
        key = process.pid, process.start_ticks
        if key not in self._is_python:
            program = case.first.programs.get(process.pid, "")
            self._is_python[key] = program.startswith(("python", "pypy")) or _maps_python(process.pid)
        return self._is_python[key]


def _state(process: ProcessSnapshot, *, dead: bool) -> tuple[object, ...]:
    """What changes when the stacks do. Being dumped natively is a switch too, but the dead stay where they are."""
    threads = tuple((t.tid, t.state, t.syscall, None if dead else (t.switches, t.cpu_ticks)) for t in process.threads)
    return process.start_ticks, threads


def _maps_python(pid: int) -> bool:
    text = memory.maps(pid)
    return text is not None and b"libpython" in text


def _read(process: ProcessSnapshot, *, asked: bool, dead: bool) -> _Reading:
    native = (dead and stacks.native_is_safe(process)) or (asked and stacks.may_be_stopped(process))
    found: list[Stack] = []
    why = ""
    try:
        found = stacks.dump(process.pid, native=native)
        why = "" if found else "py-spy found no Python thread in it"
    except ObserveError as error:
        why = str(error)
    lines = {stack.tid: line for stack in found if (line := _source(process.pid, stack))}
    variable = _parallelism(process.pid) if dead and process.forked else None
    return _Reading(_state(process, dead=dead), dead, tuple(found), why, lines, variable)


def _source(pid: int, stack: Stack) -> str:
    frame = next((frame for frame in stack.frames if not frame.native), None)
    return source_line(pid, frame) if frame else ""


def _parallelism(pid: int) -> Variable:
    try:
        return Variable(name=PARALLELISM, value=environment.live_variable(pid, PARALLELISM))
    except ObserveError as error:
        return Variable(name=PARALLELISM, unknown=str(error))
