"""The Stack panel."""

from __future__ import annotations

from ..scene import Scene
from .rows import Lines


class StackView(Lines):
    """To be drawn."""

    BORDER_TITLE = "Stack"

    def show(self, scene: Scene) -> None:
        """Shows what there is now."""
        self.show_lines(
            [[(f"{name} {value.status} {value.done}/{value.total}", "")] for name, value in scene.state.phases.items()]
        )
