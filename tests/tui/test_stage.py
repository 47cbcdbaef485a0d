"""The app on stage: it opens, shows what it is fed, and ends."""

from __future__ import annotations

from cvdebug.core.commands import Cancel

from . import events
from .stage import stage


async def test_a_run_is_shown_and_quit_ends_it() -> None:
    async with stage(events.hang(), size="medium") as show:
        assert "cv-pipeline" in show.text
        assert "proven deadlock" in show.text
        await show.press("q")
    assert show.sent == [Cancel()]
