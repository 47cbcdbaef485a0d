"""The graph view: it opens over the main screen, follows the run, and leads to what it shows."""

from __future__ import annotations

from cvdebug.core import events as ev
from cvdebug.core.model import DatabaseSession
from cvdebug.tui.scene import Selection
from cvdebug.tui.screens.graph import GraphScreen

from . import events
from .stage import Stage, stage


async def opened(show: Stage) -> None:
    await show.press("g")
    await show.until(lambda: "Who waits for whom" in show.text)


async def test_the_dead_end_is_marked_and_enter_goes_to_its_thread() -> None:
    async with stage(events.hang(), size="narrow") as show:
        await opened(show)
        assert "Nobody can ever wake worker 1 (PID 4101)" in show.text
        assert "✗ dead end: nobody can wake it" in show.text
        assert "subject  PID 4100" in show.text
        await show.press("down", "enter")
        assert show.app.screen is show.app.main
        assert show.app.selection == Selection(events.WORKER_2, 0)


async def test_escape_and_the_same_key_close_it() -> None:
    async with stage(events.hang(), size="medium") as show:
        for key in ("escape", "g"):
            await opened(show)
            await show.press(key)
            assert show.app.screen is show.app.main


async def test_a_click_on_a_thread_leads_to_it() -> None:
    async with stage(events.hang(), size="medium") as show:
        await opened(show)
        y = next(n for n, line in enumerate(show.lines) if "main thread 4100" in line)
        await show.pilot.click(offset=(40, y))
        await show.tick()
        assert show.app.screen is show.app.main
        assert show.app.selection == Selection(events.SUBJECT, events.SUBJECT)


async def test_it_follows_the_run_and_says_why_there_is_nothing() -> None:
    async with stage(events.running(), size="medium") as show:
        await opened(show)
        assert "Nobody has looked closely yet" in show.text
        await show.feed(ev.GraphDrawn(graph=events.graph()))
        assert "✗ dead end" in show.text


async def test_a_session_in_the_graph_leads_to_the_database_panel() -> None:
    sessions = tuple(
        DatabaseSession(pid=pid, user="me", database="db", application=f"app{pid}", state="active", wait="",
                        since_s=1.0, query="SELECT 1", blockers=blockers)
        for pid, blockers in ((501, (502,)), (502, ()))
    )  # fmt: skip
    async with stage([*events.hang(), ev.DatabaseSampled(sessions=sessions)], size="wide") as show:
        await opened(show)
        y = next(n for n, line in enumerate(show.lines) if "database session PID 502" in line)
        await show.pilot.click(offset=(40, y))
        await show.tick()
        assert not isinstance(show.app.screen, GraphScreen)
        assert show.app.focused is show.app.main.query_one("#database")
        assert show.app.main.query_one("#database").cursor == 502  # type: ignore[attr-defined]
