"""`replay`: opens the app on a recording, or prints it as the run did."""

from __future__ import annotations

import sys
from typing import NamedTuple

from ...core.errors import UsageError
from ...core.replay import AT_ONCE, Replay, find
from .. import terminal
from ..openings import Source, ended_by_signals


class View(NamedTuple):
    """How to show a recording."""

    json: bool
    plain: bool


def replay(word: str, speed: str | None, view: View) -> int:
    """Plays the recording that `word` names; the exit code of what was recorded.

    Raises UsageError, or InputError for a file that is none, before anything is shown.
    """
    if view.json and view.plain:
        raise UsageError("--json and --plain exclude each other")
    recorded = Replay(find(word), _speed(speed))
    if not (view.json or view.plain) and terminal.usable():
        from ..launch import show

        return show(Source("recording", lambda: recorded, "recording"), clock=recorded.clock)
    with ended_by_signals(recorded):
        return _print(recorded, view)


def _print(recorded: Replay, view: View) -> int:
    if view.json:
        from .. import jsonl

        return jsonl.show(recorded.events())
    from ..plain import Plain

    return Plain(clock=recorded.clock).show(recorded.events())


def _speed(word: str | None) -> float:
    """Where nobody looks on, nothing is waited for."""
    if word is None:
        return 1.0 if sys.stdout.isatty() else AT_ONCE
    if word == "max":
        return AT_ONCE
    try:
        return float(word)
    except ValueError:
        raise UsageError(
            f"--speed {word} is no number", hint="2 is twice as fast as it was; max waits for nothing."
        ) from None
