"""What this process may have: open files, processes, memory. Of the limits that hold, the tightest counts."""

from __future__ import annotations

import os
import resource
from pathlib import Path

from . import cgroups
from .check import Answer, Machine, failed, ok, warning, worst_of

_MB = 1024 * 1024
# A run with two workers has about 40 files open, a look at a large tree some hundreds.
FILES_LEAST, FILES_ROOMY = 128, 1024
# Observer, guardian, subject, workers with their native threads, the server's processes.
TASKS_LEAST, TASKS_ROOMY = 48, 256
# The default run: observer 100 MB, subject 60, a worker 45, the server 300.
MEMORY_LEAST_BYTES, MEMORY_ROOMY_BYTES = 400 * _MB, 1500 * _MB
FILE_SIZE_BYTES = 1000 * _MB


def open_files(machine: Machine) -> Answer:
    """`ulimit -n`, and what of it is taken."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return ok("no limit (ulimit -n)")
    found = f"{soft:,} may be open (ulimit -n)"
    return _judged(
        soft, found, FILES_LEAST, FILES_ROOMY, f"Raise it: ulimit -n {min(4096, hard) if hard > 0 else 4096}"
    )


def processes(machine: Machine) -> Answer:
    """`ulimit -u`, from which root is exempt, and the cgroup's pids.max: what they leave."""
    answers = []
    soft, _ = resource.getrlimit(resource.RLIMIT_NPROC)
    if soft != resource.RLIM_INFINITY and os.geteuid():
        left = soft - _tasks(machine.root / "proc")
        found = f"{max(0, left):,} more of {soft:,} may be started (ulimit -u)"
        answers.append(_judged(left, found, TASKS_LEAST, TASKS_ROOMY, "Raise it: ulimit -u 4096"))
    if room := cgroups.pids(machine.root):
        found = f"{room.left:,} more of {room.most:,} in this cgroup"
        hint = "Raise it: docker run --pids-limit=-1, or TasksMax= of the systemd unit."
        answers.append(_judged(room.left, found, TASKS_LEAST, TASKS_ROOMY, hint))
    return worst_of(answers) if answers else ok("no limit that holds here")


def memory(machine: Machine) -> Answer:
    """What is available, what the cgroup leaves, `ulimit -v` and `ulimit -f`."""
    answers = []
    available = _available(machine.root / "proc/meminfo")
    if available is not None:
        found = f"{_gigabytes(available)} available"
        answers.append(_judged(available, found, MEMORY_LEAST_BYTES, MEMORY_ROOMY_BYTES, "End what you do not need."))
    if room := cgroups.memory(machine.root):
        found = f"{_gigabytes(room.left)} left of {_gigabytes(room.most)} in this cgroup"
        hint = "Raise it: docker run --memory=2g, or MemoryMax= of the systemd unit."
        answers.append(_judged(room.left, found, MEMORY_LEAST_BYTES, MEMORY_ROOMY_BYTES, hint))
    for kind, flag, least, roomy in (
        (resource.RLIMIT_AS, "-v", MEMORY_LEAST_BYTES, 2 * MEMORY_ROOMY_BYTES),
        (resource.RLIMIT_FSIZE, "-f", 100 * _MB, FILE_SIZE_BYTES),
    ):
        soft, _ = resource.getrlimit(kind)
        if soft != resource.RLIM_INFINITY:
            answers.append(
                _judged(
                    soft,
                    f"{_gigabytes(soft)} at most (ulimit {flag})",
                    least,
                    roomy,
                    f"Raise it: ulimit {flag} unlimited",
                )
            )
    return worst_of(answers) if answers else ok("no limit that is known here")


def _judged(left: int, found: str, least: int, roomy: int, hint: str) -> Answer:
    if left < least:
        return failed(found, hint)
    return warning(found, hint) if left < roomy else ok(found)


def _tasks(proc: Path) -> int:
    """The processes and threads of this user, which the limit counts."""
    found = 0
    for folder in proc.glob("[0-9]*"):
        try:
            if folder.stat().st_uid == os.geteuid():
                found += len(os.listdir(folder / "task"))
        except OSError:
            continue  # it is gone
    return found


def _available(meminfo: Path) -> int | None:
    """MemAvailable in bytes; None where it is not said."""
    try:
        lines = meminfo.read_text().splitlines()
    except OSError:
        return None
    fields = next((line.split() for line in lines if line.startswith("MemAvailable:")), [])
    return int(fields[1]) * 1024 if len(fields) > 1 else None


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
