"""Lines of source files, for stacks: read in a thread of their own, so that a dead network drive cannot stop the app.

Only regular files are opened, none above a size, and never more than one line of them is kept. What cannot be read
is simply not there: a recording may come from another machine.
"""

from __future__ import annotations

import os
import stat
import threading
from collections import OrderedDict
from collections.abc import Iterator
from typing import NamedTuple

MOST_BYTES = 1_000_000
MOST_CHARACTERS = 200
_KEPT_LINES = 2000
_KEPT_FILES = 4


class Place(NamedTuple):
    """A line of a file as a process sees it; `line` counts from 1."""

    pid: int
    path: str
    line: int


class _File(NamedTuple):
    mtime_ns: int
    lines: tuple[str, ...]


class Sources:
    """`line` answers at once with what is known; `generation` grows when more is."""

    def __init__(self) -> None:
        self.generation = 0
        self._known: OrderedDict[Place, tuple[float, str]] = OrderedDict()
        self._wanted: OrderedDict[Place, float] = OrderedDict()
        self._files: OrderedDict[str, _File] = OrderedDict()
        self._lock = threading.Lock()
        self._reading = False

    def line(self, place: Place, as_of: float) -> str:
        """The line without its indentation, or "" while it is not known; what was read before `as_of` (seconds, any
        clock that only grows) is looked up again."""
        if place.line < 1 or not place.path.startswith("/"):
            return ""
        with self._lock:
            read_at, text = self._known.get(place, (-1.0, ""))
            if read_at < as_of and place not in self._wanted:
                self._wanted[place] = as_of
                if not self._reading:
                    self._reading = True
                    threading.Thread(target=self._read, daemon=True, name="sources").start()
        return text

    def _read(self) -> None:
        """Reads what is wanted, and ends."""
        changed = False
        while True:
            with self._lock:
                if not self._wanted:
                    self._reading = False
                    self.generation += changed
                    return
                place, as_of = next(iter(self._wanted.items()))
            text = self._text(place)
            with self._lock:
                changed = changed or self._known.get(place, (0.0, ""))[1] != text
                self._known[place] = as_of, text
                del self._wanted[place]
                while len(self._known) > _KEPT_LINES:
                    self._known.popitem(last=False)

    def _text(self, place: Place) -> str:
        try:
            lines = self._lines(_as_seen_by(place.pid) + place.path)
        except (OSError, ValueError):
            return ""
        return lines[place.line - 1].strip()[:MOST_CHARACTERS] if place.line <= len(lines) else ""

    def _lines(self, path: str) -> tuple[str, ...]:
        # A name that a stranger chose may be a FIFO, which must not make us wait.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with open(descriptor, "rb") as file:
            about = os.fstat(descriptor)
            if not stat.S_ISREG(about.st_mode) or about.st_size > MOST_BYTES:
                return ()
            kept = self._files.get(path)
            if kept is None or kept.mtime_ns != about.st_mtime_ns:
                kept = _File(about.st_mtime_ns, tuple(_split(file.read(MOST_BYTES))))
                self._files[path] = kept
            self._files.move_to_end(path)
            while len(self._files) > _KEPT_FILES:
                self._files.popitem(last=False)
            return kept.lines


def _as_seen_by(pid: int) -> str:
    """The root folder of a process: that of a container is another. Without the process, ours."""
    root = f"/proc/{pid}/root"
    return root if os.path.lexists(root) else ""


def _split(content: bytes) -> Iterator[str]:
    """The lines as Python counts them."""
    return (line.decode("utf-8", "replace") for line in content.splitlines())
