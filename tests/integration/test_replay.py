"""Playing recordings: what was is shown as it was, in its own time, and what is no recording is refused."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable
from pathlib import Path

import pytest
from cvdebug.core import events as ev
from cvdebug.core import journal, replay
from cvdebug.core.commands import Cancel, Dump, Propose
from cvdebug.core.errors import CvdebugError, InputError, UsageError
from cvdebug.core.folders import HOME_VARIABLE, runs_folder
from cvdebug.core.replay import AT_ONCE, Replay
from cvdebug.core.state import RunState, fold

from .driver import Command
from .looking import cvdebug, terminal
from .test_following import read

START = 1_700_000_000.0
HUNG = ev.RunFinished(outcome="hang", exit_code=3, elapsed_s=2.0, what="the run hangs")


def written(path: Path, *events: ev.Event, gap_s: float = 1.0) -> Path:
    """A recording of these events, so many seconds apart."""
    stamped = (
        ev.stamp(event, at=START + gap_s * place, source="session", seq=place + 1) for place, event in enumerate(events)
    )
    path.write_bytes(b"".join(map(ev.encode, stamped)))
    return path


def folded(events: Iterable[ev.Event]) -> RunState:
    state = RunState()
    for event in events:
        state = fold(state, event)
    return state


def logs(count: int) -> list[ev.Event]:
    return [ev.Log(text=f"line {number}") for number in range(count)]


# in time


def test_a_recording_is_played_with_its_own_gaps_and_its_own_clock(tmp_path: Path) -> None:
    path = written(tmp_path / "r.jsonl", *logs(3), HUNG)
    played = Replay(path, speed=10.0)
    assert played.clock() == START
    began_s = time.monotonic()
    times = [(event.at, time.monotonic() - began_s, played.clock()) for event in played.events()]
    for place, (at, passed_s, clock) in enumerate(times):
        assert at == START + place
        assert passed_s >= place / 10 - 0.001
        assert at - 0.001 <= clock <= at + 1.0
    assert played.clock() == START + 3  # and there it stands
    assert list(Replay(path, AT_ONCE).events()) == list(journal.read(path))


def test_the_clock_moves_between_events_and_never_beyond_the_next(tmp_path: Path) -> None:
    played = Replay(written(tmp_path / "r.jsonl", *logs(2)), speed=2.0)
    events = played.events()
    next(events)
    seen = []
    waits = threading.Thread(target=lambda: list(events), daemon=True)
    waits.start()
    while waits.is_alive():
        seen.append(played.clock())
        time.sleep(0.01)
    assert seen == sorted(seen)
    assert any(START + 0.2 < clock < START + 0.9 for clock in seen)
    assert played.clock() == START + 1


def test_long_silences_are_cut_short_and_a_resumed_run_follows_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "LONGEST_GAP_S", 0.05)
    path = written(tmp_path / "r.jsonl", *logs(3), HUNG, gap_s=3600.0)
    began_s = time.monotonic()
    assert len(list(Replay(path).events())) == 4
    assert 0.15 <= time.monotonic() - began_s < 5
    again = ev.RunStarted(
        run="r", scenario="s", title="t", resumed=True, settings={}, origins={}, versions={}, spool=""
    )
    monkeypatch.undo()
    path = written(tmp_path / "r.jsonl", HUNG, again, gap_s=9.0)
    began_s = time.monotonic()
    state = folded(Replay(path).events())
    assert time.monotonic() - began_s < 5
    assert (state.finished, state.started_at) == (None, START + 9.0)


# what is asked


def test_leaving_ends_it_and_other_wishes_are_answered_once(tmp_path: Path) -> None:
    played = Replay(written(tmp_path / "r.jsonl", *logs(2), gap_s=9.0))
    events = played.events()
    next(events)
    played.send(Dump(1))
    played.send(Propose())
    answer = next(events)
    assert isinstance(answer, ev.Log)
    assert "this is a recording" in answer.text
    assert START <= answer.at < START + 9
    played.send(Dump(1))
    threading.Timer(0.1, played.send, [Cancel()]).start()
    began_s = time.monotonic()
    assert list(events) == []
    assert time.monotonic() - began_s < 5


def test_a_recording_without_an_end_says_so(tmp_path: Path) -> None:
    path = written(tmp_path / "r.jsonl", *logs(2))
    path.write_bytes(path.read_bytes() + b'{"type":"log","text":"cut')
    *events, last = Replay(path, AT_ONCE).events()
    assert len(events) == 2
    assert isinstance(last, ev.Log)
    assert "the recording ends here" in last.text


# what is none


@pytest.mark.parametrize(
    ("content", "words", "code"),
    [
        (b"", "holds no event", 1),
        (b"\x00\xff\xfe\n", "line 1: a line is not an event", 1),
        (b'{"type":"log","v":1,"text":"a","at":1}\n{"type":"lo\n', "line 2: a line is not an event", 1),
        (b'{"type":"log","v":2,"text":"a"}\n', "format version 2, and this cvdebug reads version 1", 1),
        (b'{"type":"log","v":1,"text":"a","at":1e300}\n', "line 1: its time", 1),
        (b'{"type":"log","v":1,"text":"a","at":-1}\n', "line 1: its time", 1),
        (None, "is a folder, and no recording", 2),
    ],
)
def test_what_is_no_recording_is_refused_in_a_sentence(
    content: bytes | None, words: str, code: int, tmp_path: Path
) -> None:
    path = tmp_path / "x.jsonl"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    with pytest.raises((InputError, UsageError)) as refused:
        Replay(path)
    assert words in str(refused.value)
    answer, out, err = cvdebug("replay", str(path))
    assert (answer, out) == (code, "")
    assert words in err
    assert len(err.splitlines()) == 1


def test_usage_errors(tmp_path: Path) -> None:
    path = str(written(tmp_path / "r.jsonl", HUNG))
    for arguments in (["nowhere"], [path, "--speed", "fast"], [path, "--speed", "-1"], [path, "--json", "--plain"]):
        code, out, err = cvdebug("replay", *arguments)
        assert (code, out) == (2, "")
        assert err
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(CvdebugError, match="no ordinary file"):
        Replay(tmp_path / "fifo")


# as a command


def test_lines_json_and_the_exit_code_are_those_of_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path))
    kept = runs_folder() / "20260101-000000-abcd"
    kept.mkdir(parents=True)
    path = written(kept / "events.jsonl", *logs(2), HUNG)
    for word in (str(path), str(kept), kept.name):
        code, out, err = cvdebug("replay", word)
        assert (code, err) == (3, "")
        assert [line for line in out.splitlines() if line] == ["line 0", "line 1", "✗ hang: the run hangs."]
    code, out, err = cvdebug("replay", kept.name, "--json")
    assert (code, out.encode()) == (3, path.read_bytes())


@pytest.mark.slow
def test_the_replay_of_a_real_run_is_the_run(open_folder: Path) -> None:
    command = Command(open_folder / "replay")
    record = open_folder / "record.jsonl"
    live = command.events("run", "--cvs", "30", "--parallelism", "on", "--record", str(record))
    assert live.code == 3
    assert list(Replay(record, AT_ONCE).events()) == live.events
    assert folded(Replay(record, AT_ONCE).events()) == folded(live.events)
    again = command.run("replay", live.one(ev.RunStarted).run, "--json")
    assert (again.code, again.events) == (3, live.events)


@pytest.mark.slow
def test_on_a_terminal_the_app_shows_the_time_of_the_recording(tmp_path: Path) -> None:
    tree = ev.Attached(pid=4711, command=("python", "job.py"), versions={})
    path = written(tmp_path / "r.jsonl", tree, *logs(2), HUNG, gap_s=0.2)
    with terminal("replay", str(path), columns=120) as (master, process):
        read(master, b"0:00")  # and not the years that have passed since
        read(master, b"ended")
        os.write(master, b"q")
        read(master)
        assert process.wait(20) == 3
