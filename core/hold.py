"""Ready-made commands for looking at a tree that is held, with other people's tools."""

from __future__ import annotations

from collections.abc import Sequence


def commands(dead: Sequence[int], tree: Sequence[int]) -> tuple[str, ...]:
    """Lines to paste into a shell: the dead ones natively, the rest without stopping them."""
    lines = []
    for pid in dead:
        lines.append(f"py-spy dump --native --pid {pid}")
        lines.append(f"gdb -p {pid} -batch -ex 'thread apply all bt'")
        lines.append(f"timeout 3 strace -f -p {pid}")
        lines.append(f"cat /proc/{pid}/wchan /proc/{pid}/syscall")
    lines.extend(f"py-spy dump --nonblocking --pid {pid}" for pid in tree if pid not in dead)
    return tuple(lines)
