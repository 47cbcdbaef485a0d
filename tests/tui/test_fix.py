"""The fix: its plans and prices as they come, the decision, the refusal, the hang that goes away, the summary."""

from __future__ import annotations

import pytest
from cvdebug.core import events as ev
from cvdebug.core.commands import Cancel, Fix, Propose
from cvdebug.core.model import Phase, Strategy
from cvdebug.core.seen import ProcessSeen
from cvdebug.tui import farewell

from . import events
from .notes import notes
from .stage import START, Stage, stage

STEPS = ("End the whole hung tree: PID 4100, 4101, 4102", "Keep 1,013 of 1,013 vectors", "Convert, store and verify")
PRICE = ev.Price(strategy=Strategy.SPAWN, startup_s=0.5, chunks_per_s=1013.0)


def proposal(strategy: Strategy, *prices: ev.Price, proposed: bool = True) -> ev.FixPlanned:
    return ev.FixPlanned(
        strategy=strategy, ends=(events.SUBJECT, events.WORKER_1, events.WORKER_2), kept=1013, to_embed=0,
        to_count=1013, steps=STEPS, prices=prices, proposed=proposed,
    )  # fmt: skip


OWED = "the workers still owe vectors"
ANSWERS: list[ev.Event] = [
    proposal(Strategy.SPAWN),
    proposal(Strategy.SERIAL),
    proposal(Strategy.THREAD),
    ev.FixRefused(strategy=Strategy.RELEASE, reason=OWED, proposed=True),
    ev.FixRefused(strategy=Strategy.UNBLOCK, reason="no database session is known", proposed=True),
]


def blocked(*, needs_consent: bool = True) -> list[ev.Event]:
    """What a run says that waits for another session's lock."""
    plan = ev.FixPlanned(
        strategy=Strategy.UNBLOCK, ends=(), kept=1013, to_embed=0, to_count=0, prices=(), proposed=True,
        steps=("End database session 123 (psql); its transaction is rolled back: idle in transaction",),
    )  # fmt: skip
    reason = "it would end database session 123 (psql), which is not this run's own"
    return [
        plan,
        ev.FixRefused(strategy=Strategy.UNBLOCK, reason=reason, proposed=True, needs_consent=needs_consent),
        proposal(Strategy.SERIAL),
    ]


def fixes(show: Stage) -> list[object]:
    return [command for command in show.sent if not isinstance(command, Cancel)]


def row(show: Stage, name: str) -> str:
    """The line of a strategy."""
    return next((line for line in show.lines if f"★ {name}" in line or f"· {name}" in line or f"✗ {name}" in line), "")


async def test_the_plans_come_while_it_is_open_and_the_recommended_one_is_first() -> None:
    async with stage(events.hang(), size="narrow") as show:
        await show.press("f")
        assert show.sent == [Propose()]
        assert "Asking what can be done" in show.text
        await show.feed(ANSWERS[0])
        await show.feed(*ANSWERS[1:])
        assert "★ serial (recommended)" in show.text
        assert "not measured" in row(show, "spawn")
        assert "refused" in row(show, "release")
        assert "unblock" not in show.text
        assert "PID 4100 subject, PID 4101 worker 1, PID 4102 worker 2" in show.text
        assert "1,013 of 1,013 vectors" in show.text
        assert "embeds nothing, counts the tokens of 1,013" in show.text
        assert "1. End the whole hung tree" in show.text
        assert "esc leave it as it is" in show.text


@pytest.mark.slow
async def test_a_price_is_asked_for_and_arrives() -> None:
    async with stage(events.hang(), size="narrow") as show:
        await show.press("f")
        await show.feed(*ANSWERS)
        await show.press("down", "m", "m")
        assert show.sent == [Propose(), Propose(measure=Strategy.SPAWN)]
        await show.feed(*ANSWERS)  # the plans come again before the price does
        assert "measuring…" in row(show, "spawn")
        assert "not measured" in row(show, "serial")
        await show.feed(proposal(Strategy.SPAWN, PRICE))
        assert "≈ 1.5 s" in row(show, "spawn")
        assert "counts 1.01k/s (measured" in show.text


@pytest.mark.slow
async def test_a_price_that_could_not_be_measured_ends_the_waiting() -> None:
    async with stage(events.hang(), size="narrow") as show:
        await show.press("f")
        await show.feed(*ANSWERS)
        await show.press("m")
        await show.feed(proposal(Strategy.SERIAL, ev.Price(strategy=Strategy.SERIAL)))
        assert "no result" in row(show, "serial")
        assert "m tries again" in show.text


async def test_enter_fixes_and_the_screen_closes_when_the_fix_begins() -> None:
    async with stage(events.hang(), size="narrow") as show:
        await show.press("f")
        await show.feed(*ANSWERS)
        await show.press("down", "enter", "enter")
        assert fixes(show)[1:] == [Fix(Strategy.SPAWN)]
        assert "spawn is asked for" in show.text
        await show.feed(proposal(Strategy.SPAWN, proposed=False), ev.FixStarted(strategy=Strategy.SPAWN))
        assert "Fix the hang" not in show.text
        assert "fixing" in show.text


async def click(show: Stage, words: str) -> None:
    """Clicks on the first place where these words stand."""
    line = next(number for number, text in enumerate(show.lines) if words in text)
    await show.pilot.click(offset=(show.lines[line].index(words) + 1, line))
    await show.tick()


@pytest.mark.slow
async def test_the_mouse_chooses_without_fixing_and_its_click_on_a_key_is_the_key() -> None:
    async with stage(events.hang(), size="narrow") as show:
        await show.press("f")
        await show.feed(*ANSWERS)
        await click(show, "spawn")
        assert fixes(show) == [Propose()]
        await click(show, "fix it")
        assert fixes(show)[1:] == [Fix(Strategy.SPAWN)]
        await click(show, "leave it as it is")
        assert show.app.screen is show.app.main


@pytest.mark.slow
async def test_the_palette_opens_no_second_one() -> None:
    async with stage(events.hang(), size="narrow") as show:
        await show.press("f")
        show.app.action_do("fix")
        await show.press("escape")
        assert show.app.screen is show.app.main


@pytest.mark.slow
async def test_escape_leaves_everything_as_it_is() -> None:
    async with stage(events.hang(), size="narrow") as show:
        await show.press("f")
        await show.feed(*ANSWERS)
        await show.press("escape")
        assert fixes(show) == [Propose()]
        assert "Fix the hang" not in show.text


@pytest.mark.slow
async def test_a_refused_fix_says_why_and_another_can_be_chosen() -> None:
    async with stage(events.hang(), size="narrow") as show:
        await show.press("f")
        await show.feed(*ANSWERS)
        await show.press("enter")
        await show.feed(ev.FixRefused(strategy=Strategy.SERIAL, reason="the spool is damaged", at=START))
        assert "refused" in row(show, "serial")
        assert "serial is refused here: the spool is damaged." in show.text
        await show.press("enter", "home", "enter")  # it cannot be asked for again
        assert fixes(show)[1:] == [Fix(Strategy.SERIAL), Fix(Strategy.SPAWN)]


async def test_to_end_another_session_needs_a_second_yes() -> None:
    async with stage(events.hang(), size="narrow") as show:
        await show.press("f")
        await show.feed(*blocked())
        assert "★ unblock (recommended)" in show.text
        await show.press("enter")
        assert "Yes, end database session 123" in show.text
        assert fixes(show) == [Propose()]
        await show.press("escape")
        assert fixes(show) == [Propose()]
        await show.press("enter", "enter")
        assert fixes(show)[1:] == [Fix(Strategy.UNBLOCK, yes=True)]


async def test_a_hang_that_goes_away_disables_the_decision() -> None:
    async with stage(events.hang(), size="narrow") as show:
        await show.press("f")
        await show.feed(*ANSWERS)
        await show.feed(ev.Unstuck())
        assert "It moves again by itself" in show.text
        assert "enter fix it" not in show.text
        assert "esc close" in show.text
        await show.press("enter")
        assert fixes(show) == [Propose()]


@pytest.mark.slow
async def test_a_run_that_ends_disables_the_decision() -> None:
    async with stage(events.hang(), size="narrow") as show:
        await show.press("f")
        await show.feed(*ANSWERS)
        await show.feed(ev.RunFinished(outcome="failed", exit_code=1, elapsed_s=1.0, what="it was ended"))
        assert "The run has ended meanwhile" in show.text
        await show.press("enter")
        assert fixes(show) == [Propose()]


@pytest.mark.slow
async def test_without_a_hang_a_note_says_what_to_do_instead() -> None:
    async with stage(events.running(), size="narrow") as show:
        await show.press("f")
        assert "Nothing hangs, so there is nothing to fix" in notes(show)
        assert show.sent == []


@pytest.mark.slow
async def test_a_program_of_somebody_else_gets_a_warning_and_no_price() -> None:
    command = ("python", "[/b]app.py")
    start = events.stamped([
        ev.Attached(pid=77, command=command, versions={}),
        ev.TreeSampled(key=True, processes=(
            ProcessSeen(pid=77, ppid=1, start_ticks=5, command=command),
            ProcessSeen(pid=events.WORKER_1, ppid=77, start_ticks=6, command=command, dead=True),
        )),
        events.verdict(),
        ev.Stuck(phase=None, dead=(events.WORKER_1,)),
    ])  # fmt: skip
    async with stage(start, size="narrow") as show:
        await show.press("f")
        await show.feed(
            ev.FixPlanned(strategy=Strategy.RELEASE, ends=(78,), kept=0, to_embed=0, to_count=0, steps=("End PID 78",),
                          prices=(), proposed=True)
        )  # fmt: skip
        assert "PID 77 is somebody else's program: python [/b]app.py" in show.text
        assert "no new start" in row(show, "release")
        await show.press("m")
        assert show.sent == [Propose()]
        await show.press("enter")
        assert show.sent[1:] == [Fix(Strategy.RELEASE)]


def fixed() -> list[ev.Event]:
    """A fix from its beginning to the end of the run."""
    recall = ev.Recall(setting="hnsw.ef_search", value=40, recall=0.998)
    return [
        proposal(Strategy.SERIAL, proposed=False),
        ev.FixStarted(strategy=Strategy.SERIAL),
        ev.SubjectStarted(pid=4200, start_method="fork", workers=2, parallelism="off", strategy=Strategy.SERIAL),
        ev.PhaseFinished(phase=Phase.EMBED, done=1013, total=1013, kept=True),
        ev.Embedded(kept=1013, computed=0),
        ev.PhaseStarted(phase=Phase.STORE, total=1013, unit="rows"),
        ev.PhaseFinished(phase=Phase.STORE, done=1013, total=1013),
        ev.IndexChosen(kind="hnsw", metric="cosine", parameters={}, maintenance_work_mem_mb=64, parallel_workers=0,
                       reason=""),
        ev.PhaseFinished(phase=Phase.INDEX, done=1013, total=1013),
        ev.Verified(table="cvdebug.chunks", rows=1013, tokens=99_000, norm_min=1.0, norm_max=1.0,
                    planner="an exact scan", forced="the index answers", recalls=(recall,)),
        ev.RunFinished(outcome="completed", exit_code=0, elapsed_s=14.0),
    ]  # fmt: skip


async def test_a_fix_ends_with_before_and_after(capfd: pytest.CaptureFixture[str]) -> None:
    async with stage(events.hang(), size="narrow") as show:
        await show.feed(*events.stamped(fixed(), at=START + 9, every_s=0.2))
        assert "✓ fixed by serial, completed 1.8 s after the fix began" in show.text
        farewell.say(show.app.bridge.state)
        assert "hang     rayon-fork-deadlock, fixed by serial" in capfd.readouterr().out
        for words in (
            "100 % (1,013 of 1,013)", "1,013 kept, 0 computed anew", "1,013 rows in cvdebug.chunks",
            "valid (hnsw, cosine)", "2 dead for", "0.998 at 40 (hnsw.ef_search)", "parallelism off",
        ):  # fmt: skip
            assert words in show.text
        await show.press("escape")
        assert "What the fix did" not in show.text
        await show.press("u")
        assert "What the fix did" in show.text


@pytest.mark.slow
async def test_a_healthy_run_has_a_short_summary() -> None:
    async with stage(events.running(), size="narrow") as show:
        await show.press("u")
        assert "The run has not ended yet" in notes(show)
        end = [event for event in fixed() if not isinstance(event, ev.FixPlanned | ev.FixStarted)]
        await show.feed(*events.stamped(end, at=START + 1))
        assert "✓ Completed in 14 s" in notes(show)
        await show.press("u")
        assert "✓ completed in 14 s" in show.text
        assert "1,013 rows, 99,000 tokens" in show.text


@pytest.mark.slow
async def test_the_summary_does_not_push_away_what_somebody_reads() -> None:
    async with stage(events.hang(), size="narrow") as show:
        await show.press("question_mark")
        before = show.app.screen
        await show.feed(*events.stamped(fixed(), at=START + 9))
        assert show.app.screen is before
