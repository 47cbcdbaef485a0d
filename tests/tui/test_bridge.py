"""A source that is faster than the app: it waits, memory is bounded, and neither folding nor leaving is held up."""

from __future__ import annotations

from pathlib import Path

from cvdebug.core import events as ev
from cvdebug.core.journal import Journal
from cvdebug.core.replay import AT_ONCE, Replay
from cvdebug.tui.bridge import MOST_WAITING, Bridge

from tests.programs import until


def test_a_source_that_is_too_fast_waits_and_is_left_all_the_same(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "long.jsonl")
    for number in range(MOST_WAITING + 500):
        journal.write(ev.stamp(ev.Log(text=f"line {number}"), at=1.0 + number, source="subject", seq=number + 1))
    journal.close()
    bridge = Bridge(lambda: Replay(tmp_path / "long.jsonl", AT_ONCE), lambda message: None)
    bridge.start()
    until(lambda: bridge.waiting >= MOST_WAITING)
    assert not bridge.over
    assert bridge.fold(within_s=0.0) == ()
    assert bridge.waiting == MOST_WAITING
    assert len(bridge.fold(within_s=0.001)) < MOST_WAITING
    assert bridge.stop(5.0)
    assert len(bridge.fold()) <= MOST_WAITING
    bridge.close()
