"""A view that draws its own scroll bar, in a column that it always keeps.

Textual's own bar is a widget: each one is laid out with the first frame, and its coming and going lays the whole screen
out anew. This one is part of the lines that are drawn anyhow, and looks and answers as Textual's does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from textual import events
from textual.color import Color
from textual.geometry import Region, Size
from textual.reactive import Reactive
from textual.scroll_view import ScrollView
from textual.scrollbar import ScrollBarRender
from textual.strip import Strip


class BarredView(ScrollView):
    """Of its `size` the last column is the bar's, empty while there is nothing to scroll; without `BAR` it has none."""

    BAR: ClassVar[bool] = True
    DEFAULT_CSS = "BarredView { overflow: hidden hidden; }"

    # Textual lays out the whole screen, or draws all of the widget, whenever this changes; nothing moves here.
    virtual_size = Reactive(Size(0, 0), repaint=False)
    _under_mouse = False
    # Where the bar was taken hold of: the line of the screen, and how far the view was scrolled.
    _grabbed: tuple[int, float] | None = None
    _bar: Sequence[Segment] = ()
    _bar_is: tuple[int, int, int, Color] | None = None
    _background: Color | None = None

    @property
    def text_width(self) -> int:
        """How many cells there are beside the bar."""
        return self.size.width - self.BAR

    @property
    def allow_vertical_scroll(self) -> bool:
        return self.max_scroll_y > 0

    def watch_virtual_size(self, size: Size) -> None:
        self.scroll_y = self.validate_scroll_y(self.scroll_y)

    # drawing

    def line_at(self, y: int, width: int) -> Strip:
        """What stands on line `y` beside the bar, in all its styles."""
        raise NotImplementedError

    def render_line(self, y: int) -> Strip:
        return self._with_bar(self.line_at(y, self.text_width), self._bar_now(), y)

    def render_lines(self, crop: Region) -> list[Strip]:
        """Where nothing stands around the lines and they have all their styles, there is nothing left for Textual to
        add, which takes three times as long as to draw them.
        """
        if self.styles.gutter or self.opacity < 1:
            return super().render_lines(crop)
        width, bar = self.text_width, self._bar_now()
        strips = [self._with_bar(self.line_at(y, width), bar, y) for y in crop.line_range]
        for line_filter in self.get_line_filters():
            strips = [strip.apply_filter(line_filter, self._back) for strip in strips]
        x1, x2 = crop.column_span
        return [strip if (x1, x2) == (0, strip.cell_length) else strip.crop(x1, x2) for strip in strips]

    def _with_bar(self, strip: Strip, bar: Sequence[Segment], y: int) -> Strip:
        return Strip([*strip, bar[y]], strip.cell_length + 1) if y < len(bar) else strip

    def _bar_now(self) -> Sequence[Segment]:
        """A piece for each line; none without a bar."""
        if not self.BAR:
            return ()
        styles, height, all_lines = self.styles, self.size.height, self.virtual_size.height
        color = styles.scrollbar_color_hover if self._under_mouse else styles.scrollbar_color
        color = styles.scrollbar_color_active if self._grabbed else color
        eighths = int(8 * self.scroll_y)  # finer than that no bar is drawn
        if self._bar_is != (height, all_lines, eighths, color):
            self._bar_is = height, all_lines, eighths, color
            self._bar = ScrollBarRender.render_bar(
                height, all_lines, height if height < all_lines else 0, eighths / 8,
                back_color=self._back.rich_color, bar_color=(self._back + color).rich_color,
            ).segments  # fmt: skip
        return self._bar

    @property
    def _back(self) -> Color:
        if self._background is None:
            _, self._background = self.background_colors
        return self._background

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._bar_is = self._background = None

    # the mouse; Textual calls the actions by what its renderer notes at each piece of the bar

    @property
    def page(self) -> int:
        """How many lines are scrolled by a press beside the thumb."""
        return self.size.height

    def action_scroll_up(self) -> None:
        self.scroll_to(y=self.scroll_y - self.page, animate=False)

    def action_scroll_down(self) -> None:
        self.scroll_to(y=self.scroll_y + self.page, animate=False)

    def action_grab(self) -> None:
        self.capture_mouse()

    def on_mouse_capture(self, event: events.MouseCapture) -> None:
        self._grabbed = event.mouse_position.y, self.scroll_y
        self.refresh()

    def on_mouse_release(self) -> None:
        self._grabbed = None
        self.refresh()

    def on_mouse_up(self) -> None:
        if self._grabbed:
            self.release_mouse()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        if self._grabbed:
            line, scrolled = self._grabbed
            by = (event.screen_y - line) * self.virtual_size.height / max(1, self.size.height)
            self.scroll_to(y=scrolled + by, animate=False)
        else:
            self._touch_bar(under_mouse="@mouse.down" in event.style.meta)

    def on_leave(self) -> None:
        self._touch_bar(under_mouse=False)

    def _touch_bar(self, *, under_mouse: bool) -> None:
        if under_mouse != self._under_mouse:
            self._under_mouse = under_mouse
            self.refresh()
