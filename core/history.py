"""How a run's numbers went over time: series for charts, folded from the same events as everything else. Pure."""

from __future__ import annotations

from collections import deque

from . import events as ev
from .state import RunState

# One point in so many seconds, and so many of them: five minutes.
STEP_S = 0.5
POINTS = 600


class History:
    """Series of points `STEP_S` apart; each holds the newest `POINTS`."""

    def __init__(self) -> None:
        self.chunks_per_s: deque[float] = deque(maxlen=POINTS)

    def take(self, event: ev.Event, state: RunState) -> None:
        """Notes what `event` changed; `state` is the fold up to and including it."""
