"""Terminals that are too small: a sentence, and everything back when they grow."""

from __future__ import annotations

import pytest
from textual.events import Resize
from textual.geometry import Size

from . import events
from .stage import stage


async def test_a_tiny_terminal_shows_a_sentence_until_it_grows() -> None:
    async with stage(events.hang(), size=(40, 10)) as show:
        assert "too small" in show.text
        assert "cv-pipeline" not in show.text
        await show.pilot.resize_terminal(80, 24)
        await show.until(lambda: "cv-pipeline" in show.text)
        assert "too small" not in show.text
        await show.pilot.resize_terminal(80, 12)
        await show.until(lambda: "too small" in show.text)


async def test_a_storm_of_resizes_ends_with_the_last_size() -> None:
    async with stage(events.hang(), size="wide") as show:
        for width in range(30, 170, 35):
            await show.pilot.resize_terminal(width, width // 3)
        await show.pilot.resize_terminal(100, 30)
        await show.until(lambda: len(show.lines) == 30 and "cv-pipeline" in show.text)
        assert "too small" not in show.text


@pytest.mark.parametrize("keys", [(), ("g",), ("ctrl+p",)])
async def test_two_sizes_on_their_way_do_not_undo_each_other(keys: tuple[str, ...]) -> None:
    """One comes while the screen is busy with the other."""
    async with stage(events.hang(), size="wide") as show:
        await show.press(*keys)
        await show.pilot.resize_terminal(130, 40)
        for stale in (Size(100, 30), Size(150, 45)):
            show.app.screen.post_message(Resize(stale, stale))
            show.app.screen.call_later(lambda: None)
        show.app.screen.post_message(Resize(Size(130, 40), Size(130, 40)))
        sizes = []
        for _ in range(40):
            await show.tick()
            sizes.append(show.app.screen.size)
        assert set(sizes[10:]) == {Size(130, 40)}


async def test_a_palette_over_the_sentence_does_not_keep_it_alive() -> None:
    async with stage(events.hang(), size=(40, 10)) as show:
        await show.press("ctrl+p")
        await show.pilot.resize_terminal(100, 30)
        await show.press("escape")
        await show.until(lambda: "cv-pipeline" in show.text)


async def test_two_clicks_at_once_beside_the_palette_close_it_once() -> None:
    async with stage(events.hang(), size="wide") as show:
        await show.press("question_mark", "ctrl+p")
        palette = show.app.screen
        palette.dismiss()
        palette.dismiss()
        await show.tick()
        assert "Help" in show.text
        await show.press("escape")
        assert "cv-pipeline" in show.text
