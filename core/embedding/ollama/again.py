"""Asks again what may pass by itself: with pauses, each twice as long as the one before."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from .trouble import PASSING, Kind, Trouble

ATTEMPTS, SILENT_ATTEMPTS = 5, 3
"""Silence is waited out to its deadline each time, and so is not tried as often."""
AGAIN_S, LONGEST_S = 0.25, 8.0
"""The first pause, and the longest one."""

T = TypeVar("T")


def insist(
    action: Callable[[], T],
    *,
    attempts: int = ATTEMPTS,
    passing: frozenset[Kind] = PASSING,
    before: Callable[[Trouble, float], None] = lambda trouble, pause_s: None,
    pause: Callable[[float], None] = time.sleep,
) -> T:
    """What `action` gives, tried up to so many times. `before` is told of each trouble that is not the last, and of the
    seconds until the next try. Raises the last Trouble, or one that is not `passing`.
    """
    for attempt in range(attempts):
        try:
            return action()
        except Trouble as trouble:
            most = min(attempts, SILENT_ATTEMPTS) if trouble.kind is Kind.SILENT else attempts
            if trouble.kind not in passing or attempt + 1 >= most:
                raise
            pause_s = min(LONGEST_S, AGAIN_S * 2**attempt)
            before(trouble, pause_s)
        pause(pause_s)
    raise AssertionError("no attempt")
