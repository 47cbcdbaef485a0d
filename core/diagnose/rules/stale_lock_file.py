"""A lock file that was left behind by a process that is gone."""

from __future__ import annotations

from collections.abc import Iterator

from ...model import Certainty, Remedy, Verdict
from ...observe.lockfiles import LockFile, PolledLock
from .. import facts
from ..card import Card
from ..case import Case

CARD = Card(
    slug="stale-lock-file",
    title="A lock file was left behind, and nobody holds it",
    certainty=Certainty.CERTAIN,
    explanation=(
        "Where a file system cannot lock, the mere existence of a file is the lock (filelock's SoftFileLock): whoever"
        " creates it owns the lock, and deletes it afterwards. When the owner is killed it deletes nothing, and all"
        " others wait for ever. The kernel does not help, because it knows nothing of such a lock. An owner that lives"
        " keeps the file open; nobody has this one open, so there is no owner."
    ),
    conditions=(
        "A thread polls in filelock for a lock that is the existence of a file, without a timeout.",
        "The file is there, and the same before and after all open descriptors of the machine were looked at.",
        "No process has it open, and /proc/locks names no lock on it. Where other machines may use the file, or some"
        " process could not be looked at, it is only likely.",
    ),
    fixes=(
        Remedy(
            title="Delete the lock file",
            cost="none, when really nobody works under the lock, on another machine either",
            command="rm PATH",
        ),
        Remedy(
            title="Use a lock of the kernel, which ends with its owner",
            cost="the file system must support flock",
            command="filelock.FileLock(path)",
        ),
    ),
    disproof="A process that works under the lock without having the file open, or on another machine.",
    links=(
        "https://github.com/huggingface/huggingface_hub/issues/2399",
        "https://github.com/huggingface/huggingface_hub/pull/3944",
        "https://github.com/noonghunna/club-3090/issues/726",
    ),
)

# A new owner needs a moment from making the file to writing its own number into it.
_SETTLED_S = 1.0


def match(case: Case) -> Iterator[Verdict]:
    """Certain where the file is known and nobody can hold it; likely where somebody unseen may."""
    for tid, polled in case.lock_files.items():
        if tid in case.closure.threads and _is_stale(polled):
            certain = not polled.file.unseen and not polled.file.recorded_host
            yield CARD.verdict(
                culprits=[case.culprit(tid)],
                certainty=Certainty.CERTAIN if certain else Certainty.LIKELY,
                evidence=(*_evidence(case, tid, polled.file), *facts.of_stack(case, tid)),
                first_aid=(
                    Remedy(
                        title="Delete the lock file",
                        cost="none, when really nobody works under the lock, on another machine either",
                        command=f"rm {polled.file.path!r}",
                    ),
                ),
            )


def _is_stale(polled: PolledLock) -> bool:
    file = polled.file
    free = file.exists and not file.owners and not file.openers and file.age_s >= _SETTLED_S
    return free and polled.soft is True and polled.timeout_s is None and file.unseen != "it changes"


def _evidence(case: Case, tid: int, file: LockFile) -> Iterator[str]:
    name = case.who(tid)
    yield f"{name}: polls for the lock file {file.path}, inode {file.inode}, {file.age_s:.0f} s old"
    yield f"no process has inode {file.inode} open (/proc/*/fd), and /proc/locks names no lock on it"
    if file.recorded:
        yield f"the file names PID {file.recorded} on host {file.recorded_host or 'unknown'} as its owner"
    if file.empty:
        yield "the file is empty: it names no owner"
    if file.unseen:
        yield f"not seen: {file.unseen}"
