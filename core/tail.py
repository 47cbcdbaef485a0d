"""Follows a file that other processes append to, line by line: what the subject prints.

A file, not a pipe: an observer that stops reading never blocks the one who prints.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

LINE_BYTES = 4000  # longer lines come in pieces
READ_BYTES = 256 * 1024  # at one look; a flood is read over several


class Tail:
    """New lines of `path` since it was opened, which need not exist before."""

    def __init__(self, path: Path) -> None:
        path.touch()
        self._file = path.open("rb", buffering=0)
        self._file.seek(0, 2)
        self._partial = b""

    def lines(self, *, last: bool = False) -> list[str]:
        """Whole lines that came since the last call; with `last` also one that has no end yet. Undecodable bytes are
        replaced."""
        data = self._partial + self._file.read(READ_BYTES)
        *whole, self._partial = data.split(b"\n")
        if last or len(self._partial) > LINE_BYTES:
            whole.append(self._partial)
            self._partial = b""
        pieces = [line[i : i + LINE_BYTES] for line in whole for i in range(0, len(line), LINE_BYTES)]
        return [piece.decode(errors="replace").rstrip("\r") for piece in pieces]

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Tail:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
