"""Reads the small files of /proc and of cgroups, which appear and vanish at any time. Never raises, never writes."""

from __future__ import annotations

import os

_READ_BYTES = 65536


def read(path: str) -> bytes:
    """What one read gives, up to 64 KiB: all of a file about one process or cgroup. Empty when gone or refused."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(descriptor, _READ_BYTES)
    except OSError:
        return b""
    finally:
        os.close(descriptor)
