"""Ready-made commands for looking at a tree that is held, with other people's tools."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from .errors import ObserveError


def commands(dead: Sequence[int], tree: Sequence[int]) -> tuple[str, ...]:
    """Lines to paste into a shell: the dead ones natively, the rest without stopping them."""
    py_spy = _py_spy()
    lines = []
    for pid in dead:
        lines.append(f"{py_spy} dump --native --pid {pid}")
        lines.append(f"gdb -p {pid} -batch -ex 'thread apply all bt'")
        lines.append(f"timeout 3 strace -f -p {pid}")
        lines.append(f"cat /proc/{pid}/wchan /proc/{pid}/syscall")
    lines.extend(f"{py_spy} dump --nonblocking --pid {pid}" for pid in tree if pid not in dead)
    return tuple(lines)


def _py_spy() -> str:
    """The one of this environment, which need not be on anybody's PATH."""
    from .observe import stacks  # only now: it is not needed before the first word

    try:
        return shlex.quote(stacks.executable())
    except ObserveError:
        return "py-spy"
