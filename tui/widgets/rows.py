"""Keyed rows: the one way in which the app shows anything that scrolls.

Rows are drawn when they come into sight and kept until they change, so that a thousand of them cost as much as those
that can be seen. Cursor and scroll follow the rows, not the places where they stood. Texts are segments, never markup.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.cache import LRUCache
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from ..text import clean

Key = Hashable
Part = tuple[str, str]  # a text, and the name of its tone ("" for the usual one)

# The tones in which a part of a row can be drawn: component classes, so that each theme says what they look like.
TONES = ("dim", "bold", "bad", "good", "warn", "accent", "mark")


class Rows(ScrollView, can_focus=True):
    """Rows by key. `show_keys` says which there are, `touch` which of them changed, `parts` what one looks like."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"rows--cursor", *(f"rows--{tone}" for tone in TONES)}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", show=False),
        Binding("down", "move(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("home", "edge(0)", show=False),
        Binding("end", "edge(-1)", show=False),
        Binding("enter", "choose", show=False),
    ]
    DEFAULT_CSS = """
    Rows { height: 1fr; overflow-x: hidden; overflow-y: auto; scrollbar-size-vertical: 1; }
    Rows > .rows--cursor { background: $surface-lighten-2; }
    Rows:focus > .rows--cursor { background: $block-cursor-background; color: $block-cursor-foreground; }
    Rows > .rows--dim { color: $text-muted; }
    Rows > .rows--bold { text-style: bold; }
    Rows > .rows--bad { color: $text-error; text-style: bold; }
    Rows > .rows--good { color: $text-success; }
    Rows > .rows--warn { color: $text-warning; }
    Rows > .rows--accent { color: $text-accent; }
    Rows > .rows--mark { background: $warning 40%; }
    """

    class Moved(Message):
        """The cursor stands on another row."""

        def __init__(self, rows: Rows, key: Key) -> None:
            super().__init__()
            self.rows, self.key = rows, key

        @property
        def control(self) -> Rows:
            return self.rows

    class Chosen(Message):
        """A person pressed Enter on a row, or clicked on it."""

        def __init__(self, rows: Rows, key: Key) -> None:
            super().__init__()
            self.rows, self.key = rows, key

        @property
        def control(self) -> Rows:
            return self.rows

    def __init__(self, *, id: str | None = None, classes: str | None = None, cursor: bool = True) -> None:
        """Without `cursor` the arrow keys scroll."""
        super().__init__(id=id, classes=classes)
        self.keys: tuple[Key, ...] = ()
        self.cursor: Key = None
        self._has_cursor = cursor
        self._place: dict[Key, int] = {}
        self._strips: LRUCache[Key, Strip] = LRUCache(512)
        self._tones: dict[tuple[str, bool], Style] = {}

    # what a subclass says

    def parts(self, key: Key, width: int) -> Iterable[Part]:
        """The texts of a row with their tones; what is wider than `width` cells is cut off."""
        raise NotImplementedError

    # what its owner says

    def show_keys(self, keys: Sequence[Key]) -> None:
        """These rows there are now, in this order. The row under the cursor, else the top one, keeps its place."""
        fresh = tuple(keys)
        if fresh == self.keys:
            return
        top, height = self.scroll_offset.y, self.size.height
        before = self._place.get(self.cursor, 0)
        anchor, offset = (self.keys[top], 0) if top < len(self.keys) else (None, 0)
        if self._has_cursor and self.keys and 0 <= before - top < height:
            anchor, offset = self.cursor, before - top
        self.keys = fresh
        self._place = {key: number for number, key in enumerate(fresh)}
        self._strips.clear()
        self.virtual_size = Size(self.size.width, len(fresh))
        if fresh and self._has_cursor and self.cursor not in self._place:
            self._put_cursor(min(before, len(fresh) - 1))
            anchor = self.cursor
        if top and anchor in self._place:
            self.scroll_to(y=max(0, self._place[anchor] - offset), animate=False, force=True)
        self.refresh()

    def touch(self, keys: Iterable[Key]) -> None:
        """These rows look different now."""
        top, (width, height) = self.scroll_offset.y, self.size
        regions = []
        for key in keys:
            self._strips.discard(key)
            line = self._place.get(key, -1) - top
            if 0 <= line < height:
                regions.append(Region(0, line, width, 1))
        if regions:
            self.refresh(*regions)

    def touch_all(self) -> None:
        """Every row may look different now."""
        self._strips.clear()
        self.refresh()

    def put_cursor(self, key: Key) -> bool:
        """Moves the cursor to a row and brings it into sight; whether there is such a row."""
        if key not in self._place:
            return False
        if key != self.cursor:
            self._put_cursor(self._place[key])
        self._reveal(self._place[key])
        return True

    # drawing

    def tone(self, name: str, *, on_cursor: bool = False) -> Style:
        """The style of a tone, on the cursor's row the cursor's background below it."""
        known = self._tones.get((name, on_cursor))
        if known is None:
            known = self.rich_style if not name else self.get_component_rich_style(f"rows--{name}")
            if on_cursor:
                cursor = self.get_component_rich_style("rows--cursor")
                known = cursor if self.has_focus else known + Style(bgcolor=cursor.bgcolor, bold=known.bold)
            self._tones[name, on_cursor] = known
        return known

    def render_line(self, y: int) -> Strip:
        number, width = y + self.scroll_offset.y, self.size.width
        if number >= len(self.keys):
            return Strip.blank(width, self.rich_style)
        key = self.keys[number]
        on_cursor = self._has_cursor and key == self.cursor
        if not on_cursor and (kept := self._strips.get(key)) is not None:
            return kept
        segments, room = [], width
        for text, tone in self.parts(key, width):
            shown = clean(text)
            if (cells := cell_len(shown)) > room:
                shown, cells = set_cell_size(shown, room), room
            segments.append(Segment(shown, self.tone(tone, on_cursor=on_cursor)))
            room -= cells
            if room <= 0:
                break
        strip = Strip(segments).adjust_cell_length(width, self.tone("", on_cursor=on_cursor))
        if not on_cursor:
            self._strips[key] = strip
        return strip

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._strips.clear()
        self._tones.clear()

    def on_resize(self, event: events.Resize) -> None:
        self._strips.clear()
        self.virtual_size = Size(event.size.width, len(self.keys))

    # moving

    def _put_cursor(self, number: int) -> None:
        before, self.cursor = self.cursor, self.keys[number]
        self.touch([key for key in (before, self.cursor) if key in self._place])
        self.post_message(self.Moved(self, self.cursor))

    def _reveal(self, number: int) -> None:
        top, height = self.scroll_offset.y, self.size.height
        if height and not top <= number < top + height:
            y = number if number < top else number - height + 1
            self.scroll_to(y=y, animate=False, force=True)

    def action_move(self, by: int) -> None:
        if not self._has_cursor:
            self.scroll_to(y=self.scroll_offset.y + by, animate=False, force=True)
        elif self.keys:
            number = min(max(self._place.get(self.cursor, 0) + by, 0), len(self.keys) - 1)
            if self.keys[number] != self.cursor:
                self._put_cursor(number)
            self._reveal(number)

    def action_page(self, by: int) -> None:
        self.action_move(by * max(1, self.size.height - 1))

    def action_edge(self, at: int) -> None:
        self.action_move(len(self.keys) if at else -len(self.keys))

    def action_choose(self) -> None:
        if self._has_cursor and self.cursor in self._place:
            self.post_message(self.Chosen(self, self.cursor))

    def on_click(self, event: events.Click) -> None:
        number = event.y + self.scroll_offset.y
        if self._has_cursor and number < len(self.keys):
            self._put_cursor(number)
            self.post_message(self.Chosen(self, self.keys[number]))


class Lines(Rows):
    """Rows that are only lines of parts, each with what it leads to, if anything; they have no other identity."""

    def __init__(self, *, id: str | None = None, classes: str | None = None, cursor: bool = True) -> None:
        super().__init__(id=id, classes=classes, cursor=cursor)
        self._lines: Sequence[Sequence[Part]] = ()

    def show_lines(self, lines: Sequence[Sequence[Part]]) -> None:
        """These lines there are now; the cursor stays on its number."""
        if lines == self._lines:
            return
        before, self._lines = self._lines, lines
        if len(lines) != len(before):
            self.show_keys(range(len(lines)))
        self.touch(number for number in range(len(lines)) if number >= len(before) or lines[number] != before[number])

    def parts(self, key: Key, width: int) -> Iterable[Part]:
        assert isinstance(key, int)
        return self._lines[key]
