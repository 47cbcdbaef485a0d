"""What was proven of a process stands until it moves; to be looked at is no motion of its own."""

from __future__ import annotations

import msgspec
import pytest
from cvdebug.core.diagnose.proven import SETTLE_S, Proven
from cvdebug.core.model import ProcessSnapshot, ThreadSnapshot

THREAD = ThreadSnapshot(tid=7, name="worker", state="S", syscall=None, wchan="", switches=3, cpu_ticks=1)
PROCESS = ProcessSnapshot(
    pid=7, ppid=1, start_ticks=5, state="S", cmdline=("python",), rss_bytes=0, signals_caught=0, frozen=False,
    threads=(THREAD,),
)  # fmt: skip


def at(switches: int, state: str = "S", *, start: int = 5, frozen: bool = False) -> dict[int, ProcessSnapshot]:
    thread = msgspec.structs.replace(THREAD, switches=switches, state=state)
    return {7: msgspec.structs.replace(PROCESS, start_ticks=start, frozen=frozen, threads=(thread,))}


@pytest.fixture
def proven() -> Proven:
    found = Proven()
    found.remember([7], 0.0)
    return found


def test_a_thread_that_moves_is_taken_back(proven: Proven) -> None:
    assert proven.retract(at(4), 0.1) == []  # the first glance after the proof
    assert proven.retract(at(4), 0.2) == []
    assert proven.retract(at(5), 0.3) == [7]
    assert (7 in proven, list(proven), bool(proven)) == (False, [], False)


def test_one_that_is_still_on_its_way_back_from_a_dump_is_not(proven: Proven) -> None:
    assert proven.retract(at(4, "R"), 0.1) == []
    assert proven.retract(at(5), 0.2) == []  # it has got a processor, and rests again
    assert proven.retract(at(5), 0.3) == []
    assert proven.retract(at(6), 0.4) == [7]


def test_one_that_does_not_come_to_rest_is_taken_back(proven: Proven) -> None:
    assert proven.retract(at(4, "R"), SETTLE_S) == []
    assert proven.retract(at(900, "R"), SETTLE_S + 0.1) == [7]


@pytest.mark.parametrize("held", [at(9, "t"), at(9, "T"), at(9, frozen=True)], ids=["traced", "stopped", "frozen"])
def test_one_that_somebody_holds_has_not_moved(proven: Proven, held: dict[int, ProcessSnapshot]) -> None:
    assert proven.retract(held, SETTLE_S + 1) == []
    assert proven.retract(at(4), SETTLE_S + 2) == []
    assert proven.retract(held, SETTLE_S + 3) == []
    assert proven.retract(at(4, start=6), SETTLE_S + 4) == [7]  # another one of that number


def test_what_somebody_else_does_to_it_is_excused_until_it_is_over(proven: Proven) -> None:
    assert proven.retract(at(4), 0.1) == []
    proven.excuse(7)
    disturbed = [proven.is_disturbed]
    assert proven.retract(at(8), 5.0) == []
    proven.settle(7, 5.0)
    assert [*disturbed, proven.is_disturbed] == [True, False]
    assert proven.retract(at(9, "R"), 5.1) == []
    assert proven.retract(at(10), 5.2) == []
    assert proven.retract(at(11), 5.3) == [7]


def test_one_that_is_gone_is_taken_back(proven: Proven) -> None:
    assert proven.retract({}, 0.1) == [7]


def test_only_what_is_proven_can_be_excused_and_all_can_be_forgotten(proven: Proven) -> None:
    proven.excuse(8)
    proven.settle(8, 1.0)
    assert not proven.is_disturbed
    proven.forget()
    assert proven.retract({}, 0.1) == []
