"""The Log panel: what the subject printed and what was said of the run, followed at its end, searchable."""

from __future__ import annotations

import re
import time
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from typing import ClassVar

from rich.cells import cell_len
from textual import events
from textual.binding import Binding, BindingType

from ..logbook import LogBook, LogLine
from ..scene import Scene
from ..text import clean
from .rows import Key, Part, Rows

# By tone: the sign before a line, so that it is not told by its colour alone, and the tone in which it is drawn.
_SIGNS: dict[str, Part] = {
    "output": ("│", ""),
    "info": (" ", "dim"),
    "warning": ("!", "warn"),
    "bad": ("✗", "bad"),
    "good": ("✓", "good"),
}
_OWN_SIGNS = ("✓", "✗", "▶", "·")
_LEAD = 12  # cells before the text
_BEFORE_MATCH = 16  # characters shown before a match that would be out of sight


class LogView(Rows):
    """Keys are the lines' numbers since the first one. It follows the end unless a person has scrolled up."""

    BORDER_TITLE = "Log"
    HELP = (
        "What the subject printed (│) and what was noted of the run. It follows the end; scroll up and it stands still,"
        " end follows again. / searches, n and N go to the next and the previous match, esc ends the search."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "match(1)", "next match", show=False, id="log.next"),
        Binding("N", "match(-1)", "previous match", show=False, id="log.previous"),
    ]

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes, cursor=False)
        self._book = LogBook()
        self._total = 0
        self._follows = True
        self._moving = False
        self._left_at = 0  # how many lines there were when it was last at the end
        self._typing = False
        self._words = ""
        self._pattern: re.Pattern[str] | None = None
        self._matches: list[int] = []
        self._match = -1

    # what comes

    def show(self, scene: Scene) -> None:
        """Shows what has come; what is frozen stands still."""
        if scene.log is not self._book:
            self._book, self._total, self._follows = scene.log, 0, True
            self._strips.clear()
            self._search(self._words)
        elif scene.paused or scene.log.total == self._total:
            return
        self._append()

    def _append(self) -> None:
        before, first, top = self._total, self._place_of(0), self.scroll_offset.y
        self._total = self._book.total
        self.keys = range(self._book.first, self._total)
        self._place = _Places(self.keys)
        self.virtual_size = self._extent(self.text_width)
        self._matches += self._found(range(max(before, self._book.first), self._total))
        del self._matches[: bisect_left(self._matches, self._book.first)]
        if self._follows:
            self._left_at = self._total
            self._to(self.max_scroll_y)
            self.refresh()  # at the cap the place does not change, and yet other lines stand there
        else:
            dropped = self._book.first - first
            self._to(max(0, top - dropped))
            if dropped > top:
                self.refresh()
        self._tell()

    def empty(self) -> str:
        return "What the subject prints, and what happens in the run, will stand here."

    def parts(self, key: Key, width: int) -> Iterable[Part]:
        assert isinstance(key, int)
        place = key - self._book.first
        if not 0 <= place < len(self._book.lines):
            return [("…", "dim")]
        line = self._book.lines[place]
        return self._line_parts(line, width - _LEAD, current=key == self._match)

    def _line_parts(self, line: LogLine, room: int, *, current: bool) -> Iterator[Part]:
        sign, tone = _SIGNS[line.tone]
        yield f"{time.strftime('%H:%M:%S', time.localtime(line.at))} ", "dim"
        text = clean(line.text)
        own = text[:1] in _OWN_SIGNS
        yield f"{'▸' if current else ' '}{' ' if own else sign} ", tone
        found = list(self._pattern.finditer(text)) if self._pattern else []
        at = 0
        if found and cell_len(text[: found[0].end()]) > room:
            at = max(0, found[0].start() - _BEFORE_MATCH)
            yield "…", "dim"
        for match in found:
            yield text[at : match.start()], tone
            yield match[0], "mark"
            at = match.end()
        yield text[at:], tone

    # following

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        if self._moving:
            return
        self._follows = new_value >= self.max_scroll_y
        if self._follows:
            self._left_at = self._total
        self._tell()

    def on_resize(self, event: events.Resize) -> None:
        follows = self._follows
        super().on_resize(event)
        if follows:
            self._follows = True
            self._to(self.max_scroll_y)

    def action_edge(self, at: int) -> None:
        if at:
            self._follows, self._left_at = True, self._total
            self._tell()
            self._to(self.max_scroll_y)
        else:
            super().action_edge(at)

    def foot(self, line: int, width: int) -> Iterable[Part]:
        if self._typing or self._pattern:
            return self._search_parts()
        new = self._total - self._left_at
        what = f"↓ {new:,} new below" if new else "‖ it stands still here"
        return [(what, "warn"), (", end follows the newest", "dim")]

    def _tell(self) -> None:
        """The line at the bottom, where there is something to say."""
        self.show_foot(1 if self._typing or self._pattern or not self._follows else 0)
        if self._follows:
            self._to(self.max_scroll_y)
        self.touch_edges()

    def _to(self, y: float) -> None:
        self._moving = True
        self.scroll_to(y=y, animate=False, force=True)
        self._moving = False

    def _place_of(self, number: int) -> int:
        """The number of the line that stands at a place."""
        first = self.keys[number] if number < len(self.keys) else 0
        assert isinstance(first, int)
        return first

    # searching

    def open_filter(self) -> None:
        """Begins to search; what is typed now is what to search for."""
        self._typing = True
        self._search("")

    async def _on_key(self, event: events.Key) -> None:
        if event.key == "escape" and (self._typing or self._pattern):
            self._typing = False
            self._search("")
        elif not self._typing:
            return
        elif event.key == "enter":
            self._typing = False
            self._search(self._words)
        elif event.key == "backspace":
            self._search(self._words[:-1])
        elif event.is_printable and event.character:
            self._search(self._words + event.character)
        else:
            return
        event.stop()
        event.prevent_default()

    def on_blur(self) -> None:
        self._typing = False
        self._tell()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """`n` means something only during a search."""
        return self._pattern is not None if action == "match" else True

    def action_match(self, by: int) -> None:
        """Goes to the next match, or with -1 to the previous one; round at the ends."""
        if not self._matches:
            return
        place = bisect_left(self._matches, self._match)
        here = place < len(self._matches) and self._matches[place] == self._match
        place += by if here or by < 0 else 0
        self._go(self._matches[place % len(self._matches)])

    def _search(self, words: str) -> None:
        self._words = words
        self._pattern = re.compile(re.escape(words), re.IGNORECASE) if words else None
        self._matches = self._found(range(self._book.first, self._total))
        self._match = -1
        self._strips.clear()
        self._tell()
        if self._matches:
            bottom = self._place_of(0) + self.scroll_offset.y + self._room - 1
            self._go(self._matches[max(0, bisect_right(self._matches, bottom) - 1)])
        self.refresh()

    def _found(self, numbers: range) -> list[int]:
        if self._pattern is None:
            return []
        find, first = self._pattern.search, self._book.first
        if len(numbers) == len(self._book.lines):  # a deque is slow in its middle
            return [n for n, line in zip(numbers, self._book.lines, strict=True) if find(clean(line.text))]
        return [n for n in numbers if find(clean(self._book.lines[n - first].text))]

    def _go(self, number: int) -> None:
        before, self._match = self._match, number
        self.touch([before, number])
        place = self._place.get(number, 0)
        if not self.scroll_offset.y <= place < self.scroll_offset.y + self._room:
            self.scroll_to(y=max(0, place - self._room // 2), animate=False, force=True)
        self._tell()

    def _search_parts(self) -> Iterator[Part]:
        yield "/", "accent"
        yield f"{clean(self._words)}{'▏' if self._typing else ''}", "bold"
        if self._words:
            count = len(self._matches)
            place = bisect_left(self._matches, self._match) + 1 if count else 0
            found = f"  {place:,} of {count:,}" if count else "  not found"
            yield found, "warn" if not count else ""
        yield "   enter done   esc ends" if self._typing else "   n next   N previous   esc ends", "dim"


class _Places(Mapping[Key, int]):
    """Where each line stands: counted, not stored, for there are thousands of them and more at each tick."""

    def __init__(self, keys: range) -> None:
        self._keys = keys

    def __getitem__(self, key: Key) -> int:
        if isinstance(key, int) and key in self._keys:
            return key - self._keys.start
        raise KeyError(key)

    def __iter__(self) -> Iterator[Key]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)
