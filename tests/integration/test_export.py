"""Exporting a recording without a terminal: whole folders, and a sentence where there can be none."""

from __future__ import annotations

from pathlib import Path

from cvdebug.core.journal import read

from .looking import cvdebug

RECORDING = Path(__file__).parents[1] / "data" / "attached.jsonl"


def test_a_recording_becomes_a_folder_that_can_be_read_and_played_again(tmp_path: Path) -> None:
    folder = tmp_path / "left"
    code, out, err = cvdebug("export", str(RECORDING), str(folder))
    assert (code, err) == (0, "")
    assert set(out.splitlines()) == {str(folder / name) for name in ("verdict.md", "stacks.txt", "events.jsonl")}
    assert "queue-join-before-drain" in (folder / "verdict.md").read_text()
    assert "queue_join_before_drain" in (folder / "stacks.txt").read_text()
    assert list(read(folder / "events.jsonl")) == list(read(RECORDING))


def test_nothing_is_overwritten_and_what_is_no_recording_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    code, out, err = cvdebug("export", str(RECORDING), str(tmp_path / "taken"))
    assert (code, out) == (1, "")
    assert "cannot be exported" in err
    assert list((tmp_path / "taken").iterdir()) == []
    code, out, err = cvdebug("export", str(tmp_path / "none.jsonl"))
    assert (code, out) == (2, "")
    assert "none.jsonl" in err
