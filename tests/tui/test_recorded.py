"""The app driven with runs that really happened: what a person must see of each moment, and do then, at every size."""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from cvdebug.core import events as ev
from cvdebug.core.commands import Dump, Fix, Kill, Propose
from cvdebug.core.model import Phase, Strategy
from cvdebug.core.state import RunState, fold
from cvdebug.tui.drawing.words import STATUS
from cvdebug.tui.scene import Selection

from .recorded import DATA, NAMES, folded, recorded, up_to
from .stage import SIZES, Stage, stage

PROJECT = Path(__file__).parents[2]
MOST_BYTES = 300_000
ENDS = {
    "healthy": ("completed", "completed"),
    "deadlock-and-fix": ("completed", "completed"),
    "database-lock": ("completed", "completed"),
    "slow-index": ("completed", "completed"),
    "attached": ("hang", "proven deadlock"),
}
# What a file's name in a recording may begin with: nothing that is true of one machine only.
PLACES = ("/home/me/", "/usr/lib/", "/lib/", "/proc/", "/dev/", "/tmp/x")
_FILE = re.compile(r"(?<![\w/.<>:)\]-])/(?:[\w.+-]+/)+[\w.+-]+")


# what was recorded


@pytest.mark.parametrize("name", NAMES)
def test_a_recording_is_whole(name: str) -> None:
    events = recorded(name)
    assert (DATA / f"{name}.jsonl").stat().st_size < MOST_BYTES
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert isinstance(events[0], ev.RunStarted | ev.Attached)
    assert [event for event in events if isinstance(event, ev.RunFinished)] == [events[-1]]
    state = folded(events)
    assert state.finished is not None
    assert (state.finished.outcome, state.status) == ENDS[name]
    if not state.attached:
        assert {phase.status for phase in state.phases.values()} <= {"done", "kept"}
    samples = [event for event in events if isinstance(event, ev.TreeSampled)]
    used = [process.cpu for sample in samples for process in sample.processes]
    used += [thread.cpu for sample in samples for thread in sample.threads]
    assert all(0 <= cpu <= 4 for cpu in used)


@pytest.mark.parametrize("name", NAMES)
def test_a_recording_names_no_machine(name: str) -> None:
    text = (DATA / f"{name}.jsonl").read_text()
    assert str(PROJECT) not in text
    assert sys.prefix == "/usr" or f"{sys.prefix}/bin" not in text
    assert [path for path in _FILE.findall(text) if not path.startswith(PLACES)] == []


def looked_at(name: str) -> RunState:
    """A hang as it was known when it was decided what to do."""
    state = RunState()
    for event in recorded(name):
        if isinstance(event, ev.FixStarted | ev.RunFinished):
            return state
        state = fold(state, event)
    raise AssertionError(f"{name} never ends")


@pytest.mark.parametrize("name", ["deadlock-and-fix", "attached"])
def test_before_a_hang_is_left_all_of_it_was_seen(name: str) -> None:
    state = looked_at(name)
    assert state.status == "proven deadlock"
    assert state.graph is not None
    dead = [pid for pid, process in state.processes.items() if process.dead]
    assert len(dead) >= 2
    for pid in dead:
        threads = [thread for thread in state.threads.values() if thread.pid == pid]
        assert {thread.status for thread in threads} == {"dead"}
        assert state.processes[pid].cpu < 0.05
        assert state.stacks[pid].stack.frames
        assert not state.stacks[pid].moved
    assert name == "attached" or any(plan.prices for plan in state.proposals.values())


def test_the_database_was_seen_while_it_locked_and_while_it_built() -> None:
    locked = looked_at("database-lock")
    assert locked.database is not None
    assert any(session.blockers for session in locked.database.sessions)
    assert Strategy.UNBLOCK in locked.proposals
    built = [event for event in recorded("slow-index") if isinstance(event, ev.DatabaseSampled) and event.progress]
    assert len(built) > 5
    assert "slow-index-build" in folded(recorded("slow-index")).verdicts


# what is shown


class Moment(NamedTuple):
    """When, and what must be read then: in the top line, and in each panel."""

    name: str
    recording: str
    when: Callable[[RunState], object]
    top: str
    panels: dict[str, tuple[str, ...]]


def _priced(state: RunState) -> bool:
    return state.stuck is not None and any(plan.prices for plan in state.proposals.values())


MOMENTS = (
    Moment("begun", "healthy", lambda state: state.run, "starting",
           {"phases": ("load", "verify"), "tree": ("appear here",), "stack": ("stands here",)}),
    Moment("embeds", "healthy", lambda state: state.phases[Phase.EMBED].done > 500 and state.threads, "▶ running",
           {"phases": ("✓ tokenize", "▶ embed", "· store"), "charts": ("chunks/s", "CPU worker 1"),
            "tree": ("subject", "worker 1", "worker 2", "▶ runs"), "verdict": ("Nothing hangs",),
            "stack": ("Calls, innermost first",), "log": ("✓ tokenize 400/400",)}),
    Moment("completed", "healthy", lambda state: state.finished, "✓ completed",
           {"phases": ("✓ verify", "1,013/1,013"), "verdict": ("It completed",), "log": ("completed in",)}),
    Moment("hangs", "deadlock-and-fix", _priced, "✗ proven deadlock",
           {"phases": ("✓ embed", "1,013/1,013", "✗ cleanup", "stuck here", "waits for cleanup, not the cause"),
            "tree": ("✗ dead", "worker 2", "nobody"), "verdict": ("PROVEN", "rayon-fork-deadlock", "Evidence"),
            "stack": ("✗ dead", "nobody could wake it", "with native frames", "count_tokens"),
            "charts": ("CPU worker 1",), "log": ("PROVEN",)}),
    Moment("is fixed", "deadlock-and-fix",
           lambda state: state.phases[Phase.EMBED].status == "kept" and state.phases[Phase.CLEANUP].done, "↻ fixing",
           {"phases": ("✓ embed", "kept", "▶ cleanup"), "verdict": ("rayon-fork-deadlock",)}),
    Moment("was fixed", "deadlock-and-fix", lambda state: state.finished, "✓ completed",
           {"phases": ("kept", "✓ verify"), "charts": ("index built",), "log": ("completed in",)}),
    Moment("is locked", "database-lock", lambda state: state.stuck, "‖ stuck",
           {"phases": ("✓ convert", "✗ store", "stuck here"), "verdict": ("LIKELY", "db-lock-idle-in-transaction"),
            "database": ("blocked by",)}),
    Moment("is unlocked", "database-lock", lambda state: state.finished, "✓ completed", {"phases": ("✓ store",)}),
    Moment("builds an index", "slow-index",
           lambda state: state.verdicts and state.database and state.database.progress, "▶ running",
           {"phases": ("▶ index",), "verdict": ("NOT-HUNG", "slow-index-build"), "database": ("CREATE INDEX",)}),
    Moment("a foreign one hangs", "attached", lambda state: state.stuck, "✗ proven deadlock",
           {"phases": ("A parent joins a child", "2 dead"), "tree": ("✗ dead", "QueueFeede"),
            "verdict": ("PROVEN", "queue-join-before-drain"), "stack": ("waits for its child",)}),
)  # fmt: skip


async def has(show: Stage, texts: tuple[str, ...]) -> None:
    await show.until(lambda: all(text in show.text for text in texts))


async def shows(show: Stage, moment: Moment) -> None:
    """Goes from panel to panel and reads."""
    assert moment.top in show.lines[0]
    for panel, texts in moment.panels.items():
        show.app.main.action_panel(panel)
        await has(show, texts)
        assert all(len(line) <= show.app.size.width for line in show.lines)


@pytest.mark.parametrize(
    "moment",
    [pytest.param(each, id=each.name, marks=[] if each.name == "hangs" else pytest.mark.slow) for each in MOMENTS],
)
async def test_what_a_person_must_see_is_on_the_screen_at_every_size(moment: Moment) -> None:
    events = up_to(moment.recording, moment.when)
    async with stage(events, now=events[-1].at + 15, notifications=False) as show:
        for size in SIZES.values():
            await show.pilot.resize_terminal(*size)
            await show.tick()
            await shows(show, moment)


# what is done


async def test_what_is_asked_for_goes_to_the_process_that_is_looked_at() -> None:
    events = up_to("deadlock-and-fix", _priced)
    state = folded(events)
    worker = next(process for process in state.processes.values() if process.role == "worker 2")
    async with stage(events, now=events[-1].at + 15) as show:
        show.app.main.select(Selection(worker.pid))
        await show.until(lambda: f"of PID {worker.pid} worker 2" in show.text)
        await show.press("d")
        assert show.sent == [Dump(worker.pid)]
        show.app.action_do("native")
        await show.press("enter")
        assert show.sent[1:] == [Dump(worker.pid, native=True)]
        show.app.action_do("kill")
        await show.until(lambda: f"PID {worker.pid} (worker 2)" in show.text)
        await show.press("enter", "enter")
        assert show.sent[2:] == [Kill(worker.pid, worker.start_ticks, signal.SIGTERM)]
        show.app.action_do("fix")
        await show.until(lambda: "serial (recommended)" in show.text)
        assert show.sent[3:] == [Propose()]
        await show.press("enter")
        assert show.sent[4:] == [Fix(Strategy.SERIAL)]


async def test_a_lock_is_fixed_after_a_second_yes() -> None:
    events = up_to("database-lock", lambda state: Strategy.UNBLOCK in state.proposals)
    async with stage(events, size="narrow", now=events[-1].at + 15) as show:
        show.app.action_do("fix")
        await show.until(lambda: "unblock" in show.text)
        while not any(isinstance(command, Fix) for command in show.sent):
            await show.press("enter")
            assert len(show.app.screen_stack) > 1 or show.sent[1:], "it was asked for and nothing came of it"
        assert show.sent[-1] == Fix(Strategy.UNBLOCK, yes=True)


# all of it


@pytest.mark.slow
@pytest.mark.parametrize("size", ["narrow", "wide"])
@pytest.mark.parametrize("name", NAMES)
async def test_each_event_can_be_shown(name: str, size: str) -> None:
    events = recorded(name)
    async with stage(size=size, now=events[0].at) as show:
        for event in events:
            show.now = max(show.now, event.at)
            await show.feed(event)
            status = show.app.scene.state.status
            assert status in show.lines[0] or len(show.app.screen_stack) > 1
            assert all(len(line) <= show.app.size.width for line in show.lines)
        assert STATUS[status][0] in show.lines[0]
