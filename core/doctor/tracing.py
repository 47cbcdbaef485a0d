"""py-spy, and what it may see here: it really reads the stacks of children of ours, Python and native."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from ..errors import ObserveError
from ..observe import permissions, stacks
from ..versions import version
from . import children
from .check import Answer, Machine, failed, note, ok, warning

_PR_SET_PTRACER = 0x59616D61  # linux/prctl.h; core.lastwords, which has it too, can only be imported on Linux
_SYS_PTRACE = 19  # include/uapi/linux/capability.h
_DUMP_S = 4.0
_YAMA = "proc/sys/kernel/yama/ptrace_scope"
_RECIPE = "In a container: docker run --cap-add SYS_PTRACE."
# A subject lets its observer look at it, as in core.lastwords; any other program does not.
_TARGET = f"""
import ctypes, sys
if int(sys.argv[1]) and sys.platform == "linux":
    ctypes.CDLL(None).prctl({_PR_SET_PTRACER}, ctypes.c_ulong(int(sys.argv[1])), 0, 0, 0)
print("ready", flush=True)
sys.stdin.read()
"""


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """What py-spy saw of three looks: None, or why it saw nothing.

    `own` and `native`: a child that lets itself be looked at, as a subject does; `other`: one that does nothing for it.
    `scope` is Yama's ptrace_scope, None where there is no Yama; `capable`: this process has CAP_SYS_PTRACE.
    """

    own: ObserveError | None = None
    native: ObserveError | None = None
    other: ObserveError | None = None
    scope: int | None = None
    capable: bool = True
    root: bool = False


def py_spy(machine: Machine, *, target: str = _TARGET) -> Answer:
    """Looks at children that run `target`."""
    stacks.executable()  # where there is none, its error is the answer
    with _running(machine, target, os.getpid()) as own, _running(machine, target, 0) as other:
        refused = _refused(own, native=False)
        sight = Sight(
            own=refused,
            native=refused or _refused(own, native=True),
            other=refused or _refused(other, native=False),
            scope=_scope(machine.root),
            capable=is_capable(),
            root=os.geteuid() == 0,
        )
    return judged(sight)


def judged(sight: Sight) -> Answer:
    """What follows from what was seen."""
    rights = f"CAP_SYS_PTRACE: {'yes' if sight.capable else 'no'}, {_yama(sight.scope)}"
    if sight.own is not None:
        return failed(f"{sight.own.what} ({rights})", sight.own.hint)
    name = f"py-spy {version('py-spy')}"
    if sight.other is not None:
        return warning(f"{name} sees the processes of a run, but no other program ({rights})", sight.other.hint)
    if sight.native is not None:
        return warning(f"{name} sees no native frames: {sight.native.what} ({rights})", sight.native.hint)
    found = f"{name} sees Python and native frames ({rights})"
    if sight.capable or sys.platform != "linux":
        return ok(found)
    return note(found, _RECIPE if sight.root else "For other users' programs run cvdebug as root.")


@contextlib.contextmanager
def _running(machine: Machine, target: str, observer: int) -> Iterator[int]:
    """A child that has said that it is ready: its PID."""
    arguments = [machine.python, "-P", "-c", target, str(observer)]
    with children.started(arguments, environment=machine.environment) as child:
        assert child.stdout is not None
        child.stdout.readline()
        yield child.pid


def _refused(pid: int, *, native: bool) -> ObserveError | None:
    """Why the frames of a child cannot be read; None when they can."""
    try:
        found = stacks.dump(pid, native=native, deadline_s=_DUMP_S)
    except ObserveError as error:
        return error
    if any(frame.native == native for stack in found for frame in stack.frames):
        return None
    return ObserveError(f"py-spy gave no {'native' if native else 'Python'} frame of process {pid}")


def is_capable() -> bool:
    """Whether this process has CAP_SYS_PTRACE."""
    mine = permissions.credentials(os.getpid())
    return mine is not None and bool(mine.effective >> _SYS_PTRACE & 1)


def _scope(root: Path) -> int | None:
    try:
        return int((root / _YAMA).read_text())
    except (OSError, ValueError):
        return None


def _yama(scope: int | None) -> str:
    return "no Yama" if scope is None else f"kernel.yama.ptrace_scope={scope}"
