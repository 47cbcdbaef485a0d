"""The scenarios: listed with what they teach and how they end, filtered, run."""

from __future__ import annotations

from pathlib import Path

import pytest
from cvdebug.core import events as ev
from cvdebug.core import scenario
from cvdebug.tui.widgets.choices import Choices

from . import events
from .stage import START, Stage, stage


def ended() -> list[ev.Event]:
    return [*events.running(), ev.RunFinished(outcome="completed", exit_code=0, elapsed_s=3.0, at=START + 3)]


async def begun(show: Stage) -> None:
    await show.until(lambda: len(show.source.opened) == 2)


async def typed(show: Stage, text: str) -> None:
    """Puts a text into the filter, as pasting it does."""
    from textual.widgets import Input

    show.app.screen.query_one(Input).value = text
    await show.tick()


@pytest.mark.slow
async def test_every_scenario_is_listed_and_the_one_that_runs_is_told_in_full() -> None:
    async with stage(ended(), size="narrow") as show:
        await show.press("s")
        assert list(show.app.screen.query_one(Choices).keys) == scenario.names()
        assert "▶ cv-pipeline (now)" in show.text
        assert "native thread pool" in show.text
        assert "hangs in cleanup: rayon-fork-deadlock" in show.text
        assert "(exit\N{NO-BREAK SPACE}code\N{NO-BREAK SPACE}3)" in show.text
        await typed(show, "db-lo")
        await show.until(lambda: "db-lock-idle-in-transaction" in show.text)
        await show.press("pagedown")
        assert "it sets fault open-transaction" in show.text
        assert "--parallelism off --fix --yes  ✓ completes (exit\N{NO-BREAK SPACE}code\N{NO-BREAK SPACE}0)" in show.text


async def test_typing_filters_and_enter_runs() -> None:
    async with stage(ended(), size="narrow") as show:
        await show.press("s", "slash", *"sPaw")
        assert "cv-pipeline (now)" not in show.text
        assert "new interpreter" in show.text
        await show.press("enter")
        await begun(show)
        assert show.source.asked == [("spawned", {})]


@pytest.mark.slow
async def test_a_filter_that_nothing_holds_says_so_and_runs_nothing() -> None:
    async with stage(ended(), size="narrow") as show:
        await show.press("s")
        await typed(show, "[/b]")
        await show.until(lambda: "No scenario holds that" in show.text)
        await show.press("enter", "escape")
        assert show.source.asked == []
        assert show.app.screen is show.app.main


@pytest.mark.slow
async def test_a_run_in_progress_is_asked_for_first() -> None:
    async with stage(events.running(), size="narrow") as show:
        await show.press("s", "down", "enter")
        assert "Run bad-vector?" in show.text
        assert "This ends the run in progress" in show.text
        await show.press("escape")
        assert show.source.asked == []
        await show.press("s", "down", "enter", "enter")
        await begun(show)
        assert show.source.asked == [("bad-vector", {})]


@pytest.mark.slow
async def test_a_file_of_ones_own_is_given_by_its_path_and_a_damaged_one_is_a_sentence(tmp_path: Path) -> None:
    good, bad = tmp_path / "mine.toml", tmp_path / "bad.toml"
    good.write_text('title = "Mine [/x]"\nteaches = "Something of my own."\n')
    bad.write_text('title = "Bad"\nteaches = "x"\n[settings]\nworkerz = 3\n')
    async with stage(ended(), size="medium") as show:
        await show.press("s")
        await typed(show, str(bad))
        await show.until(lambda: "workerz. Did you mean workers?" in show.text)
        await show.press("enter")
        assert show.source.asked == []
        await typed(show, str(good))
        await show.until(lambda: "Mine [/x]" in show.text)
        assert "Something of my own." in show.text
        await show.press("enter")
        await begun(show)
        assert show.source.asked == [(str(good), {})]
