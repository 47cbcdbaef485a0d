"""Copying and exporting: what leaves the app is whole, plain and without control characters."""

from __future__ import annotations

from pathlib import Path

import pytest
from cvdebug.core import events as ev
from cvdebug.core.journal import read
from cvdebug.core.run_report import markdown
from cvdebug.core.state import RunState, fold

from . import events
from .recorded import folded, recorded
from .stage import stage

HOSTILE = "[/red] \x1b[31m\x07 `ticks` ``` \u202e end"


async def test_copy_takes_the_whole_panel_and_no_control_character() -> None:
    given = [*events.hang(), *events.stamped([ev.Log(text=f"line {n} {HOSTILE}", origin="output") for n in range(100)])]
    async with stage(given, size="wide") as show:
        await show.press("7", "y")
        copied = show.app.clipboard
    assert "line 0" in copied
    assert "line 99" in copied
    assert "[/red]" in copied
    assert "\x1b" not in copied


async def test_copy_without_a_panel_says_what_to_do() -> None:
    async with stage(events.hang(), size="wide") as show:
        show.app.screen.set_focus(None)
        await show.press("y")
        await show.until(lambda: "Nothing to copy" in show.text)


async def test_export_leaves_events_report_stacks_and_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with stage(events.hang(), size="wide") as show:
        await show.press("x")
        await show.until(lambda: "Exported to" in show.text.replace("\n", " "))
        shown = show.app.scene.state
        await show.press("x")
        await show.until((tmp_path / "cvdebug-20260101-120000-abcd-2" / "events.jsonl").exists)
    folder = tmp_path / "cvdebug-20260101-120000-abcd"
    assert {file.name for file in folder.iterdir()} == {"events.jsonl", "verdict.md", "stacks.txt", "screen.svg"}
    state = RunState()
    for event in read(folder / "events.jsonl"):
        state = fold(state, event)
    assert state == shown
    report = (folder / "verdict.md").read_text()
    assert report.startswith("# rayon-fork-deadlock")
    assert "LockLatch" in (folder / "stacks.txt").read_text()
    assert (folder / "screen.svg").read_text().startswith("<svg")
    assert folder.stat().st_mode & 0o077 == 0


async def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    async with stage(events.hang(), size="wide") as show:
        await show.press("x")
        await show.until(lambda: "cannot be exported" in show.text.replace("\n", " "))


def test_the_report_fences_what_the_machine_said() -> None:
    state = RunState()
    said = events.verdict()
    for event in events.stamped([*events.beginning(), said, ev.NotSeen(sentences=(HOSTILE,))]):
        state = fold(state, event)
    report = markdown(state, command="cvdebug run --dsn postgresql://me:secret@host/db")
    assert "secret" not in report
    assert "\x1b" not in report
    assert report.splitlines().count("````text") == report.splitlines().count("````") == 1
    for line in said.evidence:
        assert line in report


def test_the_report_of_a_fixed_run_tells_what_it_hung_on() -> None:
    report = markdown(folded(recorded("deadlock-and-fix")), command="cvdebug run")
    assert "## Verdict: rayon-fork-deadlock, proven; it was so, and is over" in report
    assert "fixed by serial" in report
    assert "it hung with TOKENIZERS_PARALLELISM on" in report
    assert "LockLatch" in report.partition("## Stacks, innermost frame first")[2]
