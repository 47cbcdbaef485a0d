"""The state of a thread in symbol and word. Pure."""

from __future__ import annotations

from ..core.seen import ProcessSeen, ThreadSeen

TONES = {"dead": "bad", "runs": "good", "stopped": "warn", "traced": "warn", "frozen": "warn"}


def status(process: ProcessSeen, thread: ThreadSeen | None) -> str:
    """One of core.diagnose.outline.MARKS, or "": a dead process is known before each of its threads was looked at."""
    from ..core.diagnose.outline import MARKS  # imported here: the first frame needs no eyes

    known = thread.status if thread else ""
    return known if known in MARKS else "dead" if process.dead else ""


def marked(status: str) -> str:
    """The symbol with its word; "" for what is not known."""
    from ..core.diagnose.outline import MARKS

    return f"{MARKS[status]} {status}" if status in MARKS else ""
