"""A thread that the kernel holds in an uninterruptible wait for a disk, a network share or a frozen file system."""

from __future__ import annotations

from collections.abc import Iterator

from ...model import Certainty, Remedy, ThreadSnapshot, Verdict, WaitKind
from ...observe.calls import NAMES
from .. import facts
from ..card import Card
from ..case import Case

CARD = Card(
    slug="uninterruptible-io",
    title="A thread waits in the kernel for a file system or device that does not answer",
    certainty=Certainty.LIKELY,
    explanation=(
        "State D is a wait that no signal ends, kill -9 included: the kernel has begun something with a file and must"
        " finish it. On a healthy disk that takes milliseconds. A network share whose server is gone, a disk that"
        " fails, or a file system that somebody froze with fsfreeze for a snapshot keeps the thread there for as long"
        " as it lasts. The program itself has done nothing wrong."
    ),
    conditions=(
        "A thread is in state D in both looks and did not run between them.",
        "It has not run for two seconds where the kernel waits for a frozen file system, else for half a minute.",
        "It is not in vfork, which waits in the same state for a child.",
    ),
    fixes=(
        Remedy(
            title="Thaw the file system, if somebody froze it",
            cost="a snapshot that is being made may be inconsistent",
            command="fsfreeze --unfreeze MOUNTPOINT",
        ),
        Remedy(
            title="Bring the share or disk back, or unmount it by force",
            cost="unwritten data is lost with a forced unmount",
            command="umount -f -l MOUNTPOINT",
        ),
        Remedy(title="See what the kernel says", cost="takes root", command="dmesg | tail; cat /proc/PID/stack"),
    ),
    disproof="State S or R in /proc/PID/status, or a context switch of the thread.",
)

_UNINTERRUPTIBLE = "D"
# Where a writer to a frozen file system waits: sb_start_write is a per-processor semaphore.
_FROZEN_WAITS = ("percpu_rwsem_wait", "sb_start_write", "__sb_start_write", "sb_wait_write", "vfs_check_frozen")
_FROZEN_S = 2.0
# A quarter of the time after which the kernel itself speaks of a hung task.
_SLOW_S = 30.0


def match(case: Case) -> Iterator[Verdict]:
    """Likely for each thread that has been in such a wait for too long."""
    for process in case.second.processes:
        for thread in process.threads:
            if not process.frozen and _is_stuck(case, thread):
                yield CARD.verdict(culprits=[case.culprit(thread.tid)], evidence=_evidence(case, thread))


def _is_stuck(case: Case, thread: ThreadSnapshot) -> bool:
    held = case.surroundings.held.get(thread.tid)
    if thread.state != _UNINTERRUPTIBLE or case.wait(thread.tid).kind is not WaitKind.DISK or case.moved(thread.tid):
        return False
    least_s = _FROZEN_S if thread.wchan.startswith(_FROZEN_WAITS) else _SLOW_S
    return held is not None and held.for_s is not None and held.for_s >= least_s


def _evidence(case: Case, thread: ThreadSnapshot) -> Iterator[str]:
    name, held = case.who(thread.tid), case.surroundings.held[thread.tid]
    yield f"{name}: state D (uninterruptible) in both looks, in {thread.wchan or 'the kernel'} (/proc/PID/wchan)"
    yield f"{name}: it ran last {held.for_s or 0:.1f} s ago (se.exec_start in /proc/PID/sched)"
    if thread.syscall:
        call = NAMES.get(thread.syscall[0], str(thread.syscall[0]))
        yield f"{name}: in system call {call}, descriptor or first argument {thread.syscall[1]:#x} (/proc/PID/syscall)"
    yield from facts.of_stillness(case, thread.tid)
    yield from facts.of_stack(case, thread.tid)
