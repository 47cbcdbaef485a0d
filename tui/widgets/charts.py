"""The Charts panel."""

from __future__ import annotations

from ..scene import Scene
from .rows import Lines


class Charts(Lines):
    """To be drawn."""

    BORDER_TITLE = "Charts"

    def show(self, scene: Scene) -> None:
        """Shows what there is now."""
        self.show_lines(
            [[(f"{name} {value.status} {value.done}/{value.total}", "")] for name, value in scene.state.phases.items()]
        )
