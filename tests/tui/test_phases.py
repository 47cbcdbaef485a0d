"""The Phases panel: the phase that seems stuck is told from the one that is, and a tree is summed up."""

from __future__ import annotations

from cvdebug.core import events as ev
from cvdebug.core.model import Phase
from cvdebug.core.state import RunState, fold
from cvdebug.tui.drawing.words import phase_words

from . import events
from .stage import SIZES, START, Stage, stage


def line(show: Stage, name: str) -> str:
    """The row of a phase: symbol and name stand before everything else."""
    return next(text for text in show.lines if text[2:].strip().startswith(f"{name} "))


def folded(*told: ev.Event) -> RunState:
    state = RunState()
    for event in told:
        state = fold(state, event)
    return state


async def test_a_hang_is_shown_where_it_is_at_every_size() -> None:
    async with stage(events.hang(), now=START + 12) as show:
        await show.press("1")
        for width, height in SIZES.values():
            await show.pilot.resize_terminal(width, height)
            await show.tick()
            assert line(show, "embed").split()[0] == "✓"
            assert "1,013/1,013" in line(show, "embed")
            assert line(show, "cleanup").split()[0] == "✗"
            assert "stuck here: A native thread pool" in line(show, "cleanup")
            assert width < 100 or "did not survive the fork" in line(show, "cleanup"), "a grid has room for all of it"
            assert "waits for cleanup, not the cause" in line(show, "store")
            assert "waits for cleanup" in line(show, "verify")
            assert "not the cause" not in line(show, "verify")


async def test_a_running_phase_says_its_speed_and_then_that_it_stands_still() -> None:
    async with stage(events.running(), size="wide", now=START + 1.2) as show:
        assert "400/1,013" in line(show, "embed")
        assert "/s" in line(show, "embed")
        assert "left" in line(show, "embed")
        column = line(show, "load").index("400/400") + len("400/400")
        assert line(show, "embed").index("400/1,013") + len("400/1,013") == column, "amounts end in one column"
        show.now = START + 4
        await show.tick()
        assert "no progress for" in line(show, "embed")
        await show.feed(*events.stamped([ev.PhaseProgress(phase=Phase.EMBED, done=800)], at=START + 4))
        assert "no progress" not in line(show, "embed")
        assert "800/1,013" in line(show, "embed")


def test_work_that_was_kept_is_told_from_work_that_was_done() -> None:
    told = events.stamped([
        ev.PhaseFinished(phase=Phase.LOAD, done=400, total=400, kept=True),
        ev.PhaseStarted(phase=Phase.TOKENIZE, total=400),
        ev.PhaseFinished(phase=Phase.TOKENIZE, done=400, total=400),
    ])  # fmt: skip
    kept, done, *_ = phase_words(folded(*told), START + 1)
    assert kept.symbol == done.symbol == "✓"
    assert kept.note.startswith("kept")
    assert not done.note


def test_a_phase_that_failed_says_why() -> None:
    told = events.stamped([
        *events.beginning(),
        ev.Failed(what="worker 1 was ended by SIGKILL", phase=Phase.EMBED),
        ev.RunFinished(outcome="failed", exit_code=1, elapsed_s=2.0),
    ])  # fmt: skip
    row = phase_words(folded(*told), START + 5)[2]
    assert (row.symbol, row.note) == ("✗", "failed: worker 1 was ended by SIGKILL")


def test_a_phase_in_which_the_run_ended_runs_no_more() -> None:
    told = [*events.running(), *events.stamped([ev.RunFinished(outcome="failed", exit_code=1, elapsed_s=2.0)])]
    row = phase_words(folded(*told), START + 5)[2]
    assert (row.symbol, row.note) == ("✗", "the run ended here")
    assert "left" not in row.time


def test_a_hang_in_store_is_no_innocent_one() -> None:
    told = events.stamped([
        *events.beginning(),
        ev.PhaseStarted(phase=Phase.STORE, total=1013),
        ev.Stuck(phase=Phase.STORE, dead=()),
    ])  # fmt: skip
    rows = {row.name: row for row in phase_words(folded(*told), START + 5)}
    assert rows[Phase.STORE].note == "stuck here: nothing in the tree moves any more"
    assert rows[Phase.INDEX].note == "waits for store"
    assert all("not the cause" not in row.note for row in rows.values())


async def test_a_tree_that_is_followed_is_summed_up_instead() -> None:
    told = [ev.Attached(pid=events.SUBJECT, command=("python", "[/oops]\x1b[31m"), versions={}), events.tree(dead=True)]
    told += [events.verdict(), ev.Stuck(phase=None, dead=(events.WORKER_1,))]
    async with stage(events.stamped(told), size="medium", now=START + 65) as show:
        assert "1 Summary" in show.text
        assert "python [/oops]\ufffd[31m" in show.text
        assert "✗ 4 dead" in show.text
        assert "151.0 MB" in show.text
        assert "proven: A native thread pool did not survive the fork" in show.text
        assert "followed   65 s" in show.text
        assert "tokenize" not in show.text
