"""What is kept of a run for its export."""

from __future__ import annotations

from pathlib import Path

import pytest
from cvdebug.core import events as ev
from cvdebug.core.journal import read
from cvdebug.core.recording import Recording


def test_a_copy_holds_all_and_more_can_follow(tmp_path: Path) -> None:
    recording = Recording()
    for number in range(3):
        recording.write(ev.Log(text=str(number)))
        recording.copy(tmp_path / "copy")
        assert [event.text for event in read(tmp_path / "copy") if isinstance(event, ev.Log)] == [
            str(each) for each in range(number + 1)
        ]
    recording.close()


def test_after_its_end_nothing_is_kept_and_a_copy_is_refused(tmp_path: Path) -> None:
    recording = Recording()
    recording.close()
    recording.write(ev.Log(text="late"))
    recording.close()
    with pytest.raises(OSError, match="closed"):
        recording.copy(tmp_path / "copy")
