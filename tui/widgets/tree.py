"""The process tree: processes and their threads, what they wait for and who could wake them."""

from __future__ import annotations

from collections.abc import Iterable

from textual.message import Message

from ..scene import Scene, Selection
from .rows import Key, Part, Rows


class Tree(Rows):
    """Keys are selections: a process has TID 0."""

    BORDER_TITLE = "Processes and threads"

    class Selected(Message):
        """A person looks at another process or thread."""

        def __init__(self, selection: Selection) -> None:
            super().__init__()
            self.selection = selection

    def show(self, scene: Scene) -> None:
        """Shows what there is now."""
        self._scene = scene
        self.show_keys([Selection(pid) for pid in scene.state.processes])
        self.touch_all()

    def reveal(self, selection: Selection) -> None:
        """Brings a process or thread into sight, with the cursor on it."""
        self.put_cursor(selection)

    def parts(self, key: Key, width: int) -> Iterable[Part]:
        assert isinstance(key, Selection)
        process = self._scene.state.processes[key.pid]
        return [(f"{process.pid} {process.role} ", "bold"), (" ".join(process.command), "dim")]

    def on_rows_moved(self, message: Rows.Moved) -> None:
        assert isinstance(message.key, Selection)
        self.post_message(self.Selected(message.key))
