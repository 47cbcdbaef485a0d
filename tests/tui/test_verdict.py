"""The Verdict panel and the explain screen: what is said, in which order, and where each line leads."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import pytest
from cvdebug.core import events as ev
from cvdebug.core.model import DatabaseSession, Phase, Strategy
from cvdebug.core.seen import ProcessSeen, ThreadSeen
from cvdebug.tui.drawing.lines import wrapped
from cvdebug.tui.scene import Selection
from rich.cells import cell_len

from . import events
from .events import POOL_THREAD, SUBJECT, WORKER_1, WORKER_2
from .recorded import NAMES, recorded, up_to
from .stage import START, Stage, stage

HOSTILE = "\x1b[31mred\x1b]0;title\x07 [/oops] [bold]x 漢字かな \u202e {} %s "


def said(**changes: object) -> ev.VerdictReached:
    return msgspec.structs.replace(events.verdict(), at=START, **changes)


def with_verdict(*verdicts: ev.VerdictReached, before: Iterable[ev.Event] = ()) -> list[ev.Event]:
    return [*(event for event in events.hang() if not isinstance(event, ev.VerdictReached)), *before, *verdicts]


def line_with(show: Stage, text: str) -> int:
    """The row of the screen that holds a text."""
    return next(number for number, line in enumerate(show.lines) if text in line)


async def click(show: Stage, text: str) -> None:
    row = line_with(show, text)
    await show.pilot.click(offset=(show.lines[row].index(text), row))
    await show.tick()


async def test_a_hang_is_told_with_certainty_culprits_evidence_and_ways_out() -> None:
    async with stage(events.hang(), size=(160, 60)) as show:
        for text in ("✗ PROVEN", "rayon-fork-deadlock", "A native thread pool did not survive the fork",
                     "✗ dead    worker 1 (PID 4101)", "waits on a private futex", "The parent's batch call",
                     "1 Set TOKENIZERS_PARALLELISM=false", "cost: batch calls use one core",
                     "$ export TOKENIZERS_PARALLELISM=false", "press f"):  # fmt: skip
            assert text in show.text, text
        order = [line_with(show, text) for text in ("✗ PROVEN", "Who", "Evidence", "Why", "Ways out")]
        assert order == sorted(order)


async def test_enter_on_a_line_goes_to_what_it_names_and_again_to_the_next() -> None:
    async with stage(events.hang(), size="wide") as show:
        await show.press("4", "down", "enter")
        assert show.app.selection == Selection(WORKER_2)
        assert show.app.main.query_one("#tree").cursor == Selection(WORKER_2)  # type: ignore[attr-defined]
        await show.press("down", "down", "down", "enter")  # PID 4100 ... is held by PID 4101
        assert show.app.selection == Selection(SUBJECT)
        await show.press("enter")
        assert show.app.selection == Selection(WORKER_1)


async def test_a_click_on_any_line_of_an_evidence_goes_there() -> None:
    async with stage(events.hang(), size="wide") as show:
        await click(show, "held by PID 4101")
        assert show.app.selection == Selection(SUBJECT)
        await click(show, "The parent's batch call")
        assert show.app.selection == Selection(SUBJECT)


async def test_a_line_can_lead_to_a_thread_and_to_a_session_of_the_database() -> None:
    evidence = (f"thread {POOL_THREAD} of PID {SUBJECT}: sleeps", "backend 984: idle in transaction", "no number here")
    session = DatabaseSession(
        pid=984, user="u", database="d", application="report", state="idle in transaction", wait="", since_s=9.0,
        query="SELECT 1",
    )  # fmt: skip
    sampled = ev.DatabaseSampled(sessions=(session,), at=START)
    async with stage(with_verdict(said(evidence=evidence, culprits=()), before=[sampled]), size="wide") as show:
        await show.press("4", "enter")
        assert show.app.selection == Selection(SUBJECT, POOL_THREAD)
        assert "→" not in show.lines[line_with(show, "no number here")]
        await show.press("down", "enter")
        await show.until(lambda: show.app.focused is not None and show.app.focused.id == "database")


async def test_in_tabs_a_jump_brings_the_tree_to_the_front() -> None:
    async with stage(events.hang(), size="narrow") as show:
        await show.press("4", "enter")
        assert show.app.selection == Selection(WORKER_1)
        assert show.app.focused is not None
        assert show.app.focused.id == "tree"


async def test_the_most_certain_comes_first_and_the_others_open() -> None:
    likely = said(slug="deadlock", title="The rest stands still", certainty="likely", explanation="Another reason.")
    async with stage(with_verdict(likely, said()), size=(160, 60)) as show:
        await show.press("4", "o")
        assert "1 of 2" in show.text
        assert "LIKELY    The rest stands still" in show.text
        await click(show, "LIKELY    The rest stands still")
        assert "Another reason." in show.text
        assert "PROVEN    A native thread pool" in show.text


async def test_without_a_verdict_it_says_what_is_watched_and_how_to_make_it_hang() -> None:
    async with stage(events.running(), size="wide") as show:
        assert "✓ Nothing hangs." in show.text
        assert "3 processes and 4 threads are watched" in show.text
        assert "p turns TOKENIZERS_PARALLELISM on" in show.text
        await show.feed(ev.NotSeen(sentences=("the stacks of root's processes",)))
        assert "not seen: the stacks of root's processes" in show.text
        await show.feed(said(certainty="not-hung", slug="busy-worker", title="It works"))
        assert "✓ NOT-HUNG" in show.text
        assert "What can be done" in show.text


@pytest.mark.parametrize(("outcome", "words"), [("completed", "✓ fixed by serial"), ("failed", "fix by serial failed")])
async def test_what_was_fixed_stays_readable(outcome: ev.Outcome, words: str) -> None:
    async with stage(events.hang(), size="wide") as show:
        await show.feed(
            ev.FixStarted(strategy=Strategy.SERIAL, at=START + 5),
            ev.VerdictWithdrawn(slug="rayon-fork-deadlock", at=START + 5),
            ev.SubjectStarted(pid=5000, start_method="fork", workers=2, parallelism="off", strategy=Strategy.SERIAL),
        )
        assert "▶ being fixed by serial" in show.text
        assert "waits on a private futex" in show.text
        await show.feed(ev.RunFinished(outcome=outcome, exit_code=0, elapsed_s=9.0, at=START + 9))
        show.app.screen.dismiss() if show.app.screen is not show.app.main else None
        await show.tick()
        assert words in show.text


async def test_what_moved_after_all_is_taken_back() -> None:
    async with stage(events.hang(), size="wide") as show:
        await show.feed(ev.VerdictWithdrawn(slug="rayon-fork-deadlock"), ev.Unstuck())
        assert "✓ Nothing hangs." in show.text
        assert "taken back" in show.text


async def test_hostile_texts_are_shown_as_texts_and_the_app_lives() -> None:
    evil = said(
        slug="x[/x]", title=HOSTILE * 200, certainty="[weird]", disproof=HOSTILE, links=(HOSTILE,),
        evidence=tuple(HOSTILE * 20 + str(n) for n in range(200)), explanation=HOSTILE,
    )  # fmt: skip
    sampled = ev.TreeSampled(
        processes=(ProcessSeen(pid=WORKER_1, ppid=1, start_ticks=2, role=HOSTILE),),
        threads=(ThreadSeen(pid=WORKER_1, tid=WORKER_1, name=HOSTILE, status="waits", wait=HOSTILE, why=HOSTILE),),
    )
    async with stage(with_verdict(evil, before=[sampled]), size="narrow") as show:
        await show.press("4", "pagedown", "up", "end", "home", "e", "escape")
        assert "\x1b" not in show.text
        assert "\x07" not in show.text
        assert "? [WEIRD]" in show.text


def test_texts_are_wrapped_to_the_cells_that_there_are() -> None:
    for text in (HOSTILE * 9 + "\ud800", "x" * 10_000, "漢" * 3_000, "", "a b\nc\td"):
        for width in (8, 31, 80):
            assert all(cell_len(line) <= width for line in wrapped(text, width))
    assert wrapped("a b\nc\td", 80) == ("a b c d",)
    assert wrapped("x" * 10_000, 80)[-1].endswith("…")


async def test_explain_draws_the_fork_with_the_pids_of_this_run() -> None:
    async with stage(events.hang(), size="medium") as show:
        await show.press("e")
        for text in (f"PID {SUBJECT} (subject)", f"PID {WORKER_1} (worker 1)", f"{POOL_THREAD} rayon-0",
                     "no such thread", "Why it happens", "When it is said"):  # fmt: skip
            assert text in show.text, text
        await show.press("down", "enter")
        assert show.app.screen is show.app.main
        assert show.app.selection == Selection(SUBJECT)


async def test_without_a_verdict_explain_lists_the_classes() -> None:
    async with stage(events.running(), size="medium") as show:
        await show.press("e")
        assert "asyncio-await-never" in show.text
        await show.press("down", "enter")
        assert "When it is said" in show.text
        await show.press("escape")
        assert "asyncio-await-never" in show.text
        assert "When it is said" not in show.text
        await show.press("escape")
        assert show.app.screen is show.app.main


async def test_only_what_changed_is_laid_out_again() -> None:
    async with stage(events.hang(), size="wide") as show:
        panel = show.app.main.query_one("#verdict")
        before = panel._linked  # type: ignore[attr-defined]
        await show.feed(ev.PhaseProgress(phase=Phase.CLEANUP, done=1, at=START + 3))
        assert panel._linked is before  # type: ignore[attr-defined]


async def test_a_culprit_is_said_dead_as_soon_as_its_process_is() -> None:
    async with stage(up_to("deadlock-and-fix", lambda state: state.stuck), size="wide") as show:
        assert "✗ dead    worker 1" in show.text
        assert "each of them: has 1 thread" in show.text


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
async def test_every_recorded_run_can_be_looked_through(name: str) -> None:
    async with stage(recorded(name), size="narrow") as show:
        await show.press("escape", "4", "enter", "5", "v")
        assert "5 Stack" in show.text
