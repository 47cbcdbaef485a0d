"""Keyed rows: the cursor and what is under the eye stay where they are, only what looks different is sent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from contextlib import asynccontextmanager

from cvdebug.tui.widgets.rows import Key, Lines, Part, Rows
from textual.app import App, ComposeResult
from textual.pilot import Pilot
from textual.screen import Screen
from textual.strip import Strip


class Numbers(Rows):
    """Rows of a number and a word; `drawn` are the keys that were drawn, `sent` the lines that were sent."""

    def __init__(self, *, cursor: bool = True) -> None:
        super().__init__(cursor=cursor)
        self.words: dict[Key, str] = {}
        self.drawn: list[Key] = []
        self.sent: list[int] = []

    def parts(self, key: Key, width: int) -> Iterable[Part]:
        self.drawn.append(key)
        return [(f"{key} ", "bold"), (self.words.get(key, ""), "")]

    def line_at(self, y: int, width: int) -> Strip:
        self.sent.append(y)
        return super().line_at(y, width)

    def empty(self) -> str:
        return "nothing yet"


class Framed(Numbers):
    """The same with a line above the rows."""

    HEAD = 1

    def head(self, line: int, width: int) -> Iterable[Part]:
        return [("names", "dim")]

    def foot(self, line: int, width: int) -> Iterable[Part]:
        return [("filter", "accent")]

    def heir(self, key: Key, keys: Collection[Key]) -> Key:
        return 0 if 0 in keys else None


class Shelf(App[None]):
    """One widget of rows, ten lines high; `said` are its messages."""

    CSS = "Rows { height: 10; border-top: solid red; padding: 0 1; }"

    def __init__(self, rows: Rows) -> None:
        super().__init__()
        self.rows = rows
        self.said: list[tuple[str, Key, bool]] = []

    def compose(self) -> ComposeResult:
        yield self.rows

    def on_rows_moved(self, message: Rows.Moved) -> None:
        self.said.append(("moved", message.key, message.by_hand))

    def on_rows_chosen(self, message: Rows.Chosen) -> None:
        self.said.append(("chosen", message.key, True))


@asynccontextmanager
async def shelf(rows: Rows, keys: Sequence[Key] = ()) -> AsyncIterator[tuple[Shelf, Pilot[None]]]:
    app = Shelf(rows)
    async with app.run_test(size=(30, 12)) as pilot:
        rows.focus()
        rows.show_keys(keys)
        await pilot.pause(0)
        await pilot.pause(0)
        yield app, pilot


async def settled(pilot: Pilot[None]) -> None:
    await pilot.pause(0)
    await pilot.pause(0)


def seen(rows: Rows) -> list[str]:
    """The lines of the widget, without its scroll bar."""
    region = rows.content_region
    lines = [strip.text for strip in rows.screen._compositor.render_strips()]
    return [line[region.x : region.right - 1].strip() for line in lines[region.y : region.bottom]]


async def test_the_row_under_the_cursor_keeps_its_line_when_rows_come_above() -> None:
    rows = Numbers()
    async with shelf(rows, range(100, 150)) as (_, pilot):
        rows.put_cursor(105)
        rows.show_keys([*range(50), *range(100, 150)])
        await settled(pilot)
        assert seen(rows)[5] == "105"
        rows.show_keys(range(100, 150))
        await settled(pilot)
        assert seen(rows)[5] == "105"


async def test_a_cursor_out_of_sight_leaves_the_top_row_where_it_is() -> None:
    rows = Numbers()
    async with shelf(rows, range(100)) as (_, pilot):
        rows.scroll_to(y=40, animate=False, force=True)
        rows.show_keys([*range(1000, 1010), *range(100)])
        await settled(pilot)
        assert seen(rows)[0] == "40"
        rows.show_keys([*range(1000, 1010), *range(40), *range(43, 100)])
        await settled(pilot)
        assert seen(rows)[3] == "46"
        assert rows.cursor == 0


async def test_the_nearest_row_takes_the_cursor_of_one_that_is_gone() -> None:
    rows = Numbers()
    async with shelf(rows, range(20)) as (app, pilot):
        rows.put_cursor(8)
        rows.show_keys([*range(5), *range(10, 20)])
        await settled(pilot)
        assert rows.cursor == 10
        rows.show_keys(range(3))
        await settled(pilot)
        assert seen(rows)[:4] == ["0", "1", "2", ""]
        assert app.said[-1] == ("moved", 2, False)
        rows.show_keys([])
        await settled(pilot)
        assert seen(rows)[0] == "nothing yet"


async def test_an_heir_can_be_named() -> None:
    rows = Framed()
    async with shelf(rows, range(20)) as (_, pilot):
        rows.put_cursor(8)
        rows.show_keys([0, *range(9, 20)])
        await settled(pilot)
        assert rows.cursor == 0


async def test_head_and_foot_stand_still_and_take_their_room() -> None:
    rows = Framed()
    async with shelf(rows, range(50)) as (_, pilot):
        rows.show_foot(1)
        await pilot.press("end")
        await settled(pilot)
        lines = seen(rows)
        assert (lines[0], lines[1], lines[-2], lines[-1]) == ("names", "43", "49", "filter")
        rows.show_foot(0)
        await pilot.press("home")
        await settled(pilot)
        assert (seen(rows)[1], seen(rows)[-1]) == ("0", "7")


async def test_a_click_hits_the_row_below_the_head_and_the_border() -> None:
    rows = Framed()
    async with shelf(rows, range(50)) as (app, pilot):
        await pilot.click(offset=(3, rows.content_region.y + 3))
        await settled(pilot)
        assert app.said[-2:] == [("moved", 2, True), ("chosen", 2, True)]
        before = len(app.said)
        await pilot.click(offset=(3, rows.content_region.y))
        await settled(pilot)
        assert len(app.said) == before


async def test_keys_move_and_choose() -> None:
    rows = Numbers()
    async with shelf(rows, range(50)) as (app, pilot):
        await pilot.press("down", "pagedown", "enter")
        await settled(pilot)
        assert app.said[-2:] == [("moved", 9, True), ("chosen", 9, True)]
        assert seen(rows)[-1] == "9"


async def test_without_a_cursor_keys_scroll() -> None:
    rows = Numbers(cursor=False)
    async with shelf(rows, range(50)) as (app, pilot):
        await pilot.press("down", "down", "enter")
        await settled(pilot)
        assert seen(rows)[0] == "2"
        assert app.said == []


async def test_only_rows_in_sight_are_drawn_and_only_those_that_changed_are_sent() -> None:
    rows = Numbers()
    async with shelf(rows, range(1000)) as (_, pilot):
        assert set(rows.drawn) == set(range(9))
        rows.drawn.clear()
        rows.sent.clear()
        rows.words[3] = "new"
        rows.renew(range(1000))
        await settled(pilot)
        assert rows.sent == [3]
        assert seen(rows)[3] == "3 new"
        rows.words[4] = "newer"
        rows.touch([4, 999])
        await settled(pilot)
        assert rows.sent == [3, 4]
        assert seen(rows)[4] == "4 newer"


async def test_the_screen_is_not_laid_out_anew_when_there_is_more_to_scroll() -> None:
    rows = Numbers()
    laid_out: list[Screen[object]] = []
    async with shelf(rows, range(3)) as (app, pilot):
        app.screen.screen_layout_refresh_signal.subscribe(rows, laid_out.append)
        for count, most in ((5, 0), (50, 41), (60, 51), (3, 0)):  # nine lines within the border
            rows.show_keys(range(count))
            await settled(pilot)
            assert (laid_out, rows.max_scroll_y) == ([], most)


async def test_the_cursor_is_still_in_sight_when_there_is_less_room() -> None:
    rows = Numbers()
    async with shelf(rows, range(50)) as (_, pilot):
        rows.put_cursor(8)
        rows.styles.height = 5
        await settled(pilot)
        await pilot.pause()
        assert "8" in seen(rows)


async def test_rows_that_had_less_room_for_a_while_stand_where_they_stood() -> None:
    rows = Numbers()
    async with shelf(rows, range(50)) as (_, pilot):
        rows.put_cursor(8)
        for height, top in ((3, 7), (2, 8), (10, 0), (5, 5)):  # one line is the border's
            rows.styles.height = height
            await settled(pilot)
            await pilot.pause()
            assert seen(rows)[0] == str(top)
        rows.scroll_to(y=6, animate=False, force=True)
        rows.styles.height = 10
        await settled(pilot)
        await pilot.pause()
        assert seen(rows)[0] == "6"


async def test_lines_keep_their_number_and_clean_their_text() -> None:
    lines = Lines()
    async with shelf(lines) as (_, pilot):
        lines.show_lines([[("[/x] \x1b[31m", "bad")], [("two", "")]])
        await settled(pilot)
        assert seen(lines)[:2] == ["[/x] \ufffd[31m", "two"]
        lines.show_lines([[("[/x]", "bad")]])
        await settled(pilot)
        assert seen(lines)[:2] == ["[/x]", ""]
