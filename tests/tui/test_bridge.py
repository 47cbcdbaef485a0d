"""A source that is faster than the app: it waits, memory is bounded, and neither folding nor leaving is held up."""

from __future__ import annotations

from pathlib import Path

import pytest
from cvdebug.core import events as ev
from cvdebug.core.journal import Journal
from cvdebug.core.replay import AT_ONCE, Replay
from cvdebug.tui.bridge import MOST_WAITING, Bridge

from tests.programs import until


@pytest.fixture
def long(tmp_path: Path) -> Path:
    """A recording of more events than may wait."""
    path = tmp_path / "long.jsonl"
    journal = Journal(path)
    for number in range(MOST_WAITING + 500):
        journal.write(ev.stamp(ev.Log(text=f"line {number}"), at=1.0 + number, source="subject", seq=number + 1))
    journal.close()
    return path


def test_a_source_that_is_too_fast_waits_and_is_left_all_the_same(long: Path) -> None:
    bridge = Bridge(lambda: Replay(long, AT_ONCE), lambda message: None, may_wait=True)
    bridge.start()
    until(lambda: bridge.waiting >= MOST_WAITING)
    assert not bridge.over
    assert bridge.fold(within_s=0.0) == ()
    assert bridge.waiting == MOST_WAITING
    assert len(bridge.fold(within_s=0.001)) < MOST_WAITING
    assert bridge.stop(5.0)
    assert len(bridge.fold()) <= MOST_WAITING
    bridge.close()


def test_what_watches_something_is_never_held_up(long: Path) -> None:
    bridge = Bridge(lambda: Replay(long, AT_ONCE), lambda message: None)
    bridge.start()
    until(lambda: bridge.over)
    assert bridge.waiting > MOST_WAITING + 500  # and the end of it
    bridge.close()
