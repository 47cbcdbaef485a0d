"""What the cgroups of this process leave of memory and processes, by versions 2 and 1.

Formats: cgroups(7), Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/ of the kernel.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from ..observe.cgroup import Mount, folders

_NO_LIMIT = 1 << 60  # version 1 says no limit by a number near 2^63


class Room(NamedTuple):
    """What a limit leaves, and the limit: bytes, or processes and threads."""

    left: int
    most: int


class _Files(NamedTuple):
    """Of one version: the file of the limit, of what is used, and in memory.stat what could be given back."""

    limit: str
    used: str
    given_back: str = ""


_MEMORY = {
    1: _Files("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    2: _Files("memory.max", "memory.current", "inactive_file"),
}
_PIDS = {version: _Files("pids.max", "pids.current") for version in (1, 2)}


def memory(root: Path) -> Room | None:
    """The tightest memory limit at or above this process's cgroup; None when there is none. `root`: before /proc."""
    return _tightest(root, "memory", _MEMORY)


def pids(root: Path) -> Room | None:
    """The same for processes and threads."""
    return _tightest(root, "pids", _PIDS)


def _tightest(root: Path, controller: str, files: dict[int, _Files]) -> Room | None:
    found = [
        room
        for mount, group in _places(root, controller)
        for folder in folders(mount, group)
        if (room := _room(root / str(folder).lstrip("/"), files[mount.version])) is not None
    ]
    return min(found, default=None)


def _places(root: Path, controller: str) -> list[tuple[Mount, str]]:
    """Where the controller's hierarchy is mounted, and this process's group in it."""
    groups = _groups(_text(root / "proc/self/cgroup"), controller)
    found = []
    for line in _text(root / "proc/self/mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        fields, kind = before.split(" "), after.split(" ")
        if len(fields) < 5 or len(kind) < 3:
            continue
        version = 2 if kind[0] == "cgroup2" else 1 if kind[0] == "cgroup" and controller in kind[2].split(",") else 0
        if version in groups:
            found.append((Mount(version, fields[3], fields[4]), groups[version]))
    return found


def _groups(text: str, controller: str) -> dict[int, str]:
    """/proc/self/cgroup by version."""
    found = {}
    for line in text.splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            found[2] = path
        elif controller in controllers.split(","):
            found[1] = path
    return found


def _room(folder: Path, files: _Files) -> Room | None:
    most, used = _number(_text(folder / files.limit)), _number(_text(folder / files.used))
    if most is None or used is None or most >= _NO_LIMIT:
        return None
    return Room(max(0, most - used + _given_back(folder, files.given_back)), most)


def _given_back(folder: Path, key: str) -> int:
    """Cached files, which the kernel gives up when memory is wanted."""
    for line in _text(folder / "memory.stat").splitlines() if key else ():
        name, _, value = line.partition(" ")
        if name == key:
            return _number(value) or 0
    return 0


def _number(text: str) -> int | None:
    """None for `max`, and for what cannot be read."""
    text = text.strip()
    return int(text) if text.isdecimal() else None


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
