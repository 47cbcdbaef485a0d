"""The top line: what runs, how it stands, the toggle, and when something happened last."""

from __future__ import annotations

from ..scene import Scene
from .rows import Lines


class TopLine(Lines, can_focus=False):
    """Two lines that are always in sight."""

    DEFAULT_CSS = "TopLine { height: 2; }"

    def show(self, scene: Scene) -> None:
        """Shows what there is now."""
        state = scene.state
        self.show_lines(
            [
                [("cvdebug ", "bold"), (state.scenario, ""), ("  " + state.status, "accent")],
                [(f"TOKENIZERS_PARALLELISM: {state.parallelism}", "")],
            ]
        )
