"""The Database panel: who is in whose way, what is being loaded, and why nothing can be said."""

from __future__ import annotations

import pytest
from cvdebug.core import events as ev
from cvdebug.core.model import DatabaseSession, Progress
from cvdebug.tui.scene import Selection
from cvdebug.tui.widgets.database import Database
from hypothesis import given, settings
from hypothesis import strategies as st

from . import events
from .stage import SIZES, Stage, stage


def session(pid: int, state: str = "active", blockers: tuple[int, ...] = (), **more: object) -> DatabaseSession:
    fields: dict[str, object] = {
        "user": "me", "database": "db", "application": f"app{pid}", "wait": "", "since_s": 2.0,
        "query": f"SELECT {pid}", "lock": "AccessExclusiveLock on relation chunks" if blockers else "", **more,
    }  # fmt: skip
    return DatabaseSession(pid=pid, state=state, blockers=blockers, **fields)  # type: ignore[arg-type]


async def shown(show: Stage, *sampled: ev.Event) -> list[str]:
    """The lines of the panel after these events."""
    await show.feed(*sampled)
    show.app.main.action_panel("database")
    await show.tick()
    return show.lines


def row(lines: list[str], text: str) -> int:
    """The number of the line that holds a text."""
    return next(number for number, line in enumerate(lines) if text in line)


@pytest.mark.parametrize("size", SIZES)
async def test_the_blocked_stand_below_their_blocker_and_before_all_others(size: str) -> None:
    sessions = (session(400, "idle"), session(501, blockers=(502,)), session(502, "idle in transaction"),
                session(503, blockers=(501,)))  # fmt: skip
    async with stage(events.running(), size=size) as show:
        lines = await shown(show, ev.DatabaseSampled(sessions=sessions))
        order = [row(lines, text) for text in ("○ in transaction", "└ 501", "└ 503", "○ idle")]
        assert order == sorted(order)
        assert "✗ blocked by 502" in lines[order[1]]
        assert "✗ blocked by 501" in lines[order[2]]


async def test_a_circle_of_sessions_is_shown_and_ends() -> None:
    async with stage(events.running(), size="narrow") as show:
        lines = await shown(show, ev.DatabaseSampled(sessions=(session(1, blockers=(2,)), session(2, blockers=(1,)))))
        assert row(lines, "✗ blocked by 2") < row(lines, "✗ blocked by 1")


async def test_copy_and_index_stand_on_top_with_their_numbers() -> None:
    copy = Progress(pid=9, command="COPY FROM PIPE", phase="", done=41_000_000, total=0, unit="bytes", rows=10_000)
    index = Progress(pid=9, command="CREATE INDEX", phase="loading tuples", done=412, total=1000, unit="rows", rows=412)
    async with stage(events.running(), size="wide") as show:
        lines = await shown(show, ev.DatabaseSampled(sessions=(session(9),), progress=(copy, index)))
        first, second, third = (row(lines, text) for text in ("COPY FROM PIPE", "CREATE INDEX", "▶ active"))
        assert first < second < third
        assert "41.0 MB" in lines[first]
        assert "10,000 rows" in lines[first]
        assert "41%" in lines[second]
        assert "412/1,000 rows" in lines[second]


async def test_a_server_that_is_gone_is_a_stated_condition() -> None:
    async with stage(events.running(), size="narrow") as show:
        lines = await shown(show, ev.DatabaseSampled(unknown="connection refused"))
        assert any("✗ the server could not be asked: connection refused" in line for line in lines)


async def test_before_it_is_asked_it_says_what_will_appear() -> None:
    async with stage(events.running(), size="medium") as show:
        assert any("when the run stores its vectors" in line for line in await shown(show))


async def test_a_session_is_revealed_and_leads_to_its_client() -> None:
    many = tuple(session(pid, "idle") for pid in range(600, 660))
    ours = session(700, client_pids=(events.WORKER_1,), query="COPY x")
    async with stage(events.running(), size="narrow") as show:
        await shown(show, ev.DatabaseSampled(sessions=(*many, ours)))
        panel = show.app.main.query_one(Database)
        assert panel.reveal(12345) is False
        assert panel.reveal(700) is True
        await show.until(lambda: "COPY x" in show.text)
        await show.press("enter")
        assert show.app.selection == Selection(events.WORKER_1, events.WORKER_1)


async def test_the_cursor_stays_on_its_session_when_others_come() -> None:
    async with stage(events.running(), size="narrow") as show:
        await shown(show, ev.DatabaseSampled(sessions=(session(20), session(30))))
        panel = show.app.main.query_one(Database)
        assert panel.reveal(30)
        await shown(show, ev.DatabaseSampled(sessions=(session(10), session(20), session(25), session(30))))
        assert panel.cursor == 30


texts = st.text(max_size=20) | st.sampled_from(["[/x]", "\x1b[2J", "世界" * 9, "\ud800", "a\u202eb"])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.builds(DatabaseSession, pid=st.integers(1, 6), user=texts, database=texts, application=texts, state=texts,
                  wait=texts, since_s=st.floats(0, 1e9), query=texts, lock=texts,
                  blockers=st.lists(st.integers(1, 7), max_size=3).map(tuple)),
        max_size=6, unique_by=lambda each: each.pid,
    )
)  # fmt: skip
def test_every_session_has_one_row_whoever_blocks_whom(sessions: list[DatabaseSession]) -> None:
    from cvdebug.tui.widgets.database import session_lines

    assert sorted(pid for pid, _ in session_lines(sessions)) == sorted(each.pid for each in sessions)  # type: ignore[type-var]
