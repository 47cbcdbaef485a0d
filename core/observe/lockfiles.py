"""Lock files that a library tries to get again and again, where no system call says whose turn it is.

The path is a local variable of the library's frames. Reads, takes no lock, and makes or removes no file.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterable

import msgspec

from ..errors import ObserveError
from ..model import Frame, Stack
from . import servers, stacks
from .kernel import read
from .locks import LOCKS, openers, parse_locks
from .servers import Server
from .stacks import Local

_MAX_RECORD_BYTES = 1024
# File systems whose files other machines may use at the same time.
_NETWORK = ("nfs", "cifs", "smb", "fuse", "ceph", "lustre", "gpfs", "beegfs", "9p", "afs", "virtiofs", "ocfs2", "gfs2")
# How long the holders of a lock are watched.
_WINDOW_S = 0.1
# Where filelock waits, in its versions up to 4, and the names that it gives to what is needed here.
_FILELOCK = ("/filelock/_api.py", "/filelock/__init__.py", "/filelock.py")
_PATH_NAMES = ("canonical_path", "lock_filename", "lock_file")
_SOFT = ("SoftFileLock", "AsyncSoftFileLock")
_WAITING = ("acquire", "_poll_until_acquired")
# huggingface_hub waits in turns of ten seconds, and begins anew until its own timeout.
_HUB = ("/huggingface_hub/utils/_fixes.py", "WeakFileLock", "lock_file")


class LockFile(msgspec.Struct, frozen=True, kw_only=True):
    """A lock file that a thread tries to get again and again, as the file system shows it.

    `owners` hold a lock of the kernel on it, `openers` have it open, both by PID. `recorded` is the PID that is written
    in it, 0 for none, and `recorded_host` the machine. `empty` says that nothing is. `age_s` is the time since it was
    written. `unseen` says in words who may hold it without being seen, or is empty.
    """

    path: str
    exists: bool
    inode: int = 0
    owners: tuple[int, ...] = ()
    openers: tuple[int, ...] = ()
    recorded: int = 0
    recorded_host: str = ""
    empty: bool = False
    age_s: float = 0.0
    unseen: str = ""


class PolledLock(msgspec.Struct, frozen=True, kw_only=True):
    """A lock file that a thread polls. `soft` says that the mere existence of the file is the lock, None when that is
    not known. `timeout_s` is when it gives up, None for never. `holders` are, by PID, its owners and openers."""

    tid: int
    file: LockFile
    soft: bool | None
    timeout_s: float | None
    holders: dict[int, Server] = {}


def polls(stack: Stack) -> bool:
    """Whether a thread waits for a lock in the library filelock."""
    return any(_waits_in_filelock(frame) for frame in stack.frames)


def polled(pid: int, tid: int) -> PolledLock | None:
    """The lock file that a thread in filelock waits for; None when it went on, or its path cannot be told."""
    try:
        return _polled(pid, tid, stacks.dump_locals(pid, tid))
    except ObserveError:
        return None


def _polled(pid: int, tid: int, frames: Iterable[tuple[Frame, tuple[Local, ...]]]) -> PolledLock | None:
    values: dict[str, str] = {}
    hub: dict[str, str] = {}
    for frame, found in frames:
        if _waits_in_filelock(frame):
            values |= {local.name: local.value for local in found}
        elif frame.file.endswith(_HUB[0]) and frame.function.endswith(_HUB[1]):
            hub = {local.name: local.value for local in found}
    path = next((text for name in _PATH_NAMES if (text := unquote(values.get(name, "")))), "")
    path = path or unquote(hub.get(_HUB[2], ""))
    if not path:
        return None
    kind = values.get("self", "").partition(" at ")[0].lstrip("<")
    file = lock_file(pid, path)
    return PolledLock(
        tid=tid,
        file=file,
        holders=_watch(tid, {*file.owners, *file.openers} - {pid}),
        soft=kind in _SOFT if kind else None,
        timeout_s=parse_timeout(hub.get("timeout", "None") if hub else values.get("timeout", "")),
    )


def _watch(tid: int, holders: set[int]) -> dict[int, Server]:
    if not holders:
        return {}
    watch = servers.Watch({tid: holders})
    time.sleep(_WINDOW_S)
    return watch.finish()


def unquote(text: str) -> str:
    """A path as py-spy writes it, in quotes of either kind; empty for anything else, and when it was cut short."""
    if len(text) < 3 or text[0] != text[-1] or text[0] not in "\"'" or "\\" in text:
        return ""
    return text[1:-1]


def parse_timeout(text: str) -> float | None:
    """A timeout as Python writes it; None for none. What cannot be read counts as one that is about to end."""
    if text == "None":
        return None
    try:
        value = float(text)
    except ValueError:
        return 0.0
    return None if value < 0 else value


def _waits_in_filelock(frame: Frame) -> bool:
    return frame.file.endswith(_FILELOCK) and frame.function.rpartition(".")[2] in _WAITING


def lock_file(pid: int, path: str) -> LockFile:
    """What there is of a lock file, by the path that process `pid` gives it."""
    base = f"/proc/{pid}/root" if path.startswith("/") else f"/proc/{pid}/cwd/"
    place = base + path
    try:
        before = os.stat(place)
    except (OSError, ValueError):
        return LockFile(path=path, exists=False)
    record = _record(place)
    holders, refused = openers(before)
    device = os.major(before.st_dev), os.minor(before.st_dev)
    rows = [row for row in parse_locks(read(LOCKS)) if (row.device, row.inode) == (device, before.st_ino)]
    try:
        after = os.stat(place)
    except (OSError, ValueError):
        return LockFile(path=path, exists=False)
    if (before.st_ino, before.st_mtime_ns) != (after.st_ino, after.st_mtime_ns) or record is None:
        return LockFile(path=path, exists=True, inode=after.st_ino, unseen="it changes")
    recorded, host = parse_record(record)
    return LockFile(
        path=path,
        exists=True,
        inode=before.st_ino,
        owners=tuple(dict.fromkeys(row.pid for row in rows if not row.waits)),
        openers=holders,
        recorded=recorded,
        recorded_host=host,
        empty=not record,
        age_s=max(0.0, time.time() - before.st_mtime),
        unseen="processes that may not be looked at may have it open" if refused else _shared_file_system(pid, device),
    )


def parse_record(record: bytes) -> tuple[int, str]:
    """The PID and the host that a lock file names in its first two lines; 0 and "" where it does not."""
    lines = record.decode("utf-8", "replace").splitlines()
    if not lines or not (lines[0].isascii() and lines[0].strip().isdigit()) or len(lines[0]) > 10:
        return 0, ""
    return int(lines[0]), lines[1].strip() if len(lines) > 1 else ""


def _record(place: str) -> bytes | None:
    """The beginning of a lock file; None when it is no plain file or cannot be read."""
    try:
        descriptor = os.open(place, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        plain = stat.S_ISREG(os.fstat(descriptor).st_mode)
        return os.read(descriptor, _MAX_RECORD_BYTES) if plain else None
    except OSError:
        return None
    finally:
        os.close(descriptor)


def _shared_file_system(pid: int, device: tuple[int, int]) -> str:
    """Who else may use the file system with this device: another machine, where it is one for several."""
    kind = file_system(_mounts(pid), device)
    shared = kind.startswith(_NETWORK)
    return f"it lies on a {kind} file system, which other machines may use" if shared else ""


def file_system(mountinfo: str, device: tuple[int, int]) -> str:
    """The type of the file system with this device, out of a mountinfo file; "" when it has none such."""
    wanted = f"{device[0]}:{device[1]}"
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        if before.split(" ")[2:3] == [wanted]:
            return after.split(" ")[0]
    return ""


def _mounts(pid: int) -> str:
    # Longer than one read gives: the kernel hands it out in pieces.
    try:
        with open(f"/proc/{pid}/mountinfo", encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
