"""The subject's mouth never blocks, and never loses a change of phase."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from cvdebug.core import events as ev
from cvdebug.core.model import Phase
from cvdebug.core.pipeline.emitter import PATIENCE, Emitter


@pytest.fixture
def pipe() -> Iterator[tuple[int, Emitter]]:
    read, write = os.pipe()
    os.set_blocking(read, False)
    emitter = Emitter.adopt(write)
    yield read, emitter
    emitter.close()
    os.close(read)


def drain(read: int, emitter: Emitter) -> list[ev.Event]:
    """Everything that reaches the reader once it reads again."""
    data = b""
    while True:
        emitter.flush()
        try:
            data += os.read(read, 1 << 20)
        except BlockingIOError:
            if not emitter.backlog:
                return [ev.decode(line) for line in data.splitlines(keepends=True)]


def test_events_arrive_in_order_with_time_and_source(pipe: tuple[int, Emitter]) -> None:
    read, emitter = pipe
    emitter.emit(ev.PhaseStarted(phase=Phase.LOAD))
    emitter.emit(ev.PhaseFinished(phase=Phase.LOAD, done=1, total=1))
    first, second = drain(read, emitter)
    assert isinstance(first, ev.PhaseStarted)
    assert isinstance(second, ev.PhaseFinished)
    assert first.source == "subject"
    assert 0 < first.at <= second.at


def test_a_reader_that_stopped_does_not_block_and_misses_no_change_of_phase(pipe: tuple[int, Emitter]) -> None:
    read, emitter = pipe
    total = 20_000
    for phase in Phase:
        emitter.emit(ev.PhaseStarted(phase=phase, total=total, detail="x" * 9000))
        for done in range(0, total + 1, 1000):
            emitter.emit(ev.PhaseProgress(phase=phase, done=done, total=total))
        emitter.emit(ev.PhaseFinished(phase=phase, done=total, total=total, detail="y" * 9000))
    assert emitter.backlog
    seen = drain(read, emitter)
    changes = [event for event in seen if isinstance(event, ev.PhaseStarted | ev.PhaseFinished)]
    assert [type(event) for event in changes] == [ev.PhaseStarted, ev.PhaseFinished] * len(Phase)
    last = {event.phase: event.done for event in seen if isinstance(event, ev.PhaseProgress)}
    assert last == dict.fromkeys(last, total)


def test_progress_is_merged_while_nobody_reads(pipe: tuple[int, Emitter]) -> None:
    read, emitter = pipe
    emitter.emit(ev.Log(text="z" * 100_000))  # more than the pipe takes
    for done in range(5000):
        emitter.emit(ev.PhaseProgress(phase=Phase.EMBED, done=done, total=done))
    progress = [event for event in drain(read, emitter) if isinstance(event, ev.PhaseProgress)]
    assert [event.done for event in progress] == [4999]


def test_a_flood_of_log_lines_drops_the_oldest_lines_only(pipe: tuple[int, Emitter]) -> None:
    read, emitter = pipe
    emitter.emit(ev.Log(text="z" * 100_000))
    emitter.emit(ev.PhaseStarted(phase=Phase.STORE))
    for number in range(PATIENCE + 50):
        emitter.emit(ev.Log(text=str(number)))
    emitter.emit(ev.PhaseFinished(phase=Phase.STORE, done=1, total=1))
    seen = drain(read, emitter)
    assert any(isinstance(event, ev.PhaseStarted) for event in seen)
    assert isinstance(seen[-1], ev.PhaseFinished)
    texts = [event.text for event in seen if isinstance(event, ev.Log)]
    assert texts[-1] == str(PATIENCE + 49)
    assert "0" not in texts


def test_a_reader_that_is_gone_raises_nothing() -> None:
    read, write = os.pipe()
    emitter = Emitter.adopt(write)
    os.close(read)
    emitter.emit(ev.PhaseStarted(phase=Phase.LOAD))
    assert not emitter.backlog
    emitter.close()
