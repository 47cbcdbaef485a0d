"""The journal: all events of one run, one JSON line each, written as they happen and read back in order."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from .errors import InputError, UsageError
from .events import AnyEvent, Event, decode, encode


class Journal:
    """A file that events are appended to; each line reaches the operating system at once.

    `last_seq` is the place of the last event that the file held when it was opened, 0 for a new one.
    """

    def __init__(self, path: Path, *, append: bool = False) -> None:
        """Begins `path` anew, or goes on after its last whole line. Raises UsageError when it cannot be written."""
        flags = os.O_RDWR if append else os.O_WRONLY | os.O_TRUNC
        try:
            # Without O_NONBLOCK a pipe that nobody reads would never open.
            fd = os.open(path, flags | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
            os.set_blocking(fd, True)
            self._file = os.fdopen(fd, "r+b" if append else "wb", buffering=0)
        except OSError as error:
            raise UsageError(f"{path} cannot be written ({error.strerror})") from None
        self.last_seq = self._go_on() if append else 0

    def _go_on(self) -> int:
        """Cuts off a last line that was not finished; the place of the last event."""
        data = self._file.read() or b""
        end = data.rfind(b"\n") + 1
        self._file.truncate(end)
        self._file.seek(end)
        lines = data[:end].splitlines(keepends=True)
        return decode(lines[-1]).seq if lines else 0

    def write(self, event: Event) -> None:
        """Raises OSError when the file takes no more."""
        line = memoryview(encode(event))
        while line:
            line = line[self._file.write(line) or 0 :]

    def close(self) -> None:
        self._file.close()


def read(path: Path) -> Iterator[AnyEvent]:
    """The events of a journal. A last line that was cut short is left out.

    Raises InputError when the file cannot be read or holds something else.
    """
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if line.endswith(b"\n"):
                    yield _decoded(line, f"{path}, line {number}")
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror})") from None


def _decoded(line: bytes, where: str) -> AnyEvent:
    try:
        return decode(line)
    except InputError as error:
        raise InputError(f"{where}: {error.what}", hint=error.hint) from None
