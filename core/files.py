"""Reads files that a user names, and nothing but files: a pipe or device would block or never end."""

from __future__ import annotations

import os
import stat
import tomllib
from pathlib import Path
from typing import Any


class NotAFile(OSError):
    """Not a regular file, or a larger one than is read."""


class TooLarge(NotAFile):
    """A larger file than is read."""


def read_regular(path: Path, max_bytes: int) -> bytes:
    """A regular file's bytes. Looks before it opens, and again after: opening a device can have effects.

    Raises OSError; NotAFile, whose text is the reason, for a pipe, a device, or more than `max_bytes`.
    """
    _require_regular(path.stat(), max_bytes)
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        _require_regular(os.fstat(descriptor), max_bytes)
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise TooLarge(f"larger than {max_bytes >> 20} MB")
    return data


def toml(text: str) -> dict[str, Any]:
    """What a TOML file says. Raises tomllib.TOMLDecodeError, for one that is nested too deeply to be read as well."""
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise tomllib.TOMLDecodeError("it is nested too deeply") from None


def reason(error: OSError | ValueError) -> str:
    """Why a file cannot be read, without its name."""
    return getattr(error, "strerror", None) or str(error)


def _require_regular(status: os.stat_result, max_bytes: int) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise NotAFile("not a regular file")
    if status.st_size > max_bytes:
        raise TooLarge(f"larger than {max_bytes >> 20} MB")
