"""Starts a command below a guardian, and ends it with everything below it: what all that cvdebug starts have in common.

The observer never forks by itself (subprocess executes at once) and is no subreaper: whatever else it starts, the
embedded server above all, never lands in such a tree.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

GUARDIAN = Path(__file__).with_name("guardian.py")
END_DEADLINE_S = 5.0


class Guarded:
    """A command that runs from the moment of construction. `process` is its guardian, which ends after all of it."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        stdin: int,
        output: int | IO[bytes],
        environment: Mapping[str, str] | None = None,
        passed: Sequence[int] = (),
        kept: Sequence[int] = (),
    ) -> None:
        """`passed` descriptors the command inherits too, `kept` ones only the guardian (a lock, say)."""
        self._life, life = socket.socketpair()
        words = [str(life.fileno()), ",".join(map(str, passed)), "--", *command]
        with life:
            self.process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(GUARDIAN), *words],
                stdin=stdin,
                stdout=output,
                stderr=output,
                env=environment,
                pass_fds=(life.fileno(), *passed, *kept),
                start_new_session=True,
            )

    def pid(self) -> int:
        """The command's PID, when it is there: that takes some milliseconds. Not to be called twice.

        Where it could not be started, the error's number, negated, or 0 when that is not known.
        """
        with self._life.makefile("rb") as said:
            return int(said.readline() or 0)

    def end(self) -> None:
        """Ends the whole tree and waits until the last of it is reaped. May be called more than once."""
        self._life.close()
        try:
            self.process.wait(END_DEADLINE_S)
        except subprocess.TimeoutExpired:  # a process in uninterruptible sleep: nobody can end it now
            self.process.kill()
            self.process.wait()
