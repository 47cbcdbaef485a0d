"""What lies at an address of another process: the mapping, the bytes. Reads only, and stops nothing.

Formats: proc(5) for /proc/PID/maps and /proc/PID/mem.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from .fds import folder_of


class Region(NamedTuple):
    """A mapping. `shared` is MAP_SHARED. `token` is its device and inode as maps writes them, with spaces around."""

    shared: bool
    token: bytes
    path: str

    @property
    def is_deleted(self) -> bool:
        """Whether its file has no name any more, so that nobody new can open it. System V keys stay open to all."""
        return self.path.endswith(" (deleted)") and not self.path.startswith("/SYSV")


def maps(pid: int) -> bytes | None:
    """/proc/PID/maps as it is: b"" when the process is gone, None when it may not be read."""
    try:
        with open(f"/proc/{folder_of(pid)}/maps", "rb") as file:
            return file.read()
    except PermissionError:
        return None
    except OSError:
        return b""


def region(text: bytes, address: int) -> Region | None:
    """The mapping that holds an address; None when there is none."""
    for line in text.splitlines():
        fields = line.split(None, 5)
        if len(fields) < 5:
            continue
        low, _, high = fields[0].partition(b"-")
        try:
            inside = int(low, 16) <= address < int(high, 16)
        except ValueError:
            continue
        if inside:
            path = fields[5].decode("utf-8", "replace") if len(fields) > 5 else ""
            return Region(fields[1][3:4] == b"s", b" %s %s " % (fields[3], fields[4]), path)
    return None


def read_bytes(pid: int, address: int, size: int) -> bytes:
    """Bytes at an address; empty when they cannot be read whole."""
    try:
        memory = os.open(f"/proc/{pid}/mem", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        data = os.pread(memory, size, address)
    except (OSError, OverflowError):
        return b""
    finally:
        os.close(memory)
    return data if len(data) == size else b""
