"""Help, palette and tour: every action can be found in each of them, and the tour follows the story."""

from __future__ import annotations

from pathlib import Path

import pytest
from cvdebug.core import events as ev
from cvdebug.core.model import Phase, Strategy
from cvdebug.tui.actions import ACTIONS
from cvdebug.tui.drawing.tour_steps import STEPS
from cvdebug.tui.keys import cap
from cvdebug.tui.screens.help import HelpScreen
from cvdebug.tui.screens.main import MainScreen
from cvdebug.tui.screens.tour import TourScreen
from cvdebug.tui.widgets.rows import Lines
from textual.command import CommandList

from . import events
from .stage import Stage, stage


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of one's own, in which the tour has not been offered."""
    monkeypatch.setenv("CVDEBUG_HOME", str(tmp_path))
    return tmp_path


def help_text(show: Stage) -> str:
    lines = show.app.screen.query_one("#help", Lines)
    return "\n".join("".join(text for text, _ in lines.parts(key, 80)) for key in lines.keys)


async def test_help_names_every_action_and_the_panel_in_focus(home: Path) -> None:
    (home / "tour-offered").touch()
    async with stage(events.hang(), size="narrow") as show:
        await show.press("3", "question_mark")
        assert isinstance(show.app.screen, HelpScreen)
        text = help_text(show)
        await show.press("escape")
        assert isinstance(show.app.screen, MainScreen)
    for action in ACTIONS:
        assert any(line.strip().startswith(cap(action.key)) and action.verb in line for line in text.splitlines())
    assert "Processes" in text.splitlines()[0]


async def test_the_palette_finds_an_action_by_its_words() -> None:
    async with stage(events.hang(), size="medium") as show:
        await show.press("ctrl+p")
        await show.until(lambda: "verdict: show who waits for whom" in show.text)
        await show.press(*"freeze", "enter")
        await show.until(lambda: show.app.paused is not None)


async def test_a_page_of_a_palette_that_is_not_laid_out_yet_goes_nowhere() -> None:
    async with stage(events.hang(), size="medium") as show:
        await show.press("ctrl+p")
        await show.until(lambda: "verdict: show who waits for whom" in show.text)
        commands = show.app.screen.query_one(CommandList)
        commands.display = False
        await show.until(lambda: not commands.scrollable_content_region)
        commands.clear_options().add_option("new")
        commands.highlighted = 0
        await show.press("pagedown", "escape")
        assert isinstance(show.app.screen, MainScreen)


async def test_every_action_can_be_carried_out() -> None:
    async with stage(size="medium") as show:
        assert all(callable(getattr(show.app.doing, f"do_{action.id}", None)) for action in ACTIONS)


async def test_the_first_question_mark_is_the_tour_and_the_second_help() -> None:
    async with stage(events.hang(), size="narrow") as show:
        await show.press("question_mark")
        assert isinstance(show.app.screen, TourScreen)
        await show.press("escape", "question_mark")
        assert isinstance(show.app.screen, HelpScreen)


async def test_the_tour_points_at_each_panel_and_knows_how_far_the_story_is() -> None:
    hang = events.hang()
    async with stage(events.running(), size="narrow", tour=True) as show:
        seen = []
        for number, step in enumerate(STEPS, 1):
            assert f"{number}/{len(STEPS)}" in show.text
            seen.append(step.title in show.text)
            if step.panel != "top":
                assert show.app.main.query_one(f"#{step.panel}").display
            if number == 3:
                assert "goes on" not in show.text
                await show.feed(*hang)
                await show.until(lambda: "✓ It runs with TOKENIZERS_PARALLELISM on." in show.text)
            if number == 4:
                await show.until(lambda: "✓ It hangs in cleanup." in show.text)
            if number == 8:
                await show.feed(ev.FixStarted(strategy=Strategy.SERIAL, at=hang[-1].at))
                await show.until(lambda: "✓ The fix is under way." in show.text)
            await show.press("right")
        assert isinstance(show.app.screen, MainScreen)
    assert all(seen)
    assert Phase.CLEANUP in show.app.scene.state.phases


async def test_keys_work_while_the_tour_is_on() -> None:
    async with stage(events.hang(), size="narrow", tour=True) as show:
        await show.press("z")
        assert show.app.paused is not None
        await show.press("q")
    assert show.app.return_code is not None or not show.app.is_running
