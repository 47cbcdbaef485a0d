"""The Log panel: it follows the end, lets a person read and search, and takes whatever a program prints."""

from __future__ import annotations

import re

from cvdebug.core import events as ev
from cvdebug.core.model import Phase, Strategy
from cvdebug.core.state import RunState, fold
from cvdebug.tui.logbook import MAX_CHARS, MAX_LINES, LogBook, printed
from cvdebug.tui.widgets.log import LogView
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from . import events
from .stage import START, Stage, stage

CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def line(text: str) -> ev.Log:
    return ev.stamp(ev.Log(text=text, origin="output"), at=START, source="session")


def lines(first: int, end: int) -> list[ev.Log]:
    return [line(f"line {number};") for number in range(first, end)]


async def focus(show: Stage) -> LogView:
    show.app.main.action_panel("log")
    await show.tick()
    return show.app.main.query_one(LogView)


def numbers(show: Stage) -> list[int]:
    """The numbered lines that can be seen."""
    return [int(number) for number in re.findall(r"line (\d+);", show.text)]


async def test_it_follows_the_end_and_keeps_still_for_who_reads() -> None:
    async with stage(lines(0, 100), size="narrow") as show:
        await focus(show)
        assert numbers(show)[-1] == 99
        await show.press("pageup")
        before = numbers(show)
        assert before[-1] < 99
        await show.feed(*lines(100, 112))
        assert numbers(show) == before
        assert "12 new below, end follows" in show.text
        await show.press("end")
        assert numbers(show)[-1] == 111
        assert "new below" not in show.text
        await show.feed(*lines(112, 115))
        assert numbers(show)[-1] == 114


async def test_text_under_the_eye_stays_when_old_lines_are_trimmed() -> None:
    async with stage(lines(0, MAX_LINES), size="narrow") as show:
        await focus(show)
        await show.press("pageup")
        before = numbers(show)
        await show.feed(*lines(MAX_LINES, MAX_LINES + 500))
        assert numbers(show) == before
        await show.press("end")
        await show.feed(*lines(MAX_LINES + 500, MAX_LINES + 1000))
        assert numbers(show)[-1] == MAX_LINES + 999


async def test_what_is_frozen_stands_still() -> None:
    async with stage(lines(0, 10), size="narrow") as show:
        await focus(show)
        await show.press("z")
        await show.feed(*lines(10, 20))
        assert numbers(show)[-1] == 9
        await show.press("z")
        assert numbers(show)[-1] == 19


async def test_slash_searches_as_one_types_and_n_goes_round() -> None:
    told = [line(f"line {n}; {'Needle [b]' if n in (10, 50, 90) else 'hay'}") for n in range(100)]
    async with stage(told, size="narrow") as show:
        view = await focus(show)
        await show.press("slash", *"needle", "space", "left_square_bracket", "b")
        assert "/needle [b▏  3 of 3" in show.text
        assert 90 in numbers(show)
        await show.press("enter", "N")
        assert "2 of 3" in show.text
        assert 50 in numbers(show)
        await show.press("n", "n")
        assert "1 of 3" in show.text
        assert 10 in numbers(show)
        await show.feed(line("line 100; needle [b"))
        assert "1 of 4" in show.text
        await show.press("escape")
        assert " of 4" not in show.text
        assert show.app.focused is view


async def test_keys_typed_into_the_search_do_nothing_else() -> None:
    async with stage(lines(0, 5), size="narrow") as show:
        await focus(show)
        await show.press("slash", "q", "z", "7")
        assert show.app.paused is None
        assert "/qz7▏  not found" in show.text
        await show.press("backspace")
        assert "/qz▏" in show.text
    assert show.app.is_running is False


async def test_where_the_panel_has_no_search_slash_is_not_the_logs() -> None:
    async with stage(lines(0, 5), size="wide") as show:
        await focus(show)
        show.app.main.action_panel("verdict")
        await show.press("slash")
        assert "enter done" not in "\n".join(show.lines[-16:])


def test_notable_events_are_noted_in_words() -> None:
    more = [
        ev.WorkerEnded(role="worker 1", pid=7, exit_code=-9),
        ev.FileSkipped(file="a.pdf", reason="it is empty", number=1),
        ev.FixPlanned(strategy=Strategy.SERIAL, ends=(7,), kept=3, to_embed=0, to_count=3, steps=("end 7",), prices=()),
        ev.FixStarted(strategy=Strategy.SERIAL),
        ev.FixRefused(strategy=Strategy.RELEASE, reason="work is in flight"),
        ev.Signalled(pid=7, signal="SIGTERM", trouble="no such process"),
        ev.RunFinished(outcome="completed", exit_code=0, elapsed_s=12.0),
    ]
    book = noted([*events.hang(), *more])
    for words in (
        "✓ load 400/400 CVs", "▶ cleanup 0/1,013 chunks", "A native thread pool did not survive the fork",
        "The run is stuck in cleanup: embeddings 100 %", "to be looked at: PIDs 4100",
        "worker 1 (PID 7) was ended by SIGKILL",
        "skipped a.pdf: it is empty", "The fix begins: serial",
        "release is refused here: work is in flight.", "SIGTERM was not sent to PID 7: no such process",
        "✓ completed in 12 s",
    ):  # fmt: skip
        assert any(words in text for text in book), words


def test_what_was_only_looked_at_is_not_noted() -> None:
    assert noted([ev.FixRefused(strategy=Strategy.SPAWN, reason="no", proposed=True)]) == []


def test_phases_of_the_book_carry_their_tone() -> None:
    book = LogBook()
    state = fold(RunState(), event := ev.PhaseFinished(phase=Phase.LOAD, done=4, total=4))
    book.take(event, state)
    assert [each.tone for each in book.lines] == ["good"]


def noted(events: list[ev.Event]) -> list[str]:
    """What a book says of events."""
    book, state = LogBook(), RunState()
    for event in events:
        state = fold(state, event)
        book.take(event, state)
    return [each.text for each in book.lines]


def test_what_a_terminal_would_have_shown_is_kept() -> None:
    assert printed("\x1b[1;31mred\x1b[0m") == "red"
    assert printed("\x1b]0;title\x07text") == "text"
    assert printed("10 %\r50 %\r100 %\r") == "100 %"
    long = printed("x" * 1_000_000)
    assert long.startswith("x" * MAX_CHARS + "…")
    assert long.endswith("998,000 characters more")


def test_a_trailing_newline_is_no_line_of_its_own() -> None:
    assert noted([line("one\n"), line("two\nthree"), line("")]) == ["one", "two", "three", ""]


HOSTILE = ["[/oops] [b]x[/b]", "\x1b[2J\x1b]52;c;aGk=\x07", "\x9b31m", "a\x00b\x07", "\ud800\udfff", "世界" * 40,
           "e\u0301" * 60, "\u202eabc\u2066", "👩‍👩‍👧‍👦" * 9, "\t\tx", "1\r2\r3", "\x85\u2028\x0b",
           "x" * 1_000_000]  # fmt: skip


async def test_hostile_lines_are_drawn_and_nothing_of_them_reaches_the_terminal_raw() -> None:
    async with stage([], size="narrow") as show:
        view = await focus(show)
        await show.feed(*(line(text) for text in HOSTILE if "\ud800" not in text))
        assert "[/oops] [b]x[/b]" in show.text

        @settings(max_examples=60, deadline=None)
        @given(st.lists(st.text() | st.sampled_from(HOSTILE), min_size=1, max_size=20), st.text(max_size=3))
        def drawn(texts: list[str], words: str) -> None:
            for text in texts:
                show.app.bridge.log.take(line(text), show.app.bridge.state)
            view.show(show.app.scene)
            view._search(words)
            for y in range(view.size.height):
                strip = view.render_line(y)
                assert cell_len(strip.text) == view.size.width
                assert not CONTROL.search(strip.text)

        drawn()
