"""The process tree: processes and their threads, what they wait for and who could wake them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message

from ...core.state import RunState
from ..drawing.tree_cells import FOLDED_MARK, Columns, Look, cells, columns, header, mark_at
from ..drawing.tree_model import TreeModel
from ..drawing.tree_rows import Bundle, TreeKey, TreeRow
from ..scene import Scene, Selection
from .rows import Key, Part, Rows

if TYPE_CHECKING:
    from ..app import CvdebugApp


class Tree(Rows):
    """Keys are selections (a process has TID 0), and bundles of threads that are alike."""

    app: CvdebugApp

    BORDER_TITLE = "Processes and threads"
    HELP = (
        "Who there is, what each waits for, and who could wake it. Threads that are alike share a row. What the cursor"
        " stands on is shown in the stack, and is what d, D and k mean."
    )
    HEAD = 1
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right", "open", "open", show=False, id="tree.open", tooltip="Opens the row, or goes to its first one"),
        Binding("left", "close", "close", show=False, id="tree.close", tooltip="Closes the row, or goes to its parent"),
        Binding("space", "turn", "fold", show=False, id="tree.fold", tooltip="Opens or closes the row"),
        Binding("asterisk", "open_all", "open all", show=False, id="tree.open_all", tooltip="Opens every row"),
        Binding("greater_than_sign", "sort(1)", "sort", show=False, id="tree.sort",
                tooltip="Sorts siblings by the next column: tree order, CPU, memory, PID, state"),
        Binding("less_than_sign", "sort(-1)", "sort back", show=False, id="tree.sort_back",
                tooltip="Sorts siblings by the column before"),
        Binding("F", "follow", "follow", show=False, id="tree.follow",
                tooltip="Keeps the row in sight until the same key is pressed or the cursor is moved"),
        Binding("slash", "filter", "filter", show=False, id="tree.filter",
                tooltip="Shows only what holds every word: name, PID, TID, role, command, wait, state"),
        Binding("escape", "clear_filter", "all rows", show=False, id="tree.clear", tooltip="Takes the filter away"),
    ]  # fmt: skip

    class Selected(Message):
        """A person looks at another process or thread."""

        def __init__(self, selection: Selection) -> None:
            super().__init__()
            self.selection = selection

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._scene: Scene | None = None
        self._begin()

    def _begin(self) -> None:
        """Forgets everything: this is another run."""
        self._model = TreeModel()
        self._by_hand = False  # a person has said where to look
        self._chosen: Selection | None = None  # what was chosen without a person
        self._wanted: Selection | None = None  # revealed before it was there
        self._followed: TreeKey | None = None
        self._typing = False
        self._filter = ""
        self._told: tuple[object, ...] = ()  # what the line below the rows was made of
        self._said = ""  # what stands there while there are no rows

    # what it shows

    def show(self, scene: Scene) -> None:
        """Shows what there is now."""
        before, self._scene = self._scene, scene
        if before is None or before.history is not scene.history:
            self._begin()
        elif before.state.subject_pid != scene.state.subject_pid:
            self._by_hand, self._chosen = False, None
        state = scene.state
        news = self._model.take(state.processes, state.threads, state.subject_pid, scene.now)
        if isinstance(self.cursor, Selection | Bundle) and self.cursor.pid in news.reborn:
            self._leave(self.cursor)
        self._lay_out(news.touched)
        self._look_by_itself(state)
        if not self.keys and self._said != self.empty():
            self._said = self.empty()
            self.touch_all()

    def reveal(self, selection: Selection) -> None:
        """Brings a process or thread into sight, with the cursor on it."""
        self._by_hand, self._wanted = True, selection
        self._reveal_wanted()
        self._follow_cursor()

    def head(self, line: int, width: int) -> Iterable[Part]:
        return header(self._columns(width), self._model.view.sort)

    def foot(self, line: int, width: int) -> Iterable[Part]:
        found = f"  {self._model.arranged.hits} of {self._model.arranged.total}"
        hint = "  Enter keeps it, Esc clears it" if self._typing else "  / edits it, Esc clears it"
        room = max(8, width - len(found) - len(hint) - 4)
        shown = self._filter if len(self._filter) < room else "…" + self._filter[-room + 2 :]
        return [("/ ", "accent"), (shown + ("▏" if self._typing else ""), "bold"), (found, ""), (hint, "dim")]

    def empty(self) -> str:
        if self._filter and self._model.arranged.total:
            return "No row holds every one of these words."
        if self._scene is not None and self._scene.state.finished:
            return "It has ended, and no process is left."
        return "Processes and their threads appear here as soon as something runs."

    def parts(self, key: Key, width: int) -> Iterable[Part]:
        model, row = self._model, self._row(key)
        if row is None:
            return ()
        look = Look(model.processes, model.threads, model.mine, model.view, self._followed)
        return cells(row, look, self._columns(width))

    def heir(self, key: Key, keys: Collection[Key]) -> Key:
        return self._model.stand_in(key) if isinstance(key, Selection | Bundle) else None

    def _row(self, key: Key) -> TreeRow | None:
        return self._model.rows.get(key) if isinstance(key, Selection | Bundle) else None

    def _columns(self, width: int) -> Columns:
        return columns(width, self._model.digits)

    def _lay_out(self, touched: Iterable[Key]) -> None:
        """Shows the rows of the model, with what is followed in sight."""
        if self._followed is not None and self._followed not in self._model.rows:
            self._followed = None
        self.show_keys(tuple(self._model.rows))
        self.renew(touched)
        if self._followed is not None:
            self.put_cursor(self._followed)
        told = (self._typing, self._filter, self._model.arranged.hits, self._model.arranged.total)
        if told != self._told:
            self._told = told
            self.show_foot(1 if self._typing or self._filter else 0)
            self.touch_edges()

    # where it looks

    def _look_by_itself(self, state: RunState) -> None:
        """Until a person says where to look: at the subject, and when there is a hang at its first culprit."""
        if self._wanted is not None:
            self._reveal_wanted()
            self._wanted = None
        if self._by_hand:
            return
        culprits = [
            Selection(culprit.pid, culprit.tid)
            for verdict in state.verdicts.values()
            if verdict.hangs
            for culprit in verdict.culprits
        ]
        wishes = [*culprits, Selection(state.subject_pid)]
        wish = next((wish for wish in wishes if self._model.home(wish) is not None), None)
        if wish is not None and wish != self._chosen:
            self._chosen = self._wanted = wish
            self._reveal_wanted()

    def _reveal_wanted(self) -> None:
        if self._wanted is None or self._model.home(self._wanted) is None:
            return
        touched = self._model.expose(self._wanted)
        if not self._model.view.words:
            self._typing, self._filter = False, ""
        self._lay_out(touched)
        self.put_cursor(self._model.home(self._wanted))
        self._wanted = None

    def _leave(self, key: TreeKey) -> None:
        """The process under the cursor is another one now: its parent takes the cursor."""
        process = self._model.processes.get(key.pid)
        parent = Selection(process.ppid) if process is not None else None
        if parent is None or not self.put_cursor(parent):
            self.put_cursor(next((other for other in self.keys if other != key), key))
        if self._followed is not None and self._followed.pid == key.pid:
            self._followed = None

    def on_rows_moved(self, message: Rows.Moved) -> None:
        if not isinstance(message.key, Selection | Bundle) or message.key != self.cursor:
            return  # a cursor that has moved on since says so itself
        if message.by_hand:
            self._by_hand = True
            self._follow_cursor()
        looked_at = self._scene.selection if self._scene is not None else Selection()
        if self._model.home(looked_at) != message.key:
            self.post_message(self.Selected(self._model.selection(message.key)))

    def on_rows_chosen(self, message: Rows.Chosen) -> None:
        """Enter, or a double click: to its stack."""
        message.stop()
        self.app.main.action_panel("stack")

    def clicked(self, key: Key, column: int, chain: int) -> None:
        row = self._row(key)
        if row is not None and row.fold and 0 <= column - mark_at(row, self._columns(self.text_width)) < FOLDED_MARK:
            self.action_turn()
        elif chain == 2:
            self.action_choose()

    # folds, sort, follow

    def action_open(self) -> None:
        row = self._row(self.cursor)
        if row is not None and row.fold == "closed":
            self._lay_out(self._model.unfold(row.key))
        elif row is not None and row.fold == "open":
            self.action_move(1)

    def action_close(self) -> None:
        row = self._row(self.cursor)
        if row is None:
            return
        if row.fold == "open" and not self._model.view.words:
            self._lay_out(self._model.fold(row.key))
        elif row.parent is not None:
            self.action_move(self.keys.index(row.parent) - self.keys.index(row.key))

    def action_turn(self) -> None:
        row = self._row(self.cursor)
        if row is not None and row.fold == "closed":
            self.action_open()
        elif row is not None and row.fold == "open" and not self._model.view.words:
            self.action_close()

    def action_open_all(self) -> None:
        self._lay_out(self._model.unfold_all())

    def action_sort(self, step: int) -> None:
        self._lay_out(self._model.sort_by(step))
        self.touch_edges()

    def action_follow(self) -> None:
        before = self._followed
        self._by_hand = True
        self._followed = None if before == self.cursor or self._row(self.cursor) is None else self._row_key()
        self.touch(key for key in (before, self._followed) if key is not None)
        self._model.wish(keep=self._followed)

    def _row_key(self) -> TreeKey | None:
        row = self._row(self.cursor)
        return row.key if row is not None else None

    def _follow_cursor(self) -> None:
        """What is followed is let go where the cursor has left it."""
        if self._followed is not None and self._followed != self.cursor:
            gone, self._followed = self._followed, None
            self._lay_out({gone} | self._model.wish(keep=None))

    # filter

    def open_filter(self) -> None:
        """Lets a person type a filter."""
        self._type(self._filter)

    def action_filter(self) -> None:
        self.open_filter()

    def action_clear_filter(self) -> None:
        self._typing, self._filter = False, ""
        self._lay_out(self._model.filter_by(""))
        self.put_cursor(self.cursor)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Without a filter Escape is for others."""
        return bool(self._filter or self._typing) if action == "clear_filter" else True

    def check_consume_key(self, key: str, character: str | None) -> bool:
        """While a filter is typed letters are text, not actions."""
        return self._typing and character is not None and character.isprintable()

    def on_key(self, event: events.Key) -> None:
        if not self._typing:
            return
        if event.key == "enter":
            self._typing = False
            self._lay_out(())
        elif event.key == "backspace":
            self._type(self._filter[:-1])
        elif event.key == "ctrl+u":
            self._type("")
        elif event.is_printable and event.character:
            self._type(self._filter + event.character)
        else:
            return
        event.stop()
        event.prevent_default()

    def on_paste(self, event: events.Paste) -> None:
        if self._typing:
            self._type(self._filter + " ".join(event.text.split()))
            event.stop()

    def on_blur(self) -> None:
        if self._typing:
            self._typing = False
            self._lay_out(())

    def _type(self, text: str) -> None:
        self._typing, self._filter = True, text
        self._lay_out(self._model.filter_by(text))
