"""Adds to a case what takes more than /proc: stacks, source lines, live variables.

What was read of a process is kept until one of its threads moves, so that looking again costs nothing. See `reader` for
what is stopped, and when.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

import msgspec

from ..model import ProcessSnapshot
from ..observe import memory
from . import idlers
from .case import Case
from .owners import Owners
from .reader import Ask, Reading, read, state

# How long py-spy may take over one process: libraries with many symbols take it a second the first time.
DUMP_S = 5.0
# How long all processes of one look may take, unless said otherwise.
ALL_S = 20.0


class Inspector:
    """Reads stacks; remembers them by process. Used by one thread."""

    def __init__(self, *, deadline_s: float = DUMP_S, all_s: float = ALL_S) -> None:
        """`deadline_s` is how long py-spy may take over one process, `all_s` how long over those of one look."""
        self._deadline_s, self._all_s = deadline_s, all_s
        self._kept: dict[int, Reading] = {}
        self._is_python: dict[tuple[int, int], bool] = {}
        self._owners = Owners()

    def inspect(
        self, case: Case, *, native: bool = False, only: Iterable[int] | None = None, ask: Ask | None = None
    ) -> Case:
        """The case with the stacks of its Python processes, or of those in `only`. `ask`: see `reader.read`."""
        wanted = [case.processes[pid] for pid in (case.processes if only is None else only) if pid in case.processes]
        dead = set(case.dead_processes)
        fresh = (p.pid for p in case.processes.values() if not self._is_stale(p, dead=p.pid in dead))
        self._kept = {pid: self._kept[pid] for pid in fresh}
        stale = [p for p in wanted if p.pid not in self._kept and self._runs_python(p, case)]
        self._kept |= read(stale, dead, asked=native, deadline_s=self._deadline_s, all_s=self._all_s, ask=ask)
        case = msgspec.structs.replace(
            case,
            stacks={stack.tid: stack for reading in self._kept.values() for stack in reading.stacks},
            no_stacks={pid: reading.no_stack for pid, reading in self._kept.items() if reading.no_stack},
            sources={tid: line for reading in self._kept.values() for tid, line in reading.sources.items()},
            held={tid: locks for reading in self._kept.values() for tid, locks in reading.held.items()},
            idle={tid: how for r in self._kept.values() for tid, how in r.idle.items() if idlers.sleeps(case, tid)},
            parallelism={pid: r.parallelism for pid, r in self._kept.items() if r.parallelism is not None},
            lock_files={lock.tid: lock for reading in self._kept.values() for lock in reading.lock_files},
            alike={pid: reading.alike for pid, reading in self._kept.items() if reading.alike},
        )
        return msgspec.structs.replace(case, semaphores=self._owners.of(case))

    def _is_stale(self, process: ProcessSnapshot, *, dead: bool) -> bool:
        kept = self._kept.get(process.pid)
        return kept is None or kept.dead != dead or kept.state != state(process, dead=dead)

    def _runs_python(self, process: ProcessSnapshot, case: Case) -> bool:
        key = process.pid, process.start_ticks
        if key not in self._is_python:
            program = case.first.programs.get(process.pid) or os.path.basename((*process.cmdline, "")[0])
            self._is_python[key] = program.startswith(("python", "pypy")) or _maps_python(process.pid)
        return self._is_python[key]


def _maps_python(pid: int) -> bool:
    text = memory.maps(pid)
    return text is not None and b"libpython" in text
