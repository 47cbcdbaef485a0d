"""What each action does: the app's verbs, one method each, called by key, palette, footer and mouse alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core import events as ev
from ..core.commands import Dump

if TYPE_CHECKING:
    from .app import CvdebugApp


class Doing:
    """Carries out actions on one app."""

    def __init__(self, app: CvdebugApp) -> None:
        self._app = app

    def do(self, id: str) -> None:
        """Carries out the action of the registry with this `id`."""
        getattr(self, f"do_{id}")()

    def hear(self, event: ev.Event) -> None:
        """Says at once, whatever is in sight, what a person should not miss."""

    def do_quit(self) -> None:
        self._app.exit()

    def do_again(self) -> None:
        self._app.reopen(self._app.opening.again())

    def do_pause(self) -> None:
        self._app.paused = None if self._app.paused else self._app.scene._replace(paused=True)
        self._app.tick()

    def do_dump(self) -> None:
        if pid := self._app.selection.pid:
            self._app.send(Dump(pid))
