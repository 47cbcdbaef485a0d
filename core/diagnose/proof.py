"""The proof that a process can never go on, from two looks at it. Pure.

A private futex is known to one address space only (the kernel's key is the mm), so only a thread of the same process
can wake it. A process whose single thread waits on one without a timeout is dead: the only thread that could wake it
is the one that waits. No timeout is needed for that, and none is used. Silence alone proves nothing and is never
enough.

The counter of context switches grows whenever a thread goes to sleep. Equal counters, state and system call (stack
pointer and program counter included) in two looks say that the thread slept through from one to the other.
"""

from __future__ import annotations

from signal import SIGCHLD, SIGINT

import msgspec

from ..model import ProcessSnapshot, ThreadSnapshot
from ..observe.proc import futex

# The second argument of the futex call says who waits (measured on glibc, x86-64).
PYTHON_LOCK_OP = 0x189  # FUTEX_WAIT_BITSET, private, realtime clock: glibc's sem_wait, and so CPython's locks
RUST_OP = 0x89  # FUTEX_WAIT_BITSET, private: Rust's standard library
PLAIN_OP = 0x80  # FUTEX_WAIT, private: libgomp; on musl CPython's locks as well

# Native code waits again after a signal, and a Python handler does not run before it returns.
NATIVE_OPS = frozenset({RUST_OP, PLAIN_OP})
NATIVE_OPS_ON_MUSL = frozenset({RUST_OP})

# CPython's own handler for Ctrl-C, and glibc's two for threads (cancellation, setuid), release no lock.
_OWN_SIGNALS = frozenset({int(SIGINT), 32, 33})


class Conditions(msgspec.Struct, frozen=True, kw_only=True):
    """What the two snapshots of a process do not say about it.

    `known_signals` have handlers that are known to release nothing (faulthandler's). `has_children`: SIGCHLD may come.
    `native_ops` are the futex operations of code that no Python signal handler can release.
    """

    known_signals: frozenset[int] = frozenset()
    has_children: bool = False
    native_ops: frozenset[int] = NATIVE_OPS


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """Dead or not proven, and why, in words."""

    dead: bool
    why: str


def prove(first: ProcessSnapshot, second: ProcessSnapshot, conditions: Conditions) -> Proof:
    """Whether a process is dead for ever, from two snapshots of it taken one after the other."""
    why = obstacle(first, conditions) or obstacle(second, conditions) or _movement(first, second)
    if why:
        return Proof(dead=False, why=why)
    return Proof(
        dead=True, why="its only thread waits on a private futex without a timeout, and slept through both looks"
    )


def obstacle(process: ProcessSnapshot, conditions: Conditions) -> str:
    """What in one snapshot stands against the proof, in words; empty when nothing does."""
    if len(process.threads) != 1:
        return f"it has {len(process.threads)} threads, and any of them may wake the others"
    if process.frozen:
        return "a cgroup freezes it, so that its stillness means nothing"
    thread = process.threads[0]
    if thread.tid != process.pid or thread.state != "S":
        return _not_asleep(thread)
    return _endable_wait(thread) or _releasing_signals(process, thread, conditions)


def _not_asleep(thread: ThreadSnapshot) -> str:
    states = {
        "R": "it runs",
        "D": "it waits for the disk or the kernel",
        "T": "it is stopped by a signal",
        "t": "a debugger holds it",
        "Z": "it has ended",
    }
    return states.get(thread.state, f"its state is {thread.state}")


def _endable_wait(thread: ThreadSnapshot) -> str:
    if thread.syscall is None:
        return "its system call cannot be seen"
    wait = futex(thread)
    if wait is None:
        return f"it waits in system call {thread.syscall[0]}, not on a futex"
    if not wait.private:
        return "its futex is shared, and another process may wake it"
    return "its wait has a timeout" if wait.timed else ""


def _releasing_signals(process: ProcessSnapshot, thread: ThreadSnapshot, conditions: Conditions) -> str:
    """A Python signal handler runs while the main thread waits for a Python lock, and may end that wait."""
    wait = futex(thread)
    if wait is None or wait.op in conditions.native_ops:
        return ""
    harmless = _OWN_SIGNALS | conditions.known_signals
    if not conditions.has_children:
        harmless |= {int(SIGCHLD)}
    handled = [n for n in range(1, 65) if process.signals_caught >> (n - 1) & 1 and n not in harmless]
    return f"its handler for signal {', '.join(map(str, handled))} may end the wait" if handled else ""


def _movement(first: ProcessSnapshot, second: ProcessSnapshot) -> str:
    if (first.pid, first.start_ticks) != (second.pid, second.start_ticks):
        return "the two looks show different processes"
    before, after = first.threads[0], second.threads[0]
    if before.syscall != after.syscall or before.switches != after.switches:
        return "it moved between the two looks"
    return ""
