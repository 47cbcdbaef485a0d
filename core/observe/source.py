"""The source line of a Python frame of another process, as its file reads now. Only plain files are opened."""

from __future__ import annotations

import os
import stat
from itertools import islice

from ..model import Frame

_MAX_CHARACTERS = 160


def source_line(pid: int, frame: Frame) -> str:
    """The line without its indentation, cut at 160 characters; empty when there is no such line or file.

    The path is looked up as the process sees it: under its root, or its working folder.
    """
    base = f"/proc/{pid}/root" if frame.file.startswith("/") else f"/proc/{pid}/cwd/"
    try:
        # A name that a stranger chose may be a FIFO, and must not make the observer wait.
        descriptor = os.open(base + frame.file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError):
        return ""
    if frame.line < 1 or not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return ""
    with open(descriptor, encoding="utf-8", errors="replace") as file:
        return next(islice(file, frame.line - 1, frame.line), "").strip()[:_MAX_CHARACTERS]
