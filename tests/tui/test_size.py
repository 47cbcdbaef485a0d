"""Terminals that are too small: a sentence, and everything back when they grow."""

from __future__ import annotations

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
        for width in range(30, 170, 20):
            await show.pilot.resize_terminal(width, width // 3)
        await show.pilot.resize_terminal(100, 30)
        await show.until(lambda: len(show.lines) == 30 and "cv-pipeline" in show.text)
        assert "too small" not in show.text
