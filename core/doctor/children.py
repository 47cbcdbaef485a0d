"""Child processes of checks: each in a session of its own, ended with all that it started when it is overdue."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence

import msgspec

_living: set[subprocess.Popen[str]] = set()
_endings = 0
_lock = threading.Lock()


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """How a child ended: its exit code (negative: by that signal; None: overdue and ended), and what it wrote."""

    code: int | None
    out: str
    err: str

    @property
    def last_words(self) -> str:
        """The last line of its complaint, and the signal that ended it, or its exit code."""
        said = next((line.strip() for line in reversed(self.err.splitlines()) if line.strip()), "")
        if self.code is not None and self.code < 0:
            return f"it was ended by {_signal_name(-self.code)}" + (f": {said}" if said else "")
        return said or f"exit code {self.code}"


def ask(arguments: Sequence[str], *, environment: Mapping[str, str], deadline_s: float) -> Reply:
    """Runs a program to its end, and until nobody holds its output any more. OSError when it cannot be started."""
    with started(arguments, environment=environment) as child:
        try:
            out, err = child.communicate(timeout=deadline_s)
        except subprocess.TimeoutExpired as error:
            return Reply(code=None, out=_text(error.output), err=_text(error.stderr))
        return Reply(code=child.returncode, out=out, err=err)


@contextlib.contextmanager
def started(arguments: Sequence[str], *, environment: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    """A program with pipes for its input and output; it and what it started are ended at the end of the block."""
    pipe, endings = subprocess.PIPE, _endings
    child = subprocess.Popen(
        list(arguments), stdin=pipe, stdout=pipe, stderr=pipe, env=dict(environment), start_new_session=True,
        text=True, encoding="utf-8", errors="replace",
    )  # fmt: skip
    with _lock:
        _living.add(child)
        is_late = endings != _endings
    if is_late:  # all were ended while it was being started
        _kill(child)
    try:
        yield child
    finally:
        _end(child)
        with _lock:
            _living.discard(child)


def end_all() -> None:
    """Ends the children of checks that have not come back."""
    global _endings
    with _lock:
        _endings += 1
        left = list(_living)
    for child in left:
        _kill(child)


def _text(output: bytes | str | None) -> str:
    """What came before the deadline: bytes even of a child whose pipes are text."""
    return output.decode("utf-8", "replace") if isinstance(output, bytes) else output or ""


def _end(child: subprocess.Popen[str]) -> None:
    _kill(child)
    with child:  # closes the pipes and reaps it
        pass


def _kill(child: subprocess.Popen[str]) -> None:
    """The whole session. One that has been reaped is left alone: its number may be somebody else's."""
    if child.returncode is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
