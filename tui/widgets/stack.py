"""The Stack panel: the calls of the thread that a person looks at, and when they were read."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...core.model import Frame
from ...core.state import StackState
from ..drawing.lines import Line
from ..drawing.stack_lines import Head, View, calls, head, head_lines, shown_thread
from ..scene import Scene
from ..sources import Place, Sources
from .linked import Linked


class StackView(Linked):
    """The stack of the selected thread; of a process, that of its main thread."""

    BORDER_TITLE = "Stack"
    HELP = (
        "The calls of the selected thread, innermost first; of a selected process, those of its main thread. They are"
        " as they were when they were read: d reads them again, D with those inside of native libraries."
    )

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._view = View()
        self._sources = Sources()
        self._head: tuple[Head, int] | None = None
        self._calls: tuple[StackState | None, View, int, int] | None = None
        self._call_lines: tuple[Line, ...] = ()
        self._lines_drawn: tuple[Line, ...] = ()
        self._thread = (0, 0)

    def laid_out(self, scene: Scene, width: int) -> Sequence[Line]:
        thread = shown_thread(scene)
        stack = scene.state.stacks.get(thread[1])
        above = head(scene), width
        below = stack, self._view, width, self._sources.generation
        if above == self._head and below == self._calls:
            return self._lines_drawn
        if below != self._calls:
            self._calls = below
            self._call_lines = tuple(calls(stack, self._view, width, self._source(stack)))
        self._head = above
        self._lines_drawn = (*head_lines(*above), *(self._call_lines if above[0].process else ()))
        if thread != self._thread:
            self._thread = thread
            self.call_after_refresh(self.to_top)
        return self._lines_drawn

    def show_all(self) -> None:
        """Shows every frame, or again only those that tell something."""
        self._view = self._view._replace(full=not self._view.full)
        self.lay_out()

    def show_raw(self) -> None:
        """Shows native names as the symbol table has them, or again readable ones."""
        self._view = self._view._replace(raw=not self._view.raw)
        self.lay_out()

    def _source(self, stack: StackState | None) -> Callable[[Frame], str]:
        def text(frame: Frame) -> str:
            return self._sources.line(Place(stack.pid, frame.file, frame.line), stack.at) if stack else ""

        return text
