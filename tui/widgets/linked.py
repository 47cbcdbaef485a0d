"""Lines of which some lead to a process, a thread, a session or a page: Enter or a click goes there.

The arrow keys stop at the lines that lead somewhere while those are in sight, and scroll by a line otherwise, so that
a long text can be read and each jump be reached with the same two keys.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual import events

from ..drawing.lines import Line
from ..drawing.targets import Backend, Opens, Target, following
from ..scene import Scene, Selection
from .database import Database
from .rows import Key, Lines, Rows

if TYPE_CHECKING:
    from ..app import CvdebugApp


class Linked(Lines):
    """What `laid_out` says of a scene at this width, with jumps."""

    app: CvdebugApp

    DEFAULT_CSS = """
    Linked > .rows--cursor { background: $background 0%; }
    """

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._scene: Scene | None = None
        self._linked: Sequence[Line] = ()
        self._heads: list[int] = []

    # what a subclass says

    def laid_out(self, scene: Scene, width: int) -> Sequence[Line]:
        """The lines for a scene, `width` cells wide."""
        raise NotImplementedError

    def open_page(self, slug: str) -> None:
        """Goes to a page of this widget's own."""

    # what its owner says

    def show(self, scene: Scene) -> None:
        """Shows what there is now."""
        self._scene = scene
        self.lay_out()

    def lay_out(self) -> None:
        """Draws anew what has changed; nothing before the widget has a size."""
        width = self.text_width
        if self._scene is None or not width:
            return
        fresh = self.laid_out(self._scene, width)
        if fresh is self._linked:
            return
        at = self._heads.index(self.cursor) if self.cursor in self._heads else 0
        self._linked = fresh
        self._heads = [number for number, line in enumerate(fresh) if line.head]
        self._has_cursor = bool(self._heads)
        self.show_lines([line.parts for line in fresh])
        if self._heads:
            self._put_cursor(self._heads[min(at, len(self._heads) - 1)])

    def to_top(self) -> None:
        """Another text stands here: it is read from its beginning."""
        self.scroll_to(y=0, animate=False, force=True)
        if self._heads:
            self._put_cursor(self._heads[0])

    def follow(self, target: Target) -> None:
        """Goes where a line leads."""
        main = self.app.main
        match target:
            case Selection():
                if main.has_class("-single"):
                    main.action_panel("tree")  # first: what was never in sight has no row to go to
                main.select(target)
            case Backend():
                main.action_panel("database")
                main.query_one(Database).reveal(target.pid)
            case Opens():
                self.open_page(target.slug)

    # keys and mouse

    def on_resize(self, event: events.Resize) -> None:
        self.lay_out()

    def on_rows_chosen(self, message: Rows.Chosen) -> None:
        message.stop()
        assert isinstance(message.key, int)
        if found := self._linked[message.key].targets:
            self.follow(following(found, self.app.selection))

    def clicked(self, key: Key, column: int, chain: int) -> None:
        """Of a text of several lines the cursor takes the first."""
        assert isinstance(key, int)
        head = self._heads[max(0, bisect_right(self._heads, key) - 1)]
        self._put_cursor(head)
        if self._linked[key].targets:
            self.post_message(self.Chosen(self, head))

    def action_move(self, by: int) -> None:
        if abs(by) == 1 and (head := self._next_head(by)) is not None:
            self._put_cursor(head)
        else:
            self.scroll_to(y=self.scroll_offset.y + by, animate=False, force=True)

    def _next_head(self, by: int) -> int | None:
        """The next line in that direction that leads somewhere, if it is in sight: counted from the cursor, or from
        the edge where that is out of sight."""
        top, end = self.scroll_offset.y, self.scroll_offset.y + self._room
        seen = self._heads[bisect_left(self._heads, top) : bisect_left(self._heads, end)]
        before = -1 if by > 0 else len(seen)
        at = (seen.index(self.cursor) if self.cursor in seen else before) + by
        return seen[at] if 0 <= at < len(seen) else None
