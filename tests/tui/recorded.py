"""Recorded runs: what really happened once, in tests/data, without a path or name of the machine where it did.

`python -m tests.record` makes them anew.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

from cvdebug.core.events import AnyEvent, Event
from cvdebug.core.journal import read
from cvdebug.core.state import RunState, fold

DATA = Path(__file__).parents[1] / "data"
NAMES = ("healthy", "deadlock-and-fix", "database-lock", "slow-index", "attached")


@cache
def recorded(name: str) -> tuple[AnyEvent, ...]:
    """All events of a recorded run."""
    return tuple(read(DATA / f"{name}.jsonl"))


def folded(events: tuple[Event, ...]) -> RunState:
    """The state after all of them."""
    state = RunState()
    for event in events:
        state = fold(state, event)
    return state


def up_to(name: str, when: Callable[[RunState], object], *, more: int = 0) -> tuple[AnyEvent, ...]:
    """The events of a recorded run until `when` is true of its state, and `more` beyond."""
    state = RunState()
    events = recorded(name)
    for number, event in enumerate(events, 1):
        state = fold(state, event)
        if when(state):
            return events[: number + more]
    raise AssertionError(f"{name} never comes to this")
