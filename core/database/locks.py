"""Advisory file locks (flock) that a kill -9 releases by itself.

Must never hold a lock across an exec by accident: every descriptor is close-on-exec unless it is handed on by name.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import DatabaseError

_POLL_S = 0.02


def open_lock(path: Path) -> int:
    """A descriptor of the lock file `path`, made when missing; a symbolic link in its place is refused (OSError)."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def try_exclusive(fd: int) -> bool:
    """Takes the lock for this descriptor alone; False when anybody else holds a share of it."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def share(path: Path) -> int:
    """A descriptor that holds a share of the lock for as long as it is open."""
    fd = open_lock(path)
    fcntl.flock(fd, fcntl.LOCK_SH)
    return fd


def unshare(fd: int) -> None:
    """Gives the share up at once, even where a forked child still has the descriptor."""
    fcntl.flock(fd, fcntl.LOCK_UN)
    os.close(fd)


def is_held(path: Path) -> bool:
    """Whether any process holds the lock, shared or exclusive."""
    fd = open_lock(path)
    try:
        return not try_exclusive(fd)
    finally:
        os.close(fd)


@contextmanager
def exclusive(path: Path, *, deadline_s: float, purpose: str) -> Iterator[None]:
    """Holds the lock alone; DatabaseError when it is not free within `deadline_s`."""
    fd = open_lock(path)
    try:
        end = time.monotonic() + deadline_s
        while not try_exclusive(fd):
            if time.monotonic() > end:
                raise DatabaseError(
                    f"Another cvdebug has held {path} for {deadline_s:.0f} s, so this one cannot {purpose}",
                    hint="End that process, or set CVDEBUG_HOME to another folder",
                )
            time.sleep(_POLL_S)
        yield
    finally:
        os.close(fd)
