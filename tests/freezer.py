"""A cgroup that can hold processes still, where this machine lets one be made."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from tests.programs import until


class Group(NamedTuple):
    """A cgroup's folder, the file that freezes it, and the words for on and off."""

    folder: Path
    file: str
    on: str
    off: str

    def freeze(self, wanted: bool) -> None:
        (self.folder / self.file).write_text(self.on if wanted else self.off)

    def add(self, pids: Iterable[int]) -> None:
        for pid in pids:
            with suppress(ProcessLookupError):
                (self.folder / "cgroup.procs").write_text(str(pid))

    def is_empty(self) -> bool:
        """Moves what is in it to the cgroup above; whether nothing was left."""
        found = (self.folder / "cgroup.procs").read_text().split()
        for pid in found:
            with suppress(OSError):
                (self.folder.parent / "cgroup.procs").write_text(pid)
        return not found


@contextmanager
def freezer(pids: Iterable[int]) -> Iterator[Callable[[bool], None] | None]:
    """Puts the processes into a new cgroup; yields what freezes (True) and thaws them, or None where that cannot be."""
    group = next(filter(_can_be_made, _candidates()), None)
    if group is None:
        yield None
        return
    try:
        group.add(pids)
        yield group.freeze
    finally:
        group.freeze(False)
        until(group.is_empty)
        group.folder.rmdir()


def _can_be_made(group: Group) -> bool:
    try:
        group.folder.mkdir()
    except OSError:
        return False
    return True


def _candidates() -> Iterator[Group]:
    """Of version 1 the freezer's hierarchy, and version 2."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ")[:3]
        folder = Path(before.split(" ")[4]) / f"cvdebug-soak-{os.getpid()}"
        if kind == "cgroup" and "freezer" in options.split(","):
            yield Group(folder, "freezer.state", "FROZEN", "THAWED")
        elif kind == "cgroup2":
            yield Group(folder, "cgroup.freeze", "1", "0")
