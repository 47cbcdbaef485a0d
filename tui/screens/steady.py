"""What all screens have in common: they bear events that overlap, as they do when keys and sizes come fast."""

from __future__ import annotations

from typing import TypeVar

from textual import events
from textual.await_complete import AwaitComplete
from textual.screen import Screen

Answer = TypeVar("Answer")


class Steady(Screen[Answer]):
    """Textual's screens say each new size once more to themselves. With two sizes on their way the one would undo the
    other, for ever: the screen would flicker between them and hear no key, or stay at the older one. And one that is
    dismissed twice, or under another one, would take away what lies on top.
    """

    def on_resize(self, event: events.Resize) -> None:
        if event.size != self.app.size and self.size == self.app.size:
            event.prevent_default()  # the newest has been taken already: a storm of sizes costs little
        event.size = self.app.size

    def dismiss(self, result: Answer | None = None) -> AwaitComplete:
        if self.app.screen is self:
            return super().dismiss(result)
        return AwaitComplete()
