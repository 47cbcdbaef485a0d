"""The footer: the keys that make most sense now, from the registry; at most eight, and as many as fit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import events

from ..actions import Action, footer
from ..keys import cap
from ..scene import Scene
from .drawn import Drawn
from .rows import Part

if TYPE_CHECKING:
    from ..app import CvdebugApp

# What is never left out for want of room.
KEPT = ("fix", "help", "quit")


class KeysFooter(Drawn[tuple[Action, ...]], can_focus=False):
    """One line of keys and what they do; a click on one is the key."""

    app: CvdebugApp

    COMPONENT_CLASSES: ClassVar[set[str]] = {"rows--cap"}
    DEFAULT_CSS = """
    KeysFooter { height: 1; dock: bottom; }
    KeysFooter > .rows--cap { color: $primary; text-style: bold reverse; }
    """

    def show(self, scene: Scene) -> None:
        """Shows what there is now."""
        self.show_rows([tuple(footer(scene))])

    def draw(self, row: tuple[Action, ...], width: int) -> Iterable[Part]:
        for keycap, label, _ in laid_out(row, width):
            yield keycap, "cap"
            yield label, ""

    def on_click(self, event: events.Click) -> None:
        x = event.x
        for keycap, label, action in laid_out(self.rows[0], self.size.width):
            if 0 <= x < len(keycap) + len(label):
                self.app.action_do(action.id)
                return
            x -= len(keycap) + len(label)


def laid_out(actions: Sequence[Action], width: int) -> list[tuple[str, str, Action]]:
    """Keycap and label of each action that fits `width` cells: first closer together, then without the last ones."""
    shown = list(actions)
    while True:
        for pad, gap in ((" ", "   "), (" ", " "), ("", "  ")):
            keys = [
                (f"{pad}{cap(action.key).replace('ctrl+', '^')}{pad}", f" {action.label}{gap}", action)
                for action in shown
            ]
            if sum(len(keycap) + len(label) for keycap, label, _ in keys) - len(gap) <= width:
                return keys
        spare = [action for action in shown if action.id not in KEPT]
        if not spare:
            return keys
        shown.remove(spare[-1])
