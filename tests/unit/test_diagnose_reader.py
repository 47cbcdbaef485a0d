"""Many dead processes that look alike: two are read natively, and hold for the others where they agree."""

from __future__ import annotations

import pytest
from cvdebug.core.diagnose.reader import MOST_NATIVE, Reading, read
from cvdebug.core.model import Frame, ProcessSnapshot, Stack, ThreadSnapshot
from cvdebug.core.observe import stacks
from cvdebug.core.observe.proc import FUTEX_CALL

# Numbers above the largest PID there can be: nothing is read of anybody.
PIDS = tuple(range(5_000_000, 5_000_000 + 2 * MOST_NATIVE))
PYTHON = Frame(function="work", file="/srv/work.py", line=3)


class Dumps:
    """Stands in for py-spy. `natively` are the PIDs that were stopped."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, odd: int = 0) -> None:
        self.natively: list[int] = []
        self._odd = odd
        monkeypatch.setattr(stacks, "dump", self.dump)

    def dump(self, pid: int, *, native: bool, deadline_s: float = 5.0) -> list[Stack]:
        inner = Frame(function="other" if pid == self._odd else "wait", module="/lib/libwork.so", native=True)
        self.natively += [pid] if native else []
        return [Stack(tid=pid, name="MainThread", frames=(inner, PYTHON) if native else (PYTHON,))]


def dead(pid: int, op: int = 0x89) -> ProcessSnapshot:
    call = (FUTEX_CALL, 4096, op, 0, 0, 0, 0, 0, 0)
    thread = ThreadSnapshot(tid=pid, name="python", state="S", syscall=call, wchan="", switches=3, cpu_ticks=1)
    return ProcessSnapshot(
        pid=pid, ppid=1, start_ticks=1, state="S", cmdline=("python",), rss_bytes=1, signals_caught=0, frozen=False,
        threads=(thread,), forked=True,
    )  # fmt: skip


def readings(*processes: ProcessSnapshot, all_s: float = 60.0) -> dict[int, Reading]:
    return read(processes, {process.pid for process in processes}, asked=False, deadline_s=5.0, all_s=all_s)


def innermost(found: dict[int, Reading]) -> list[str]:
    return [found[pid].stacks[0].frames[0].function for pid in PIDS]


def test_two_stand_for_many(monkeypatch: pytest.MonkeyPatch) -> None:
    dumps = Dumps(monkeypatch)
    found = readings(*map(dead, PIDS))
    assert sorted(dumps.natively) == [PIDS[0], PIDS[-1]]
    assert innermost(found) == ["wait"] * len(PIDS)
    assert {pid: found[pid].alike for pid in PIDS} == dict.fromkeys(PIDS, PIDS[0]) | {PIDS[0]: 0, PIDS[-1]: 0}
    assert all(stack.tid == pid for pid, reading in found.items() for stack in reading.stacks)


def test_where_the_two_differ_all_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    dumps = Dumps(monkeypatch, odd=PIDS[-1])
    found = readings(*map(dead, PIDS))
    assert sorted(dumps.natively) == list(PIDS)
    assert innermost(found) == ["wait"] * (len(PIDS) - 1) + ["other"]
    assert not any(reading.alike for reading in found.values())


def test_who_waits_otherwise_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    dumps = Dumps(monkeypatch)
    found = readings(*(dead(pid, op=0x189 if pid == PIDS[3] else 0x89) for pid in PIDS))
    assert sorted(dumps.natively) == [PIDS[0], PIDS[3], PIDS[-1]]
    assert found[PIDS[3]].alike == 0


def test_a_few_are_all_read(monkeypatch: pytest.MonkeyPatch) -> None:
    dumps = Dumps(monkeypatch)
    readings(*map(dead, PIDS[:MOST_NATIVE]))
    assert sorted(dumps.natively) == list(PIDS[:MOST_NATIVE])


def test_what_there_was_no_time_for_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    dumps = Dumps(monkeypatch)
    (reading,) = readings(dead(PIDS[0]), all_s=0.0).values()
    assert (reading.state, reading.stacks, reading.no_stack) == ((), (), "there was no time for it")
    assert not dumps.natively
