"""The names of the panels, where there is only room for one of them."""

from __future__ import annotations

from collections.abc import Sequence

from ..scene import Scene
from .rows import Lines


class Tabs(Lines, can_focus=False):
    """One line; a click or the number's key brings a panel to the front."""

    DEFAULT_CSS = """
    Tabs { height: 1; display: none; }
    .-narrow Tabs { display: block; }
    """

    def __init__(self, panels: Sequence[str], *, id: str | None = None) -> None:
        super().__init__(id=id, cursor=False)
        self._panels = panels

    def show(self, scene: Scene) -> None:
        """Shows what there is now."""
        self.show_lines([[(f"{number} {name}  ", "") for number, name in enumerate(self._panels, 1)]])
