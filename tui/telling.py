"""Says at once, in a corner of whatever is in sight, what a person should not miss: few words, and each thing once.

What is in sight anyway is not said again, and what a recording says of the past is not news.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from ..core import events as ev
from ..core.errors import sentences
from .actions import can_fix
from .drawing.words import culprit_verdict
from .text import clean, seconds

if TYPE_CHECKING:
    from .app import CvdebugApp

# What happened longer ago than this is history.
NEWS_S = 10.0
# So long a note stands; the same thing is not said again while it can still be read.
SHOWN_S = 4.0

Severity = Literal["information", "warning", "error"]


class Telling:
    """Turns events into notes on one app."""

    def __init__(self, app: CvdebugApp) -> None:
        self._app = app
        self._said: dict[str, float] = {}

    def say(self, text: str, *, severity: Severity = "information", about: str = "") -> None:
        """Shows a text, unless it, or another one `about` the same, can still be read."""
        key, now = about or text, self._app.clock()
        if now - self._said.get(key, -SHOWN_S) < SHOWN_S:
            return
        self._said = {each: at for each, at in self._said.items() if now - at < SHOWN_S} | {key: now}
        self._app.notify(clean(text), severity=severity, timeout=SHOWN_S, markup=False)

    def is_news(self, event: ev.Event) -> bool:
        """Whether it happened only now."""
        return self._app.clock() - event.at <= NEWS_S

    def hear(self, event: ev.Event) -> None:
        """Says what the event means to a person, if it is news; it is folded already."""
        if not self.is_news(event):
            return
        if isinstance(event, ev.Stuck) or (isinstance(event, ev.VerdictReached) and event.certainty == "proven"):
            if not self._app.main.sees("verdict"):
                self._hang()
        elif isinstance(event, ev.FixRefused) and not event.proposed and self._app.screen is self._app.main:
            self.say(f"{event.strategy} is refused: {event.reason}.", severity="warning")
        elif isinstance(event, ev.Signalled):
            self._signalled(event)
        elif isinstance(event, ev.RunFinished) and not self._app.main.sees("verdict"):
            self._finished(event)

    def _hang(self) -> None:
        verdict = culprit_verdict(self._app.bridge.state)
        title = verdict.title if verdict else "nothing in the tree moves any more"
        proven = verdict is not None and verdict.certainty == "proven"
        word = "Proven deadlock" if proven else "Stuck"
        severity: Severity = "error" if proven else "warning"
        keys = "f fixes it, e explains it" if can_fix(self._app.live_scene) else "e explains it"
        self.say(f"{word}: {title}. {keys}.", severity=severity, about="hang")

    def _signalled(self, event: ev.Signalled) -> None:
        if event.trouble:
            self.say(f"PID {event.pid} was not sent {event.signal}: {event.trouble}.", severity="warning")
        else:
            self.say(f"Sent {event.signal} to PID {event.pid}.")

    def _finished(self, event: ev.RunFinished) -> None:
        if event.outcome == "completed":
            self.say(f"✓ Completed in {seconds(event.elapsed_s)}. u shows what it did.", about="end")
        elif event.outcome != "interrupted":
            text = sentences(f"✗ {event.outcome}: {event.what}", event.hint, "u shows more")
            self.say(text, severity="error", about="end")
