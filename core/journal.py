"""The journal: all events of one run, one JSON line each, written as they happen and read back in order."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from .errors import InputError, UsageError
from .events import AnyEvent, Event, decode, encode


class Journal:
    """A file that events are appended to; each line reaches the operating system at once."""

    def __init__(self, path: Path, *, append: bool = False) -> None:
        """Begins `path` anew, or goes on at its end. Raises UsageError when it cannot be written."""
        try:
            self._file = path.open("ab" if append else "wb", buffering=0)
        except OSError as error:
            raise UsageError(f"{path} cannot be written ({error.strerror})") from None

    def write(self, event: Event) -> None:
        self._file.write(encode(event))

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read(path: Path) -> Iterator[AnyEvent]:
    """The events of a journal. A last line that was cut short is left out.

    Raises InputError when the file cannot be read or holds something else.
    """
    try:
        with path.open("rb") as lines:
            for line in lines:
                if line.endswith(b"\n"):
                    yield decode(line)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror})") from None
