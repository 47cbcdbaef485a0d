"""Evidence in words: lines that a person can check by hand. Pure.

A line about one process begins with its name (`who`), so that lines about several can be drawn together.
"""

from __future__ import annotations

from ..model import Culprit, Frame
from ..observe.proc import FUTEX_WAIT, FUTEX_WAIT_BITSET
from .evidence import Evidence, Variable

_COMMANDS = {FUTEX_WAIT: "FUTEX_WAIT", FUTEX_WAIT_BITSET: "FUTEX_WAIT_BITSET"}
_COMMAND_MASK = 0x7F
_SHOWN_FRAMES = 4


def who(culprit: Culprit) -> str:
    """A process by its role and PID."""
    return f"{culprit.role} (PID {culprit.pid})" if culprit.role else f"PID {culprit.pid}"


def of_wait(evidence: Evidence) -> tuple[str, ...]:
    """The facts of the proof: one thread, its wait, its stillness."""
    name = who(evidence.culprit)
    lines = [f"{name}: has 1 thread; /proc/PID/task lists no other"]
    wait, call = evidence.futex, evidence.thread.syscall
    if wait and call:
        command = _COMMANDS[wait.op & _COMMAND_MASK]
        lines.append(
            f"{name}: waits in system call {call[0]} (futex), op {wait.op:#x} (private, {command}), no timeout:"
            " only a thread of the same process could wake it (/proc/PID/syscall)"
        )
    lines.append(
        f"{name}: context switches {evidence.thread.switches} in both looks, {evidence.gap_s:.2f} s apart"
        " (/proc/PID/status)"
    )
    return tuple(lines)


def of_stack(evidence: Evidence) -> tuple[str, ...]:
    """Where it waits, natively and in Python, or why that is not known."""
    name = who(evidence.culprit)
    if evidence.stack is None:
        return (f"{name}: its stack could not be read: {evidence.no_stack}",)
    lines = []
    if evidence.native_frames:
        lines.append(f"{name}: native stack: {_native_stack(evidence.native_frames)}")
    if line := evidence.python_frame:
        source = f": {evidence.source}" if evidence.source else ""
        lines.append(f"{name}: Python line: {line.function} at {line.file}:{line.line}{source}")
    return tuple(lines)


def of_parent(evidence: Evidence) -> tuple[str, ...]:
    """The parent's threads: a fork copies only the one that called it."""
    parent = evidence.parent
    if parent is None:
        return ()
    threads = len(parent.threads)
    line = f"the parent, PID {parent.pid}, has {threads} thread{'s' if threads > 1 else ''}"
    if evidence.parent_python_tids is not None:
        native = sum(thread.tid not in evidence.parent_python_tids for thread in parent.threads)
        line += f", {native} of which never ran Python"
    return (f"{line} (/proc/{parent.pid}/task)",)


def of_variable(variable: Variable) -> str:
    """The live value of a variable."""
    if variable.unknown:
        return f"the live value of {variable.name} is not known: {variable.unknown}"
    if variable.value is None:
        return f"{variable.name} is not set in the live environment"
    return f"{variable.name}={variable.value} in the live environment"


def _native_stack(frames: tuple[Frame, ...]) -> str:
    """Innermost first, with the library that each is in. Where symbols were stripped the name is an address."""
    shown = [frame for frame in frames if not frame.function.startswith("0x")] or list(frames)
    return " < ".join(f"{frame.function} ({frame.module.rpartition('/')[2]})" for frame in shown[:_SHOWN_FRAMES])
