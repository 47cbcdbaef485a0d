"""Keeps standard output and error away from the screen while the app has it: libraries write there when they like."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator

MOST_LINES, MOST_BYTES = 20, 1 << 16


@contextlib.contextmanager
def apart() -> Iterator[None]:
    """Until the end of the block descriptors 1 and 2 lead into a file; then what came last is said on the real ones."""
    kept = [os.dup(fd) for fd in (1, 2)]
    with tempfile.TemporaryFile() as noise:
        _flush()
        for fd in (1, 2):
            os.dup2(noise.fileno(), fd)
        try:
            yield
        finally:
            _flush()
            for fd, before in zip((1, 2), kept, strict=True):
                os.dup2(before, fd)
                os.close(before)
            _repeat(os.pread(noise.fileno(), MOST_BYTES, max(0, os.fstat(noise.fileno()).st_size - MOST_BYTES)))


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()


def _repeat(noise: bytes) -> None:
    """Says what was written meanwhile, cleaned, its secrets hidden."""
    lines = [line for line in noise.decode("utf-8", "replace").splitlines() if line.strip()]
    if not lines:
        return
    from ..core.secrets import redact
    from .terminal import writable
    from .text import clean, shortened

    if writable(2):
        shown = [shortened(clean(redact(line)), 300) for line in lines[-MOST_LINES:]]
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write("".join(f"cvdebug: written while the screen was in use: {line}\n" for line in shown))
