"""The JSON front end: one event a line on standard output, narration on standard error."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from ..core import events as ev
from ..core.state import RunState, fold
from . import report
from .plain import line_console

NARRATED = (ev.VerdictReached, ev.FixPlanned, ev.FixRefused, ev.Held, ev.RunFinished)


def show(events: Iterable[ev.Event]) -> int:
    """Writes every event as it comes; the run's exit code."""
    narration = line_console(sys.stderr)
    state, code = RunState(), 1
    for event in events:
        state = fold(state, event)
        sys.stdout.buffer.write(ev.encode(event))
        sys.stdout.buffer.flush()
        if isinstance(event, NARRATED):
            for line in report.lines(event, state):
                narration.print(line)
        if isinstance(event, ev.RunFinished):
            code = event.exit_code
    return code
