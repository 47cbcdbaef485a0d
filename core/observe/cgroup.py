"""Whether a cgroup holds a process still: the freezer of versions 2 and 1.

A frozen process looks blocked for ever and is not, so it must never count as proven. Reads only.
Formats: cgroups(7), Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/freezer-subsystem.rst of the kernel.
"""

from __future__ import annotations

from functools import cache, lru_cache
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from .kernel import read

# By version: the files of a cgroup, and the lines that say that it is frozen or being frozen. `frozen 1` comes only
# when the last process has stopped, so the wish counts as well.
_SIGNS: dict[int, dict[str, frozenset[bytes]]] = {
    1: {"freezer.state": frozenset({b"FROZEN", b"FREEZING"})},
    2: {"cgroup.events": frozenset({b"frozen 1"}), "cgroup.freeze": frozenset({b"1"})},
}


class Mount(NamedTuple):
    """A mounted cgroup hierarchy: `root` is the cgroup that is seen at `point`."""

    version: int
    root: str
    point: str


def parse_mounts(mountinfo: str) -> tuple[Mount, ...]:
    """The mounts of version 2 and of version 1's freezer, out of /proc/self/mountinfo."""
    mounts = []
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        fields, kind = before.split(" "), after.split(" ")
        if len(fields) < 5 or len(kind) < 3:
            continue
        if kind[0] == "cgroup2" or (kind[0] == "cgroup" and "freezer" in kind[2].split(",")):
            mounts.append(Mount(2 if kind[0] == "cgroup2" else 1, _unescape(fields[3]), _unescape(fields[4])))
    return tuple(mounts)


def parse_membership(cgroup: str) -> dict[int, str]:
    """/proc/PID/cgroup: the process's cgroup by version, of version 1 the freezer's only."""
    groups = {}
    for line in cgroup.splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers and path:
            groups[2] = path
        elif "freezer" in controllers.split(",") and path:
            groups[1] = path
    return groups


def folders(mount: Mount, group: str) -> list[Path]:
    """The folders of a cgroup and of those above it, as far up as this mount shows; empty when it shows none."""
    below = PurePosixPath(group)
    if ".." in below.parts or not below.is_relative_to(mount.root):
        return []
    inside = Path(mount.point) / below.relative_to(mount.root)
    return [inside, *(above for above in inside.parents if above.is_relative_to(mount.point))]


def frozen(membership: bytes) -> bool:
    """Whether a cgroup at or above the one of this /proc/PID/cgroup is frozen, or being frozen."""
    return any(not signs.isdisjoint(read(path).splitlines()) for path, signs in _files(membership))


@lru_cache(maxsize=256)
def _files(membership: bytes) -> tuple[tuple[str, frozenset[bytes]], ...]:
    """The files that tell, and the lines that say yes."""
    groups = parse_membership(membership.decode("utf-8", "replace"))
    return tuple(
        (str(folder / name), signs)
        for mount in _mounts()
        if mount.version in groups
        for folder in folders(mount, groups[mount.version])
        for name, signs in _SIGNS[mount.version].items()
    )


@cache
def _mounts() -> tuple[Mount, ...]:
    # Longer than one read gives: the kernel hands it out in pieces.
    try:
        return parse_mounts(Path("/proc/self/mountinfo").read_text("utf-8", "replace"))
    except OSError:
        return ()


def _unescape(field: str) -> str:
    """mountinfo writes space, tab, newline and backslash as three octal digits."""
    for code, character in ((r"\040", " "), (r"\011", "\t"), (r"\012", "\n"), (r"\134", "\\")):
        field = field.replace(code, character)
    return field
