"""Room: /dev/shm, and the disk where runs, the embedded server and temporary files live. It really writes a little."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from ..database.layout import default_home
from ..files import reason
from ..folders import HOME_VARIABLE, runs_folder
from .check import Answer, Machine, failed, note, ok, warning, worst_of

_MB = 1024 * 1024
# Docker's own 64 MB is too little for a parallel index build that uses it, and for torch's workers.
SHM_ROOMY_BYTES = 128 * _MB
SHM_LEAST_BYTES = _MB  # a semaphore takes 32 bytes; below this something has filled it up
# A new embedded server takes 45 MB, its log of writes up to 2 GB; a run of 400 CVs some 10 MB.
DISK_LEAST_BYTES, DISK_ROOMY_BYTES = 200 * _MB, 2000 * _MB
_SHM_HINT = "Make it larger: docker run --shm-size=1g, or mount -o remount,size=1g /dev/shm."
_PROBE = b"\0" * 4096


def shared_memory(machine: Machine) -> Answer:
    """/dev/shm: there, writable, roomy."""
    if sys.platform != "linux":
        return note(f"{sys.platform} has no /dev/shm")
    folder = machine.root / "dev/shm"
    if trouble := _cannot_write(folder):
        return failed(f"/dev/shm cannot be written to: {trouble}", _SHM_HINT)
    free, total = room(folder)
    found = f"{_size(free)} of {_size(total)} free"
    if free < SHM_LEAST_BYTES:
        return failed(f"{found}: it is full", "See who fills it: ls -l /dev/shm.")
    if free < SHM_ROOMY_BYTES:
        return warning(found, _SHM_HINT)
    return ok(found)


def disk(machine: Machine) -> Answer:
    """The places that cvdebug writes to; none of them is made by this."""
    home = f"Set {HOME_VARIABLE} to a folder with room that you may write to."
    answers = [_place("runs", runs_folder(), home)]
    if machine.settings.dsn is None:
        answers.append(_place("PostgreSQL", default_home(), home))
    answers.append(_place("temporary files", _temporary(), "Set TMPDIR to a folder with room that you may write to."))
    return worst_of(answers)


def room(folder: Path) -> tuple[int, int]:
    """Free and total bytes of a folder's file system; 0 free when it has no room for one more file."""
    found = os.statvfs(folder)
    has_names = found.f_favail or not found.f_files  # btrfs and others do not count files
    return (found.f_bavail if has_names else 0) * found.f_frsize, found.f_blocks * found.f_frsize


def _place(name: str, folder: Path, hint: str) -> Answer:
    there = _nearest(folder)
    if trouble := _cannot_write(there):
        return failed(f"{name}: {there} cannot be written to: {trouble}", hint)
    free, _ = room(there)
    found = f"{_size(free)} free for {name}"
    if free < DISK_LEAST_BYTES:
        return failed(f"{found} in {there}", hint)
    return warning(f"{found} in {there}", hint) if free < DISK_ROOMY_BYTES else ok(found)


def _nearest(folder: Path) -> Path:
    """The folder, or the nearest above it that is there."""
    return next(each for each in (folder, *folder.parents) if each.exists() or each == each.parent)


def _temporary() -> Path:
    """Where Python puts temporary files; where it finds no place at all, the one that was asked for."""
    try:
        return Path(tempfile.gettempdir())
    except OSError:
        return Path(os.environ.get("TMPDIR", "/tmp"))


def _cannot_write(folder: Path) -> str:
    """Why a file of 4 kB cannot be written there; empty when it can. It has no name, and so is never left."""
    try:
        with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
            file.write(_PROBE)
    except OSError as error:
        return reason(error)
    return ""


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
