"""The scroll bar that rows draw themselves: it stands where the rows do, and answers the mouse as Textual's does."""

from __future__ import annotations

from textual import events
from textual.pilot import Pilot
from textual.strip import Strip

from .test_rows import Framed, Numbers, seen, settled, shelf

# What can be taken hold of in the column of the bar, as Textual's renderer notes it.
GRAB = {"@mouse.down": "grab"}


def thumb(rows: Numbers) -> list[int]:
    """The lines of the widget on which the bar can be taken hold of."""
    region = rows.content_region
    strips: list[Strip] = rows.screen._compositor.render_strips()[region.y : region.bottom]
    pieces = [next(iter(strip.crop(region.right - 1, region.right))) for strip in strips]
    return [y for y, piece in enumerate(pieces) if piece.style and piece.style.meta == GRAB]


async def wheel(pilot: Pilot[None], rows: Numbers, event: type[events.MouseEvent]) -> None:
    x, y = rows.content_region.offset
    rows.screen._forward_event(event(rows, x, y, 0, 0, 0, False, False, False, x, y))
    await settled(pilot)


async def test_there_is_a_bar_only_where_there_is_more_than_can_be_seen() -> None:
    rows = Numbers()
    async with shelf(rows, range(9)) as (_, pilot):  # nine lines within the border
        assert thumb(rows) == []
        rows.show_keys(range(27))
        await settled(pilot)
        assert thumb(rows) == [0, 1, 2]
        rows.show_keys(range(9))
        await settled(pilot)
        assert thumb(rows) == []


async def test_the_bar_covers_nothing_and_stands_where_the_rows_do() -> None:
    rows = Numbers()
    rows.words = dict.fromkeys(range(27), "wide " * 20)
    async with shelf(rows, range(27)) as (_, pilot):
        assert len(seen(rows)[0]) == rows.text_width == rows.size.width - 1
        assert seen(rows)[0].endswith("…")
        for y, lines in ((9, [3, 4, 5]), (18, [6, 7, 8]), (0, [0, 1, 2])):
            rows.scroll_to(y=y, animate=False)
            await settled(pilot)
            assert thumb(rows) == lines


async def test_the_wheel_and_a_press_beside_the_thumb_scroll_and_move_no_cursor() -> None:
    rows = Numbers()
    async with shelf(rows, range(27)) as (app, pilot):
        bar = rows.size.width - 1
        await pilot.click(rows, offset=(bar + 1, 8))  # within border and padding
        await settled(pilot)
        assert rows.scroll_offset.y == 9
        await pilot.click(rows, offset=(bar + 1, 1))
        await settled(pilot)
        assert rows.scroll_offset.y == 0
        await wheel(pilot, rows, events.MouseScrollDown)
        assert rows.scroll_offset.y > 0
        await wheel(pilot, rows, events.MouseScrollUp)
        assert rows.scroll_offset.y == 0
        assert (rows.cursor, app.said) == (0, [("moved", 0, False)])


async def test_a_press_beside_the_thumb_leaves_no_row_out() -> None:
    rows = Framed()
    async with shelf(rows, range(50)) as (_, pilot):
        rows.show_foot(1)
        await settled(pilot)
        assert seen(rows)[1:-1] == [str(number) for number in range(7)]
        await pilot.click(rows, offset=(rows.size.width, 8))
        await settled(pilot)
        assert seen(rows)[1:-1] == [str(number) for number in range(7, 14)]


async def test_the_thumb_can_be_dragged() -> None:
    rows = Numbers()
    async with shelf(rows, range(27)) as (_, pilot):
        bar = rows.size.width
        await pilot.mouse_down(rows, offset=(bar, 1))
        await settled(pilot)
        for line, scrolled in ((3, 6), (6, 15), (9, 18), (1, 0), (4, 9)):  # a line of the bar is three rows
            await pilot.hover(rows, offset=(bar, line))
            await settled(pilot)
            assert rows.scroll_offset.y == scrolled
        await pilot.mouse_up(rows, offset=(bar, 4))
        await pilot.hover(rows, offset=(bar, 8))
        await settled(pilot)
        assert rows.scroll_offset.y == 9
        assert thumb(rows) == [3, 4, 5]


async def test_the_bar_under_the_mouse_looks_different() -> None:
    rows = Numbers()
    async with shelf(rows, range(27)) as (app, pilot):
        before = app.export_screenshot()
        await pilot.hover(rows, offset=(rows.size.width, 1))
        await settled(pilot)
        assert app.export_screenshot() != before
        await pilot.hover(rows, offset=(3, 1))
        await settled(pilot)
        assert app.export_screenshot() == before
