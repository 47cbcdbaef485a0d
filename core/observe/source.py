"""The source line of a Python frame of another process, as its file reads now. Only plain files are opened."""

from __future__ import annotations

import io
import os
import stat
from itertools import islice, pairwise
from typing import TextIO

from ..model import Frame
from .kernel import read
from .proc import parse_cmdline

_MAX_CHARACTERS = 160
_MAX_TEXT = 500_000


def source_line(pid: int, frame: Frame) -> str:
    """The line without its indentation, cut at 160 characters; empty when there is no such line or file.

    The path is looked up as the process sees it: under its root, or its working folder.
    """
    file = _opened(pid, frame.file) if frame.line > 0 else None
    if file is None:
        return ""
    with file:
        return next(islice(file, frame.line - 1, frame.line), "").strip()[:_MAX_CHARACTERS]


def source_text(pid: int, path: str) -> str:
    """The whole source, looked up in the same way; empty when there is none, or more than 500,000 characters."""
    file = _opened(pid, path)
    if file is None:
        return ""
    with file:
        text = file.read(_MAX_TEXT + 1)
        return text if len(text) <= _MAX_TEXT else ""


def _opened(pid: int, path: str) -> TextIO | None:
    if path == "<string>":
        return io.StringIO(_argument(pid))
    base = f"/proc/{pid}/root" if path.startswith("/") else f"/proc/{pid}/cwd/"
    try:
        # A name that a stranger chose may be a FIFO, and must not make the observer wait.
        descriptor = os.open(base + path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    return open(descriptor, encoding="utf-8", errors="replace")


def _argument(pid: int) -> str:
    """The program of `python -c PROGRAM`."""
    arguments = parse_cmdline(read(f"/proc/{pid}/cmdline"))
    return next((text for flag, text in pairwise(arguments) if flag == "-c"), "")
