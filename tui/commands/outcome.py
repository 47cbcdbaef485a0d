"""What holds for every command, however it was read: errors are sentences, and output never fails for its letters."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Callable

from ...core.errors import CvdebugError, ExitCode


def carry_out(command: Callable[[], object]) -> None:
    """Runs a command. No traceback reaches a user: every error of the tree is a sentence and an exit code."""
    _settle_streams()
    try:
        try:
            command()
        finally:
            sys.stdout.flush()  # so that a full disk is an error like any other
    except CvdebugError as error:
        from ..text import clean

        sys.stderr.write(f"cvdebug: {clean(str(error))}\n")
        sys.exit(error.exit_code)
    except OSError as error:
        _silence_stdout()
        sys.stderr.write(f"cvdebug: {error.strerror or error}\n")
        sys.exit(ExitCode.FAILED)


def _settle_streams() -> None:
    """Output goes nowhere rather than nowhere to be found, and no character is too much for a terminal's encoding."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  (for as long as the process lives)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _silence_stdout() -> None:
    """Keeps the interpreter from failing again when it flushes at exit."""
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
