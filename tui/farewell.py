"""What is said on standard output when the app has left the screen: the lines that end a plain run."""

from __future__ import annotations

import contextlib
import sys

from ..core.state import RunState
from .terminal import writable

_LASTS = """\
cvdebug: what was started is not gone yet: the embedded PostgreSQL still writes its files or is stopped, or a process \
waits for the disk. Ctrl-C leaves at once; it then ends by itself.
"""


def say(state: RunState) -> None:
    """The verdicts' headlines, and how the run ended. Nothing where nobody reads the terminal any more."""
    if not writable(1):
        return
    from . import report
    from .plain import line_console

    console = line_console(sys.stdout)
    with contextlib.suppress(OSError, ValueError):
        if state.scenario:
            console.print(f"cvdebug {state.scenario}", markup=False, style="bold")
        for verdict in state.verdicts.values():
            console.print(report.headline(verdict))
        if state.finished is not None:
            for line in report.lines(state.finished, state):
                console.print(line)


def say_it_lasts() -> None:
    """That the end takes its time, and how not to wait for it."""
    if writable(2):
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(_LASTS)
            sys.stderr.flush()
