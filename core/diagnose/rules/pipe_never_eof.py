"""A reader waits for the end of a pipe that somebody who writes nothing keeps open."""

from __future__ import annotations

from collections.abc import Iterator

from ...model import Certainty, DescriptorKind, Remedy, Verdict, Wait, WaitKind
from ...observe.calls import NAMES
from ...observe.surroundings import numbers
from .. import facts, places
from ..card import Card
from ..case import Case
from ..closure import INTERPRETERS
from ..listing import Idleness

CARD = Card(
    slug="pipe-never-eof",
    title="A reader waits for the end of a pipe that stays open",
    certainty=Certainty.PROVEN,
    explanation=(
        "Whoever reads a pipe gets to its end when the last write end is closed, in every process that has one. A fork"
        " copies both ends, and so the reader itself, a process that waits for the reader, or a helper that has"
        " nothing to do with it may keep a write end that nobody thinks of. The writers are done, but the end never"
        " comes. Python closes descriptors in programs that it starts (PEP 446), but not in what it only forks."
    ),
    conditions=(
        "A thread waits without a timeout for data on a pipe, in two looks, and not for an item of a queue.",
        "The write end is held only by its own process, or by dead processes that wait for the reader's end.",
        "Where another process holds it that lives, and only sleeps, it is likely if that one is a leftover: a started"
        " program whose parent is gone, or one that is no interpreter and has inherited the pipe with a number above 2"
        " that is in neither its arguments nor its environment, so that it cannot know of it, and no timer ends its"
        " sleep within a minute; or if it stands in an endless loop that only sleeps, and prints nothing. Who is above"
        " the reader, and may have made the pipe for it, is none.",
    ),
    fixes=(
        Remedy(
            title="Close the write end in every process that does not write",
            cost="each fork needs it, on both sides",
            command="os.close(write_end)",
        ),
        Remedy(
            title="Do not let started programs inherit it",
            cost="what is meant to be inherited has to be named in pass_fds",
            command="os.set_inheritable(write_end, False); subprocess.Popen(..., close_fds=True)",
        ),
        Remedy(
            title="Start helpers that stay with an output of their own",
            cost="their output goes elsewhere",
            command="helper >/dev/null 2>&1 &",
        ),
    ),
    disproof=(
        "Another living process with the write end of this pipe among its open files (ls -l /proc/*/fd) that still"
        " writes to it, or a context switch of the reader, would disprove it."
    ),
    links=("https://peps.python.org/pep-0446/", "https://docs.python.org/3/library/os.html#os.pipe"),
    yields_to=("pipe-full-cycle", "queue-join-before-drain", "pool-task-lost", "semaphore-owner-dead"),
)

# A pool reads its results all the time, and waits for its workers, not for an end.
_POOLS = (("/pool.py", "_handle_results"), ("futures/process.py", "run"), ("futures/process.py", "_process_worker"))
_SLEEPS = frozenset({"nanosleep", "clock_nanosleep", "pause"})
_STANDARD_FDS = 2
# Whoever is back this soon may close the pipe then.
_LONG_S = 60.0
_LOOP = Idleness(endless=True, talks=False)


def match(case: Case) -> Iterator[Verdict]:
    """Proven for dead readers that keep the pipe open themselves, likely where a leftover does."""
    for tid, wait in case.first.waits.items():
        if not _reads(case, tid) or tid not in case.closure.threads or _takes_items(case, tid):
            continue
        others = [pid for pid in wait.pids if pid != case.owner(tid)]
        if case.is_dead(tid):
            if wait.kind is WaitKind.PIPE_READ and all(_waits_for_end(case, other, tid) for other in others):
                yield _verdict(case, tid, others, Certainty.PROVEN)
        elif others and not wait.timed and not wait.external and not case.moved(tid):
            above = _above(case, case.owner(tid))
            if all(pid not in above and _is_leftover(case, pid, tid) for pid in others):
                yield _verdict(case, tid, others, Certainty.LIKELY)


def _verdict(case: Case, tid: int, others: list[int], certainty: Certainty) -> Verdict:
    inodes = case.wait(tid).inodes
    pipe = f"{'pipes' if inodes[1:] else 'pipe'} {' and '.join(map(str, inodes))}, held open by"
    lines = [*places.described(case, [tid]), *(f"{pipe} PID {pid} ({_command(case, pid)})" for pid in others)]
    if not others:
        lines.append(f"{pipe} its reader, PID {case.owner(tid)}, and nobody else")
    inside = [pid for pid in others if pid in case.processes and certainty is Certainty.PROVEN]
    lines += [line for pid in inside for line in facts.of_wait(case, pid)]
    culprits = [case.culprit(tid), *(case.culprit(pid) for pid in inside)]
    return CARD.verdict(culprits=culprits, evidence=lines, certainty=certainty)


def _reads(case: Case, tid: int) -> bool:
    """Whether a thread waits for data on a pipe, or on both outputs of a program that it has started."""
    kind = case.wait(tid).kind
    both = kind is WaitKind.POLL and case.inside(tid, "/subprocess.py", "_communicate")
    return both or kind is WaitKind.PIPE_READ


def _command(case: Case, pid: int) -> str:
    process = case.processes.get(pid)
    return " ".join(process.cmdline) if process else case.first.titles.get(pid, "")


def _takes_items(case: Case, tid: int) -> bool:
    """A queue's reader keeps the write end as well, and waits for an item."""
    frames = [*_POOLS, *((file, "get") for file in places.QUEUES)]
    return any(case.inside(tid, file, name) for file, name in frames)


def _waits_for_end(case: Case, holder: int, reader: int) -> bool:
    """Whether a holder waits for the end of the reader, who reads to the end, and not for a message."""
    if any(case.inside(reader, file, "recv", "recv_bytes") for file in places.CONNECTIONS):
        return False
    waiting = (tid for tid in places.dead_threads(case, holder) if case.wait(tid).kind is WaitKind.CHILD)
    return any(places.leads_to(case, tid, case.owner(reader)) for tid in waiting)


def _above(case: Case, pid: int) -> set[int]:
    """Those above a process. One of them has made the pipe for it, and may still write."""
    found: set[int] = set()
    process = case.processes.get(pid)
    while process is not None and process.ppid not in found:
        found.add(process.ppid)
        process = case.processes.get(process.ppid)
    return found


def _is_leftover(case: Case, pid: int, reader: int) -> bool:
    if pid not in case.processes:
        return _is_orphan_outside(case, pid) and not _reads_input(case, reader)
    tids = [thread.tid for thread in case.threads(pid)]
    if all(tid in case.idle and case.idle[tid] == _LOOP for tid in tids):
        return True
    if not all(_sleeps_long(case, tid) for tid in tids) or case.processes[pid].forked:
        return False  # a fork knows the pipe, and may write to it
    is_orphan = pid != case.root and case.parent(pid) is None
    return (is_orphan and not _reads_input(case, reader)) or _is_leaked(case, pid, case.wait(reader))


def _sleeps_long(case: Case, tid: int) -> bool:
    wait = case.wait(tid)
    long = wait.rest_s is None or wait.rest_s >= _LONG_S
    return wait.kind in (WaitKind.SLEEP, WaitKind.SIGNAL) and long and not case.moved(tid)


def _is_orphan_outside(case: Case, pid: int) -> bool:
    """Whether a program outside of the tree sleeps, and its parent is lost: process 1 takes over orphans."""
    stranger = case.surroundings.strangers.get(pid)
    first, second = (stranger.first, stranger.second) if stranger else (None, None)
    if first is None or second is None or first.threads != second.threads:
        return False
    calls = [thread.syscall for thread in second.threads]
    sleeps = all(call is not None and NAMES.get(call[0]) in _SLEEPS for call in calls)
    return sleeps and second.ppid == 1 and not second.forked


def _reads_input(case: Case, tid: int) -> bool:
    """Whether a thread reads its process's standard input, which somebody else has given to it."""
    thread = case.thread(tid)
    return thread is not None and thread.syscall is not None and thread.syscall[1] == 0


def _is_leaked(case: Case, pid: int, wait: Wait) -> bool:
    """Whether a program was started with the pipe as a number that it cannot know."""
    items = case.first.descriptors.get(pid, ())
    fds = [item.fd for item in items if item.kind is DescriptorKind.PIPE and item.inode in wait.inodes]
    told = numbers(" ".join(case.processes[pid].cmdline).encode("utf-8", "replace"))
    by_environment = case.surroundings.told.get(pid)
    if by_environment is None or not by_environment.isdisjoint(fds):
        return False
    is_interpreter = case.first.programs.get(pid, "").startswith(INTERPRETERS)
    return bool(fds) and not is_interpreter and min(fds) > _STANDARD_FDS and told.isdisjoint(fds)
