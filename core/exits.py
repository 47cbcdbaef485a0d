"""Exit codes and signals in words. Pure."""

from __future__ import annotations

import signal


def signal_name(number: int) -> str:
    """What a signal is called."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def ended(exit_code: int) -> str:
    """How a process ended; below 0 is the number of a signal."""
    return f"ended with exit code {exit_code}" if exit_code >= 0 else f"was ended by {signal_name(-exit_code)}"
