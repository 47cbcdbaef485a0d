"""The command palette: every action that makes sense now, as `area: verb`, from the one registry."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, cast

from textual.command import CommandPalette, DiscoveryHit, Hit, Hits, Provider

from .actions import Action, possible
from .screens.steady import Steady

if TYPE_CHECKING:
    from .app import CvdebugApp


class Palette(CommandPalette, Steady[None]):
    """Textual's own, with what all our screens have in common."""

    def _action_command_list(self, action: str) -> None:
        try:
            super()._action_command_list(action)
        except KeyError:
            return  # a page of a list that has been filled and not laid out yet: there is nowhere to go


class Actions(Provider):
    """Lists and finds the actions of the registry."""

    async def discover(self) -> Hits:
        for action in self._actions():
            yield DiscoveryHit(_name(action), self._run(action), help=action.says)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for action in self._actions():
            name = _name(action)
            if (score := max(matcher.match(name), matcher.match(action.says) / 2)) > 0:
                yield Hit(score, matcher.highlight(name), self._run(action), help=action.says)

    def _actions(self) -> list[Action]:
        return [action for action in possible(self._cvdebug.scene) if action.id != "palette"]

    def _run(self, action: Action) -> partial[None]:
        return partial(self._cvdebug.action_do, action.id)

    @property
    def _cvdebug(self) -> CvdebugApp:
        return cast("CvdebugApp", self.app)


def _name(action: Action) -> str:
    return f"{action.area}: {action.verb}"
