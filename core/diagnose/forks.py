"""What a fork leaves behind: threads of forked processes that wait for ever on something inside of their own.

A fork copies the memory, with locks as they were and pools as they seem, but only the thread that called it. Rules
about forks share this. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import msgspec

from ..model import DescriptorKind, Frame, Verdict, WaitKind
from . import facts, places, remedies
from .card import Card
from .case import Case, is_call
from .closure import PLAIN_OP, PYTHON_LOCK_OP, RUST_OP

# Below every wait lie these, whoever waits.
_C_LIBRARY = re.compile(r"(.*/)?(libc|libpthread|libstdc\+\+|libc\+\+|libgcc_s|ld-linux|ld-musl)[-.\d][^/]*|\[vdso\]|")
# The interpreter itself, and the modules in C of its standard library.
_INTERPRETER = re.compile(r"(.*/)?(libpython|libpypy|python|pypy)[^/]*|.*/lib-dynload/[^/]*")
_OPENMP = re.compile(r"(.*/)?lib(gomp|omp|iomp5|kmp|omptarget)\b[^/]*")
_TOKENIZERS = re.compile(r"(.*/)?tokenizers\b[^/]*\.so[^/]*")
# The calls of tokenizers that hand their work to its pool.
_BATCH = re.compile(r"\b(encode_batch|encode_batch_fast|decode_batch|train|train_from_iterator)\(")
_STANDARD_LIBRARY = re.compile(r"<frozen .*|.*/lib(64)?/(python|pypy)[\d.]+/(?!site-packages|dist-packages).*")
_LOGGING = ("/logging/__init__.py", "/logging/handlers.py")
# Where logging hands a record to a handler. Locks that are taken while a message is put together are not logging's.
_HANDLING = frozenset({"emit", "handle", "flush", "acquire", "enqueue", "close"})

# How the threads of these libraries are called in /proc/PID/task/TID/comm, which keeps 15 characters.
TOKIO = ("tokio-",)
GRPC = ("grpc_global_tim", "event_engine")
_GRPC_CALL = re.compile(r"/grpc/_\w+\.py$")
# Polling five times a second takes less of a core than this.
_IDLE = 0.05


class ForkedWait(msgspec.Struct, frozen=True, kw_only=True):
    """A thread of a forked and dead process, in an untimed private futex. `library` is the path of the foreign library
    that waits; empty when it is the interpreter, or when the native stack is not known."""

    pid: int
    tid: int
    op: int
    library: str = ""


def waits(case: Case) -> Iterator[ForkedWait]:
    """Threads of dead forked processes that wait for another thread of their process, of which there is none.

    There may be other threads: those of another library, which begins anew after a fork, and idle ones.
    """
    for pid in case.dead_processes:
        for thread in case.threads(pid) if case.processes[pid].forked else ():
            wait = case.wait(thread.tid)
            if wait.kind is WaitKind.FUTEX and not wait.timed and case.is_dead(thread.tid):
                found = ForkedWait(
                    pid=pid, tid=thread.tid, op=wait.op, library=_library(case.native_frames(thread.tid))
                )
                if case.frames(thread.tid) and not _has_pool(case, found):
                    yield found


def in_openmp(wait: ForkedWait) -> bool:
    """Whether an OpenMP runtime waits."""
    return _OPENMP.fullmatch(wait.library) is not None


def in_tokenizers_pool(case: Case, wait: ForkedWait) -> bool:
    """Whether tokenizers waits for its pool, which it uses in a forked process only where it was told to."""
    variable = case.parallelism.get(wait.pid)
    if variable is None:
        return False
    if case.without_idle and not wait.library:  # native stacks are read of dead processes only
        return variable.is_true and wait.op == RUST_OP and _BATCH.search(case.sources.get(wait.tid, "")) is not None
    known = any("rayon_core" in frame.function for frame in case.native_frames(wait.tid))
    told = variable.is_true or (bool(variable.unknown) and known)
    return told and _TOKENIZERS.fullmatch(wait.library) is not None


def in_native_library(case: Case, wait: ForkedWait) -> bool:
    """Whether any other foreign library waits."""
    return bool(wait.library) and not in_openmp(wait) and not in_tokenizers_pool(case, wait)


def in_python_lock(case: Case, wait: ForkedWait) -> bool:
    """Whether the interpreter takes a lock, and no other thread of the process can be the one that holds it."""
    op = PLAIN_OP if wait.pid in case.first.musl else PYTHON_LOCK_OP
    if wait.op != op or wait.library or not places.takes_lock(case, wait.tid):
        return False
    return all(_is_idle(case, other.tid) for other in case.threads(wait.pid) if other.tid != wait.tid)


def in_logging(case: Case, wait: ForkedWait) -> bool:
    """Whether the lock is taken on a record's way through a handler."""
    frame = next((frame for frame in case.python_frames(wait.tid) if frame.file.endswith(_LOGGING)), None)
    return frame is not None and frame.function.rpartition(".")[2] in _HANDLING


def awaits_tokio(case: Case, pid: int) -> bool:
    """Whether a dead forked process has an event loop that waits for itself alone, while it inherited the event queue
    of a tokio runtime: the loop's own is one, the runtime's another, with the eventfd that wakes its driver."""
    if not case.is_dead_child(pid) or case.wait(pid).kind is not WaitKind.EPOLL:
        return False
    inherited = [descriptor.kind for descriptor in case.first.descriptors.get(pid, ())]
    queues = inherited.count(DescriptorKind.EPOLL) > 1 and DescriptorKind.EVENTFD in inherited
    loops = any("/asyncio/" in frame.file for frame in case.python_frames(pid))
    return queues and loops and bool(threads_above(case, pid, TOKIO)[1])


def polls_for_grpc(case: Case, pid: int) -> bool:
    """Whether the one thread of a living forked process polls inside of a gRPC call, whose threads it does not have."""
    process, before = case.processes[pid], case.before.get(pid)
    if not process.forked or before is None or len(before.threads) != 1 or len(process.threads) != 1:
        return False
    line, wait = case.python_frame(pid), case.wait(pid)
    polls = wait.kind in (WaitKind.FUTEX, WaitKind.EPOLL, WaitKind.POLL) and wait.timed and not wait.external
    inside = line is not None and _GRPC_CALL.search(line.file) is not None
    return polls and inside and case.cpu_share(pid) < _IDLE and bool(threads_above(case, pid, GRPC)[1])


def threads_above(case: Case, pid: int, names: tuple[str, ...]) -> tuple[int, tuple[str, ...]]:
    """The nearest process above that has threads whose names begin so, and those names; (0, ()) without one."""
    seen = {pid}
    while (parent := case.parent(pid)) is not None and parent.pid not in seen:
        found = tuple(thread.name for thread in parent.threads if thread.name.startswith(names))
        if found or not case.processes[pid].forked:
            return (parent.pid, found) if found and case.processes[pid].forked else (0, ())
        pid = parent.pid
        seen.add(pid)
    return 0, ()


def verdict(card: Card, case: Case, wait: ForkedWait, *, more: Iterable[str] = ()) -> Verdict:
    """The verdict of a card on a thread, with all that can be checked by hand, and what to do first."""
    return card.verdict(
        culprits=[case.culprit(wait.tid)],
        evidence=(*_alone(case, wait), *facts.of_stack(case, wait.tid), *facts.of_parent(case, wait.pid), *more),
        first_aid=remedies.first_aid(case, wait.pid),
    )


def _alone(case: Case, wait: ForkedWait) -> tuple[str, ...]:
    if len(case.threads(wait.pid)) == 1:
        return facts.of_lone_thread(case, wait.tid)
    others = len(case.threads(wait.pid)) - 1
    native = sum(thread.tid not in case.stacks for thread in case.threads(wait.pid))
    line = f"{case.who(wait.tid)}: its process has {others} more thread{'s' if others > 1 else ''}, dead as well"
    ran = f", {native} of which never ran Python" if native else ""
    return (
        f"{line}{ran} (/proc/PID/task)",
        *facts.of_wait(case, wait.tid),
        *facts.of_stillness(case, wait.tid),
    )


def _library(native: Iterable[Frame]) -> str:
    frame = next((frame for frame in native if not _C_LIBRARY.fullmatch(frame.module)), None)
    return "" if frame is None or _INTERPRETER.fullmatch(frame.module) else frame.module


def _has_pool(case: Case, wait: ForkedWait) -> bool:
    """Whether threads that never ran Python wait in the same manner: the pool of the same library, made anew."""
    if not wait.library:
        return False
    others = [thread.tid for thread in case.threads(wait.pid) if thread.tid not in case.stacks]
    return any(case.wait(tid).kind is WaitKind.FUTEX and case.wait(tid).op == wait.op for tid in others)


def _is_idle(case: Case, tid: int) -> bool:
    """Whether a thread holds no lock of anybody's: it never ran Python, it only sleeps, or it rests in a loop of the
    standard library."""
    frames = case.python_frames(tid)
    if not frames or tid in case.idle:
        return tid in case.idle or tid not in case.stacks
    rests = is_call(frames[0], places.THREADING, "wait") or case.wait(tid).kind is not WaitKind.FUTEX
    return rests and all(_STANDARD_LIBRARY.fullmatch(frame.file) for frame in frames)
