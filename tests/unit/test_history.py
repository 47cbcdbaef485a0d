"""Series over time: steps, holding, rates, bounds, late and repeated events. All by hand, no clock."""

from __future__ import annotations

from cvdebug.core import events as ev
from cvdebug.core.history import POINTS, PROCESSES, STEP_S, History
from cvdebug.core.model import Phase
from cvdebug.core.seen import ProcessSeen
from cvdebug.core.state import RunState, fold

START = 1_000.0
BEGINNING = ev.RunStarted(
    run="r", scenario="s", title="t", resumed=False, settings={}, origins={}, versions={}, spool=""
)


def told(*events: tuple[float, ev.Event]) -> History:
    """The history of events, each at so many seconds after the start."""
    history, state = History(), RunState()
    for after_s, event in ((0.0, BEGINNING), *events):
        stamped = ev.stamp(event, at=START + after_s, source="session")
        state = fold(state, stamped)
        history.take(stamped, state)
    return history


def sampled(*processes: ProcessSeen, key: bool = True, gone: tuple[int, ...] = ()) -> ev.TreeSampled:
    return ev.TreeSampled(key=key, processes=processes, gone=gone)


def seen(pid: int, *, cpu: float = 0.0, rss_bytes: int = 0) -> ProcessSeen:
    return ProcessSeen(pid=pid, ppid=1, start_ticks=1, cpu=cpu, rss_bytes=rss_bytes)


def at(history: History, after_s: float) -> int:
    return history.slot(START + after_s)


def test_chunks_are_counted_per_second_and_a_pause_is_nothing() -> None:
    history = told(
        (0.1, ev.PhaseStarted(phase=Phase.EMBED, total=100, unit="chunks")),
        (0.2, ev.PhaseProgress(phase=Phase.EMBED, done=10)),
        (0.3, ev.PhaseProgress(phase=Phase.EMBED, done=15)),
        (1.6, ev.PhaseProgress(phase=Phase.EMBED, done=16)),
    )
    assert history.chunks_per_s.upto(at(history, 2.4)) == [15 / STEP_S, 0, 0, 1 / STEP_S, 0]


def test_what_an_earlier_attempt_left_is_no_speed() -> None:
    history = told(
        (0.1, ev.PhaseStarted(phase=Phase.EMBED, total=100, done=60)),
        (0.2, ev.PhaseProgress(phase=Phase.EMBED, done=61)),
        (0.3, ev.SubjectStarted(pid=1, start_method="fork", workers=1, parallelism="off")),
        (0.4, ev.PhaseFinished(phase=Phase.EMBED, done=100, total=100, kept=True)),
    )
    assert history.chunks_per_s.upto(0) == [1 / STEP_S]


def test_a_value_holds_until_another_comes() -> None:
    history = told((0.0, sampled(seen(7, cpu=0.5, rss_bytes=10), seen(8, cpu=0.25, rss_bytes=30))))
    later = at(history, 1.0)
    assert history.cpu[7].upto(later) == [0.5, 0.5, 0.5]
    assert history.cpu_sum.upto(later) == [0.75] * 3
    assert history.rss_sum.upto(later) == [40] * 3
    assert history.rss_max.upto(later) == [30] * 3


def test_a_process_that_is_gone_uses_nothing_and_new_ones_start_where_they_came() -> None:
    history = told(
        (0.0, sampled(seen(7, cpu=1.0))),
        (1.0, sampled(seen(9, cpu=0.5), key=False, gone=(7,))),
    )
    assert history.cpu[7].upto(at(history, 1.0)) == [1.0, 1.0, 0.0]
    assert history.cpu[9].upto(at(history, 1.0)) == [0.5]


def test_what_comes_later_than_asked_for_is_left_out() -> None:
    """A paused view goes on seeing what it saw, though the series grow."""
    history = told((0.0, sampled(seen(7, cpu=0.1))), (2.0, sampled(seen(7, cpu=0.9))))
    assert history.cpu[7].upto(at(history, 1.0)) == [0.1, 0.1, 0.1]
    assert history.cpu[7].upto(-1) == []


def test_rows_and_index_follow_their_phases() -> None:
    history = told(
        (0.0, ev.PhaseStarted(phase=Phase.STORE, total=200)),
        (0.1, ev.PhaseProgress(phase=Phase.STORE, done=50)),
        (0.6, ev.PhaseFinished(phase=Phase.STORE, done=200, total=200)),
        (0.7, ev.PhaseStarted(phase=Phase.INDEX, total=4)),
        (0.8, ev.PhaseProgress(phase=Phase.INDEX, done=1)),
    )
    assert history.rows.upto(1) == [50, 200]
    assert history.index.upto(1) == [0.25]


def test_series_are_bounded_whatever_comes() -> None:
    history = told(
        (0.0, sampled(*(seen(pid, cpu=0.1) for pid in range(1, 3 * PROCESSES)))),
        (1e6, sampled(seen(1, cpu=0.2))),
        (-50.0, sampled(seen(1, cpu=0.3))),
        (1e6 + 1, sampled(*(seen(pid) for pid in range(1000, 1000 + PROCESSES)))),
    )
    assert len(history.cpu) <= PROCESSES
    assert all(len(series.upto(at(history, 2e6))) <= POINTS for series in history.cpu.values())
    assert 1000 in history.cpu  # the places of those that are gone are given away


def test_a_new_attempt_begins_with_nothing() -> None:
    history = told((0.0, sampled(seen(7, cpu=1.0))), (5.0, BEGINNING), (5.0, sampled(seen(8, cpu=0.5))))
    assert list(history.cpu) == [8]
    assert history.slot(START + 5.0) == 0
