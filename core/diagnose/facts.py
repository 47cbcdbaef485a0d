"""Evidence in words: lines that a person can check by hand. Pure.

A line about one thread begins with its name (`Case.who`), so that lines about several can be drawn together.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..model import Frame
from ..observe.proc import FUTEX_WAIT, FUTEX_WAIT_BITSET, futex
from ..observe.stacks import trimmed
from .case import Case, Variable

_COMMANDS = {FUTEX_WAIT: "FUTEX_WAIT", FUTEX_WAIT_BITSET: "FUTEX_WAIT_BITSET"}
_COMMAND_MASK = 0x7F
_SHOWN_FRAMES = 4


def of_lone_thread(case: Case, tid: int) -> tuple[str, ...]:
    """The facts that prove a process with one thread dead: the thread, its futex, its stillness."""
    pid, name = case.owner(tid), case.who(tid)
    lines = [f"{name}: has 1 thread; /proc/PID/task lists no other"]
    thread = case.threads(pid)[0]
    wait, call = futex(thread), thread.syscall
    if wait and call:
        command = _COMMANDS[wait.op & _COMMAND_MASK]
        lines.append(
            f"{name}: waits in system call {call[0]} (futex), op {wait.op:#x} (private, {command}), no timeout:"
            " only a thread of the same process could wake it (/proc/PID/syscall)"
        )
    return (*lines, *of_stillness(case, tid))


def of_wait(case: Case, tid: int) -> tuple[str, ...]:
    """What a thread waits for, and who could end it or why it lives."""
    return (f"{case.who(tid)}: {case.wait(tid).text}", f"{case.who(tid)}: {case.liveness(tid).why}")


def of_stillness(case: Case, tid: int) -> tuple[str, ...]:
    """That a thread slept from one look to the other."""
    thread = case.thread(tid)
    if thread is None:
        return ()
    return (
        f"{case.who(tid)}: context switches {thread.switches} in both looks, {case.gap_s:.2f} s apart"
        " (/proc/PID/status)",
    )


def of_stack(case: Case, tid: int) -> tuple[str, ...]:
    """Where a thread is, natively and in Python, or why that is not known."""
    name = case.who(tid)
    frames = case.frames(tid)
    if not frames:
        why = case.no_stacks.get(case.owner(tid), "")
        return (f"{name}: its stack could not be read: {why.partition('. ')[0]}",) if why else ()
    lines = []
    if native := case.native_frames(tid):
        other = case.alike.get(case.owner(tid))
        read = f" (read of PID {other}, which has the same parent, waits and Python lines)" if other else ""
        lines.append(f"{name}: native stack: {_native_stack(native)}{read}")
    if line := case.python_frame(tid):
        source = f": {case.sources[tid]}" if case.sources.get(tid) else ""
        lines.append(f"{name}: Python line: {line.function} at {line.file}:{line.line}{source}")
    return tuple(lines)


def of_parent(case: Case, pid: int) -> tuple[str, ...]:
    """The threads of a process's parent: a fork copies only the one that called it."""
    parent = case.parent(pid)
    if parent is None:
        return ()
    threads = len(parent.threads)
    line = f"the parent, PID {parent.pid}, has {threads} thread{'s' if threads > 1 else ''}"
    if parent.pid not in case.no_stacks and any(thread.tid in case.stacks for thread in parent.threads):
        native = sum(thread.tid not in case.stacks for thread in parent.threads)
        line += f", {native} of which never ran Python"
    return (f"{line} (/proc/{parent.pid}/task)",)


def of_variable(variable: Variable) -> str:
    """The live value of a variable."""
    if variable.unknown:
        return f"the live value of {variable.name} is not known: {variable.unknown}"
    if variable.value is None:
        return f"{variable.name} is not set in the live environment"
    return f"{variable.name}={variable.value} in the live environment"


def of_cpu(case: Case, tid: int) -> tuple[str, ...]:
    """How busy a thread was between the looks."""
    share, switches = case.cpu_share(tid), case.switches_per_s(tid)
    return (
        f"{case.who(tid)}: {share:.0%} of a core and {switches:.0f} context switches a second, over {case.gap_s:.2f} s",
    )


def calls(frames: Iterable[Frame], *, limit: int = _SHOWN_FRAMES) -> str:
    """Python frames in one line, innermost first: `put (queue.py:133) < emit (handlers.py:1494)`.

    What only starts a thread or a module is left out.
    """
    shown = [f"{frame.function} ({frame.file.rpartition('/')[2]}:{frame.line})" for frame in trimmed(tuple(frames))]
    return " < ".join(shown[:limit])


def _native_stack(frames: tuple[Frame, ...]) -> str:
    """Innermost first, with the library that each is in. Where symbols were stripped the name is an address."""
    shown = [frame for frame in frames if not frame.function.startswith("0x")] or list(frames)
    return " < ".join(f"{frame.function} ({frame.module.rpartition('/')[2]})" for frame in shown[:_SHOWN_FRAMES])
