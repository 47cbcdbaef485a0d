"""What a thread is called, and its state in symbol and word. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ...core.seen import ProcessSeen, ThreadSeen

TONES = {"dead": "bad", "runs": "good", "stopped": "warn", "traced": "warn", "frozen": "warn"}
# What the kernel calls a thread that has no name of its own: as the program that started it.
_PROGRAM = re.compile(r"python[0-9.]*|")


def called(thread: ThreadSeen, mates: Iterable[ThreadSeen], process: ProcessSeen | None = None) -> str:
    """The name of a thread; where it bears only that of its program, what it is. `mates` are those of its process:
    where Python lines of others are known, one without a name has no Python in it."""
    program = process.command[0][:4096].rpartition("/")[2][:15] if process and process.command else ""
    name = "" if thread.name == program else thread.name
    if not _PROGRAM.fullmatch(name):
        return known_as(name)
    if thread.tid == thread.pid:
        return "main thread"
    return "native thread" if not thread.place and any(mate.place for mate in mates) else "thread"


def known_as(name: str) -> str:
    """A thread's name as a person would say it."""
    return "main thread" if name == "MainThread" else "thread" if _PROGRAM.fullmatch(name) else name


def status(process: ProcessSeen, thread: ThreadSeen | None) -> str:
    """One of core.diagnose.outline.MARKS, or "": a dead process is known before each of its threads was looked at."""
    from ...core.diagnose.outline import MARKS  # imported here: the first frame needs no eyes

    known = thread.status if thread else ""
    return known if known in MARKS else "dead" if process.dead else ""


def marked(status: str) -> str:
    """The symbol with its word; "" for what is not known."""
    from ...core.diagnose.outline import MARKS

    return f"{MARKS[status]} {status}" if status in MARKS else ""
