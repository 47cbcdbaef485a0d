"""The footer: the eight keys that make most sense now, from the registry."""

from __future__ import annotations

from ..actions import footer
from ..scene import Scene
from .rows import Lines


class KeysFooter(Lines, can_focus=False):
    """One line of keys and what they do."""

    DEFAULT_CSS = "KeysFooter { height: 1; dock: bottom; }"

    def show(self, scene: Scene) -> None:
        """Shows what there is now."""
        self.show_lines(
            [[part for action in footer(scene) for part in ((f" {action.key} ", "bold"), (action.label + " ", ""))]]
        )
