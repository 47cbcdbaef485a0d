"""The anatomy of a `multiprocessing.Pool`, read from stacks and waits: who waits for it, who works for it. Pure.

A Pool keeps three threads in the process that made it: one hands out tasks, one takes in results, one replaces workers
that ended. An idle worker waits in `SimpleQueue.get`: one reads the pipe of tasks, the others wait for their turn on
the semaphore beside it. A healthy idle Pool looks just like one that lost a task, except that nobody waits for it.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from ..model import Certainty, Frame, WaitKind
from . import facts
from .case import TICK_S, Case, is_call

# The standard library's, and the copy of it that pickles with dill.
_PACKAGES = ("multiprocessing", "multiprocess")
_REPLACES, _HANDS_OUT, _TAKES_IN = "_handle_workers", "_handle_tasks", "_handle_results"
_HELPERS = (_REPLACES, _HANDS_OUT, _TAKES_IN)
# Where a thread waits for what a Pool computes; `join` returns when every task was answered.
_PENDING = ("get", "wait", "next", "join")


class Pools(msgspec.Struct, frozen=True, kw_only=True):
    """All Pools of one process. The helper threads are TIDs: those that replace workers, hand out tasks, take in
    results. `waiters` are the TIDs that wait for an answer, `workers` the processes (PIDs) that work for these Pools.
    """

    pid: int
    replacers: tuple[int, ...]
    feeders: tuple[int, ...]
    collectors: tuple[int, ...]
    waiters: tuple[int, ...]
    workers: tuple[int, ...]

    @property
    def helpers(self) -> tuple[int, ...]:
        """All helper threads."""
        return (*self.replacers, *self.feeders, *self.collectors)


class Loss(msgspec.Struct, frozen=True, kw_only=True):
    """A task that will never be answered. `replacements` are the workers (PIDs) that came after a worker ended."""

    pools: Pools
    replacements: tuple[int, ...]
    certainty: Certainty


def pools(case: Case) -> Iterator[Pools]:
    """The Pools of each process that has some, whatever their start method."""
    for pid in case.processes:
        tids = [thread.tid for thread in case.threads(pid) if thread.tid in case.stacks]
        if any(_helps(case, tid, _REPLACES) for tid in tids):
            found = {name: tuple(tid for tid in tids if _helps(case, tid, name)) for name in _HELPERS}
            helpers = {tid for group in found.values() for tid in group}
            yield Pools(
                pid=pid,
                replacers=found[_REPLACES],
                feeders=found[_HANDS_OUT],
                collectors=found[_TAKES_IN],
                waiters=tuple(tid for tid in tids if tid not in helpers and calls(case, tid, *_PENDING)),
                workers=tuple(_workers(case, pid, found[_TAKES_IN])),
            )


def answered(case: Case, tid: int) -> tuple[int, ...]:
    """The threads that take in the answers of a Pool (TIDs) for a thread that waits for one."""
    return tuple(other for found in pools(case) if tid in found.waiters for other in found.collectors)


def restarted(case: Case) -> frozenset[int]:
    """The workers (PIDs) that came after others ended, and are still starting, of Pools that took in no answer."""
    found: set[int] = set()
    for each in pools(case):
        if each.waiters and not any(map(case.moved, each.collectors)):
            later = (pid for pid in case.children.get(each.pid, ()) if pid > max(each.replacers))
            found.update(pid for pid in later if not calls(case, pid, "worker"))
    return frozenset(found)


def losses(case: Case) -> Iterator[Loss]:
    """Every process whose Pools have nothing left to do while one of its threads waits for an answer.

    Proven where the waiter is. Certain where somebody else keeps the process alive: no one but the Pool's own threads
    answers, and all of them rest with nothing in hand. Likely where the waiter has a timeout.
    """
    for found in pools(case):
        replacements = tuple(pid for pid in found.workers if replaces(case, found, pid))
        certainty = _certainty(case, found)
        if certainty is not None and replacements and _has_nothing_to_do(case, found):
            yield Loss(pools=found, replacements=replacements, certainty=certainty)


def own_frames(case: Case, tid: int) -> tuple[Frame, ...]:
    """The Python frames of a thread, innermost first, without those that a fork copied from the parent."""
    frames = case.python_frames(tid)
    starts = (number for number, frame in enumerate(frames) if is_call(frame, "/process.py", "_bootstrap"))
    return frames[: next(starts, None)]


def calls(case: Case, tid: int, *functions: str) -> bool:
    """Whether a thread is in one of these functions of a Pool, in frames of its own process."""
    return any(is_pool_call(frame, *functions) for frame in own_frames(case, tid))


def is_pool_call(frame: Frame, *functions: str) -> bool:
    """Whether a frame is in one of these functions of a Pool."""
    return any(is_call(frame, f"{package}/pool.py", *functions) for package in _PACKAGES)


def is_idle(case: Case, pid: int) -> bool:
    """Whether a worker waits for its next task, and slept from one look to the other."""
    frames = own_frames(case, pid)
    loop = next((number for number, frame in enumerate(frames) if is_pool_call(frame, "worker")), 0)
    if loop == 0 or case.moved(pid) or not frames[loop - 1].file.endswith("/queues.py"):
        return False
    waits = case.wait(pid).kind in (WaitKind.PIPE_READ, WaitKind.SHARED_FUTEX)
    return waits and frames[loop - 1].function.rpartition(".")[2] == "get"


def replaces(case: Case, found: Pools, pid: int) -> bool:
    """Whether a worker came after its Pool was made.

    The Pool forks its first workers before it starts its repair thread, and later ones from that thread: such a worker
    carries the thread's name and its frames. With spawn only the order of the numbers tells.
    """
    stack = case.stacks.get(pid)
    if stack is not None and f"({_REPLACES})" in stack.name:
        return True
    return any(is_pool_call(frame, _REPLACES) for frame in case.python_frames(pid)) or pid > max(found.replacers)


def of_loss(case: Case, loss: Loss) -> Iterator[str]:
    """The evidence for a lost task."""
    found = loss.pools
    for tid in found.waiters:
        yield f"{case.who(tid)}: waits for an answer of a Pool: {facts.calls(own_frames(case, tid))}"
        yield from facts.of_wait(case, tid)
        yield from facts.of_stillness(case, tid)
    readers = [pid for pid in found.workers if case.wait(pid).kind is WaitKind.PIPE_READ]
    yield (
        f"all {len(found.workers)} workers are idle, in SimpleQueue.get: PID {_listed(readers)} reads the empty pipe of"
        f" tasks{_others(found.workers, readers)}"
    )
    yield (
        f"no task and no answer is on its way: thread {_listed(found.feeders)} (_handle_tasks) of PID {found.pid} has"
        f" none to hand out, and thread {_listed(found.collectors)} (_handle_results) reads an empty pipe"
    )
    for pid in loss.replacements:
        yield _of_replacement(case, found, pid)


def _of_replacement(case: Case, found: Pools, pid: int) -> str:
    stack = case.stacks.get(pid)
    if stack is not None and f"({_REPLACES})" in stack.name:
        how = f"its main thread is named {stack.name}, after the Pool's repair thread that forked it"
    else:
        how = f"its number is above that of thread {max(found.replacers)}, which replaces workers that ended"
    oldest = min(case.processes[worker].start_ticks for worker in found.workers)
    age = case.processes[pid].start_ticks - oldest
    later = (
        f"; it is {age * TICK_S:.2f} s younger than the oldest worker (/proc/{pid}/stat, field 22)" if age > 0 else ""
    )
    return f"{case.who(pid)}: is a replacement: {how}{later}"


def _others(workers: tuple[int, ...], readers: list[int]) -> str:
    others = [pid for pid in workers if pid not in readers]
    return f", PID {_listed(others)} waits for its turn on the semaphore beside it" if others else ""


def _listed(numbers: tuple[int, ...] | list[int]) -> str:
    return ", ".join(map(str, numbers))


def _helps(case: Case, tid: int, function: str) -> bool:
    """By its stack, or by its name: the stack of a thread that spins is often torn."""
    by_name = tid not in case.processes and case.stacks[tid].name.endswith(f"({function})")
    return by_name or calls(case, tid, function)


def _workers(case: Case, pid: int, collectors: tuple[int, ...]) -> Iterator[int]:
    """Those that can write an answer into the pipes that the collectors read, or were made here: it depends on the
    start method who their parent is."""
    near = {other for tid in collectors for other in case.wait(tid).pids} | set(case.children.get(pid, ()))
    for other in sorted(near - {pid}):
        if other in case.processes and calls(case, other, "worker"):
            yield other


def _certainty(case: Case, found: Pools) -> Certainty | None:
    """How sure it is that the waiters get no answer, if the Pools have nothing to do."""
    resting = [tid for tid in found.waiters if not case.moved(tid) and case.wait(tid).kind is WaitKind.FUTEX]
    if any(case.is_dead(tid) for tid in resting):
        return Certainty.PROVEN
    if any(not case.wait(tid).timed for tid in resting):
        return Certainty.CERTAIN
    return Certainty.LIKELY if resting else None


def _has_nothing_to_do(case: Case, found: Pools) -> bool:
    """Whether every worker is idle, and no task or answer is in any helper's hands or in a pipe."""
    readers = [pid for pid in found.workers if case.wait(pid).kind is WaitKind.PIPE_READ]
    complete = len(found.replacers) == len(found.feeders) == len(found.collectors)
    rest = not any(case.moved(tid) for tid in found.helpers)
    return (
        complete
        and rest
        and bool(readers)
        and all(is_idle(case, pid) for pid in found.workers)
        and all(_is_empty_handed(case, tid, WaitKind.FUTEX) for tid in found.feeders)
        and all(_is_empty_handed(case, tid, WaitKind.PIPE_READ) for tid in found.collectors)
        and not any(calls(case, thread.tid, "worker") for thread in case.threads(found.pid)[1:])
        and not _hidden(case, found)
    )


def _is_empty_handed(case: Case, tid: int, kind: WaitKind) -> bool:
    """Whether a helper waits for something to do, and does not run code of the program."""
    frames = own_frames(case, tid)
    loop = next((number for number, frame in enumerate(frames) if is_pool_call(frame, *_HELPERS)), None)
    if loop is None or case.wait(tid).kind is not kind:
        return False
    return all(frame.file.endswith("/connection.py") for frame in frames[:loop])


def _hidden(case: Case, found: Pools) -> bool:
    """Whether somebody who may be a worker could not be looked at."""
    near = {pid for tid in found.collectors for pid in case.wait(tid).pids} - {found.pid}
    return any(pid not in case.processes or pid not in case.stacks for pid in near)
