"""Keyed rows: the one way in which the app shows anything that scrolls.

Rows are drawn when they come into sight and kept until they change, so that a thousand of them cost as much as those
that can be seen. Cursor and scroll follow the rows, not the places where they stood. Texts are segments, never markup.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.cache import LRUCache
from textual.geometry import Region, Size
from textual.message import Message
from textual.strip import Strip

from ..drawing.lines import wrapped
from ..text import clean
from .barred import BarredView

Key = Hashable
Part = tuple[str, str]  # a text, and the name of its tone ("" for the usual one)

# The tones in which a part of a row can be drawn: component classes, so that each theme says what they look like.
TONES = ("dim", "bold", "bad", "good", "warn", "accent", "mark")


class Rows(BarredView, can_focus=True):
    """Rows by key. `show_keys` says which there are, `touch` which of them changed, `parts` what one looks like.

    Above the rows stand `HEAD` lines that do not scroll, below them as many as `show_foot` was told.
    """

    HEAD: ClassVar[int] = 0

    COMPONENT_CLASSES: ClassVar[set[str]] = {"rows--cursor", *(f"rows--{tone}" for tone in TONES)}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", "row above", show=False, id="rows.up"),
        Binding("down", "move(1)", "row below", show=False, id="rows.down"),
        Binding("pageup", "page(-1)", "page up", show=False, id="rows.page_up"),
        Binding("pagedown", "page(1)", "page down", show=False, id="rows.page_down"),
        Binding("home", "edge(0)", "first row", show=False, id="rows.first"),
        Binding("end", "edge(-1)", "last row", show=False, id="rows.last"),
        Binding("enter", "choose", "open what the row leads to", show=False, id="rows.choose"),
    ]
    DEFAULT_CSS = """
    Rows { height: 1fr; }
    Rows > .rows--cursor { background: $surface-lighten-2; }
    Rows:ansi > .rows--cursor { text-style: underline; }
    Rows:focus > .rows--cursor {
        background: $block-cursor-background; color: $block-cursor-foreground; text-style: $block-cursor-text-style;
    }
    Rows > .rows--dim { color: $text-muted; }
    Rows > .rows--bold { text-style: bold; }
    Rows > .rows--bad { color: $text-error; text-style: bold; }
    Rows > .rows--good { color: $text-success; }
    Rows > .rows--warn { color: $text-warning; }
    Rows > .rows--accent { color: $text-accent; }
    Rows > .rows--mark { background: $warning 40%; }
    """

    class Moved(Message):
        """The cursor stands on another row. `by_hand`: a person moved it there with a key or the mouse."""

        def __init__(self, rows: Rows, key: Key, *, by_hand: bool = False) -> None:
            super().__init__()
            self.rows, self.key, self.by_hand = rows, key, by_hand

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
        self.keys: Sequence[Key] = ()
        self.cursor: Key = None
        self._has_cursor = cursor
        self._place: Mapping[Key, int] = {}
        self._foot = 0
        self._shifted = 0, 0  # the top row as somebody left it, and where the last resize put it
        self._strips: LRUCache[tuple[Key, bool], Strip] = LRUCache(512)
        self._tones: dict[tuple[str, bool], Style] = {}

    # what a subclass says

    def parts(self, key: Key, width: int) -> Iterable[Part]:
        """The texts of a row with their tones; what is wider than `width` cells is cut off."""
        raise NotImplementedError

    def head(self, line: int, width: int) -> Iterable[Part]:
        """A line above the rows."""
        return ()

    def foot(self, line: int, width: int) -> Iterable[Part]:
        """A line below the rows."""
        return ()

    def empty(self) -> str:
        """What stands there while there are no rows."""
        return ""

    def heir(self, key: Key, keys: Collection[Key]) -> Key:
        """The row of `keys` that takes the cursor when `key` is gone; None for the nearest one that is left."""
        return None

    def clicked(self, key: Key, column: int, chain: int) -> None:
        """A row was clicked on, `chain` times in a row; the cursor is there already."""
        self.post_message(self.Chosen(self, key))

    # what its owner says

    def show_keys(self, keys: Sequence[Key]) -> None:
        """These rows there are now, in this order. The row under the cursor, else the top one, keeps its place."""
        fresh = tuple(keys)
        if fresh == self.keys:
            return
        top, before, old = self.scroll_offset.y, self._place, self.keys
        number = before.get(self.cursor, -1) if self._has_cursor else -1
        held = number if top <= number < top + self._room else top
        self.keys = fresh
        self._place = {key: number for number, key in enumerate(fresh)}
        self._strips.clear()
        self.virtual_size = self._extent(self.text_width)
        if fresh and self._has_cursor and self.cursor not in self._place:
            heir = self.heir(self.cursor, self._place.keys())
            at = self._place.get(heir, -1) if heir is not None else self._nearest(old, number)
            self._put_cursor(max(0, at))
        if fresh and held < len(old):
            anchor = old[held] if old[held] in self._place else fresh[self._nearest(old, held)]
            anchor = self.cursor if held == number else anchor
            y = self._place[anchor] - (before.get(anchor, held) - top)
            self.scroll_to(y=max(0, y), animate=False, force=True)
        self.refresh()

    def touch(self, keys: Iterable[Key]) -> None:
        """These rows look different now."""
        changed, width = set(keys), self.text_width
        for key in changed:
            self._forget(key)
        if regions := [Region(0, line, width, 1) for line, key in self._in_sight() if key in changed]:
            self.refresh(*regions)

    def renew(self, keys: Iterable[Key]) -> None:
        """These rows may look different now: those in sight are drawn anew at once, and sent only where they do."""
        changed, width = set(keys), self.text_width
        if not changed:
            return
        in_sight = [(line, key) for line, key in self._in_sight() if key in changed]
        kept = {key: self._strips.get((key, self._on_cursor(key))) for _, key in in_sight}
        for key in changed:
            self._forget(key)
        lines = [line for line, key in in_sight if kept[key] is None or self._strip(key, width) != kept[key]]
        if lines:
            self.refresh(*(Region(0, line, width, 1) for line in lines))

    def touch_all(self) -> None:
        """Every row may look different now."""
        self._strips.clear()
        self.refresh()

    def touch_edges(self) -> None:
        """The lines above and below the rows look different now."""
        width, height = self.text_width, self.size.height
        regions = [Region(0, 0, width, self.HEAD), Region(0, height - self._foot, width, self._foot)]
        if regions := [region for region in regions if region]:
            self.refresh(*regions)

    def show_foot(self, lines: int) -> None:
        """So many lines there are below the rows."""
        if lines != self._foot:
            self._foot = lines
            self.virtual_size = self._extent(self.text_width)
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
                known = cursor if self.has_focus else known + Style(bgcolor=cursor.bgcolor, underline=cursor.underline)
            self._tones[name, on_cursor] = known
        return known

    def line_at(self, y: int, width: int) -> Strip:
        if y < self.HEAD:
            return self._draw_parts(self.head(y, width), width)
        if self._foot and y >= self.size.height - self._foot:
            return self._draw_parts(self.foot(y - self.size.height + self._foot, width), width)
        number = y - self.HEAD + self.scroll_offset.y
        if number < len(self.keys):
            return self._strip(self.keys[number], width)
        return self._draw_parts(() if self.keys else self._empty_line(number, width), width)

    def _empty_line(self, number: int, width: int) -> Iterable[Part]:
        lines = wrapped(self.empty(), width)
        return [(lines[number], "dim")] if number < len(lines) else ()

    def _strip(self, key: Key, width: int) -> Strip:
        on_cursor = self._on_cursor(key)
        strip = self._strips.get((key, on_cursor))
        if strip is None:
            strip = self._draw_parts(self.parts(key, width), width, on_cursor=on_cursor)
            self._strips[key, on_cursor] = strip
        return strip

    def _draw_parts(self, parts: Iterable[Part], width: int, *, on_cursor: bool = False) -> Strip:
        segments, room = [], width
        for text, tone in parts:
            shown = clean(text)
            if (cells := cell_len(shown)) > room:
                fits = cell_len(shown.rstrip()) <= room
                shown, cells = set_cell_size(shown, room) if fits else set_cell_size(shown, room - 1) + "…", room
            segments.append(Segment(shown, self.tone(tone, on_cursor=on_cursor)))
            room -= cells
            if room <= 0:
                break
        return Strip(segments).adjust_cell_length(width, self.tone("", on_cursor=on_cursor))

    def _on_cursor(self, key: Key) -> bool:
        return self._has_cursor and key == self.cursor

    def _forget(self, key: Key) -> None:
        self._strips.discard((key, False))
        self._strips.discard((key, True))

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._strips.clear()
        self._tones.clear()

    def on_resize(self, event: events.Resize) -> None:
        self.touch_all()
        self.virtual_size = self._extent(self.text_width)
        if self._has_cursor and self.cursor in self._place:
            before, after = self._shifted
            top = before if after == self.scroll_offset.y else self.scroll_offset.y
            self.scroll_to(y=top, animate=False, force=True)
            self._reveal(self._place[self.cursor])
            self._shifted = top, self.scroll_offset.y

    # places

    @property
    def page(self) -> int:
        return max(1, self._room)

    @property
    def _room(self) -> int:
        """How many rows can be seen at once."""
        return max(0, self.size.height - self.HEAD - self._foot)

    def _extent(self, width: int) -> Size:
        return Size(width, len(self.keys) + self.HEAD + self._foot)

    def _in_sight(self) -> Iterable[tuple[int, Key]]:
        """The rows in sight, each with the line of the widget on which it stands."""
        top = self.scroll_offset.y
        return enumerate(self.keys[top : top + self._room], self.HEAD)

    def _nearest(self, old: Sequence[Key], number: int) -> int:
        """The place now of what stood nearest to the row `number` in `old`; of two the lower one."""
        for away in range(len(old)):
            for other in (number + away, number - away):
                if 0 <= other < len(old) and old[other] in self._place:
                    return self._place[old[other]]
        return min(max(0, number), len(self.keys) - 1)

    # moving

    def _put_cursor(self, number: int, *, by_hand: bool = False) -> None:
        before, self.cursor = self.cursor, self.keys[number]
        self.touch([key for key in (before, self.cursor) if key in self._place])
        self.post_message(self.Moved(self, self.cursor, by_hand=by_hand))

    def _reveal(self, number: int) -> None:
        top, room = self.scroll_offset.y, self._room
        if room and not top <= number < top + room:
            y = number if number < top else number - room + 1
            self.scroll_to(y=y, animate=False, force=True)

    def action_move(self, by: int) -> None:
        if not self._has_cursor:
            self.scroll_to(y=self.scroll_offset.y + by, animate=False, force=True)
        elif self.keys:
            number = min(max(self._place.get(self.cursor, 0) + by, 0), len(self.keys) - 1)
            if self.keys[number] != self.cursor:
                self._put_cursor(number, by_hand=True)
            self._reveal(number)

    def action_page(self, by: int) -> None:
        self.action_move(by * max(1, self._room - 1))

    def action_edge(self, at: int) -> None:
        self.action_move(len(self.keys) if at else -len(self.keys))

    def action_choose(self) -> None:
        if self._has_cursor and self.cursor in self._place:
            self.post_message(self.Chosen(self, self.cursor))

    def on_click(self, event: events.Click) -> None:
        place, rows = event.get_content_offset(self), Region(0, self.HEAD, self.text_width, self._room)
        if place is None or not self._has_cursor or not rows.contains_point(place):
            return
        number = place.y - self.HEAD + self.scroll_offset.y
        if number < len(self.keys):
            key = self.keys[number]
            self._put_cursor(number, by_hand=True)
            self.clicked(key, place.x, event.chain)


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
