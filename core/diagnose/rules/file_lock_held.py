"""A lock on a file that another process holds and does not seem to release."""

from __future__ import annotations

from collections.abc import Iterator

from ...model import Certainty, Remedy, Verdict, WaitKind
from ...observe.lockfiles import PolledLock
from ...observe.locks import FileLock
from ...observe.servers import Server
from ...secrets import redact
from .. import facts, places
from ..card import Card
from ..case import Case

CARD = Card(
    slug="file-lock-held",
    title="A lock on a file is held by a process that does nothing",
    certainty=Certainty.LIKELY,
    explanation=(
        "Only one process at a time may hold a lock on a file; all others wait in flock or fcntl, or, with the library"
        " filelock, try again twenty times a second. The Hugging Face cache takes such a lock for every file that it"
        " downloads. The kernel releases the lock when its owner closes the file or ends, so the owner still lives;"
        " but it neither runs nor waits for anything that is about to come. Often it is a run that was forgotten, or"
        " that hangs itself: look at the owner next."
    ),
    conditions=(
        "A thread waits for a lock in flock or fcntl, or polls in filelock without a timeout.",
        "/proc/locks, or the open descriptors, name the owner.",
        "Every thread of the owner and of its children sleeps, with no timer within half an hour.",
    ),
    fixes=(
        Remedy(title="Look at the owner", cost="nothing: looking only reads", command="cvdebug attach OWNER"),
        Remedy(
            title="End the owner",
            cost="its unfinished work is lost; the kernel releases the lock at once",
            command="kill OWNER",
        ),
        Remedy(
            title="Wait with a timeout",
            cost="the waiter has to do something else when it ends",
            command="filelock.FileLock(path, timeout=60)",
        ),
    ),
    disproof="The owner runs, or closes the file by itself.",
    links=(
        "https://github.com/huggingface/huggingface_hub/issues/2543",
        "https://github.com/huggingface/huggingface_hub/issues/2193",
    ),
)


def match(case: Case) -> Iterator[Verdict]:
    """Likely for each thread that waits for a lock whose owner is known and idle."""
    for lock in case.surroundings.file_locks:
        server = case.surroundings.servers.get(lock.owner)
        for tid in _waiters(case, lock):
            if server is not None and not server.busy:
                lines = (_of_kernel(case, tid, lock), *_of_owner(server))
                yield _verdict(case, tid, lock.owner, lines)
    for tid, polled in case.lock_files.items():
        idle = [server for server in polled.holders.values() if not server.busy]
        if tid in case.closure.threads and polled.timeout_s is None and idle and len(idle) == len(polled.holders):
            lines = (_of_library(case, polled), *(line for server in idle for line in _of_owner(server)))
            yield _verdict(case, tid, idle[0].pid, lines)


def _verdict(case: Case, tid: int, owner: int, lines: tuple[str, ...]) -> Verdict:
    circle = _circle(case, tid, owner)
    release = Remedy(
        title="Release the lock before waiting for whoever wants it: take it in one place only",
        cost="a change of the program",
    )
    end = Remedy(
        title=f"End the owner, PID {owner}",
        cost="its unfinished work is lost; the kernel releases the lock at once",
        command=f"kill {owner}",
    )
    return CARD.verdict(
        culprits=[case.culprit(tid)],
        evidence=(*lines, *circle, *facts.of_stack(case, tid)),
        first_aid=(release,) if circle else (end,),
    )


def _circle(case: Case, tid: int, owner: int) -> tuple[str, ...]:
    """Why the owner can hardly release the lock, where it is the waiter, or waits for it."""
    pid = case.owner(tid)
    if owner == pid and len(case.threads(pid)) == 1:
        return (f"{case.who(tid)}: holds the lock itself, through another open file, and has no other thread",)
    if owner != pid and any(places.leads_to(case, thread.tid, pid) for thread in case.threads(owner)):
        return (f"the owner, PID {owner}, waits for PID {pid} in turn",)
    return ()


def _waiters(case: Case, lock: FileLock) -> Iterator[int]:
    """The threads of the waiting process that wait for this owner."""
    for thread in case.threads(lock.waiter):
        wait = case.wait(thread.tid)
        if wait.kind is WaitKind.FILE_LOCK and lock.owner in wait.pids and not case.moved(thread.tid):
            yield thread.tid


def _of_kernel(case: Case, tid: int, lock: FileLock) -> str:
    path = f"{lock.path}, " if lock.path else ""
    return (
        f"{case.who(tid)}: waits for the {lock.kind} lock on {path}inode {lock.inode}, which PID {lock.owner} owns"
        " (/proc/locks; `->` is the waiter)"
    )


def _of_library(case: Case, polled: PolledLock) -> str:
    file = polled.file
    how = f"PID {file.owners[0]} owns it (/proc/locks)" if file.owners else f"PID {file.openers[0]} has it open"
    return f"{case.who(polled.tid)}: tries again and again to lock {file.path}, inode {file.inode}: {how}"


def _of_owner(server: Server) -> Iterator[str]:
    yield f"the owner, PID {server.pid}: {redact(server.title)[:120] or 'its command line is empty'}"
    yield from server.idle
