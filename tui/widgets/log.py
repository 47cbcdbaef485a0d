"""The Log panel: what the subject printed and what was said of the run, followed at its end, searchable."""

from __future__ import annotations

from ..scene import Scene
from .rows import Lines


class LogView(Lines):
    """The newest lines; it follows the end unless a person has scrolled up."""

    BORDER_TITLE = "Log"

    def show(self, scene: Scene) -> None:
        """Shows what there is now."""
        self.show_lines([[(line.text, line.tone if line.tone in ("bad", "good") else "")] for line in scene.log.lines])
