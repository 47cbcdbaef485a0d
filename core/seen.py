"""What is seen of a tree while it is followed, in the form in which it travels in events: small, redacted, frozen.

Every front end shows these and nothing else, so that a recorded run looks as it did live. No I/O here.
"""

from __future__ import annotations

import msgspec

from .model import Frame, WaitKind


class ProcessSeen(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One process. `command` has its secrets hidden; `cpu` is the part of one core used since the last sample.

    `state` is the kernel's letter, `start_ticks` (clock ticks since boot) tells a reused PID from the old one.
    `dead`: none of its threads can ever run again. `no_stack` says why its stacks could not be read.
    """

    pid: int
    ppid: int
    start_ticks: int
    role: str = ""
    command: tuple[str, ...] = ()
    state: str = ""
    cpu: float = 0.0
    rss_bytes: int = 0
    forked: bool = False
    dead: bool = False
    no_stack: str = ""


class Waking(msgspec.Struct, frozen=True):
    """Who could wake a thread; with `tid` 0 any thread of the process."""

    pid: int
    tid: int = 0


class ThreadSeen(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thread: the cheap part (`state`, `cpu`) is as of the last sample, the rest of the last thorough look.

    `status` is one of core.diagnose.outline.MARKS (dead, runs, waits, ended, stopped, traced, frozen), "" before the
    first thorough look. `wait` and `why` are phrases: what it waits for; why it lives, or who could wake it. `place`
    is its innermost line of Python in words, `source` the text of that line.
    """

    pid: int
    tid: int
    name: str = ""
    state: str = ""
    status: str = ""
    cpu: float = 0.0
    wait: str = ""
    why: str = ""
    kind: WaitKind = WaitKind.UNKNOWN
    timed: bool = False
    wakers: tuple[Waking, ...] = ()
    place: str = ""
    source: str = ""

    @property
    def dead(self) -> bool:
        """Whether nothing can ever wake it."""
        return self.status == "dead"


class StackSeen(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The stack of one thread, innermost frame first, native frames where they were asked for.

    `raw` holds, for a native frame whose name was made readable, the name as the symbol table has it, by its place
    in `frames`.
    """

    tid: int
    name: str = ""
    frames: tuple[Frame, ...] = ()
    raw: dict[int, str] = {}
