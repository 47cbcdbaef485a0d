"""What a line of evidence speaks of: the processes, threads and database sessions in it that can be looked at.

Texts are foreign data; numbers that stand for nothing that is there lead nowhere. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from ...core.model import Culprit
from ...core.state import RunState
from ..scene import Selection

# Of a longer text only the beginning is searched.
_SEARCHED = 4000
_MENTION = re.compile(
    r"(?P<each>^each of them\b)"
    r"|(?:\b(?P<word>threads?|tids?|pids?|backends?) |(?P<call>\bpg_\w+\()|(?P<path>/proc/))"
    r"(?P<numbers>\d{1,10}(?:(?:, and |, | and )\d{1,10})*)(?!\d)",
    re.IGNORECASE,
)


class Backend(NamedTuple):
    """A session of the database, by the PID of its backend."""

    pid: int


class Opens(NamedTuple):
    """A page that can be opened: the verdict or the class of that slug."""

    slug: str


Target = Selection | Backend | Opens


class Mention(NamedTuple):
    """A number in a text, and what it counts: `thread`, `process`, `backend`; `culprits` has no number."""

    kind: str
    number: int = 0


def targets(text: str, state: RunState, culprits: Sequence[Culprit] = ()) -> tuple[Target, ...]:
    """What `text` speaks of and what is there, in the order of the text. `culprits` are "each of them"."""
    return tuple(dict.fromkeys(_found(mentions(text[:_SEARCHED]), state, culprits)))


@lru_cache(maxsize=1024)
def mentions(text: str) -> tuple[Mention, ...]:
    """The numbers of processes, threads and backends in a text."""
    return tuple(_mentions(text))


def of_thread(pid: int, tid: int, state: RunState) -> tuple[Target, ...]:
    """A thread, or its process where it is the main thread or unknown; nothing when that is gone."""
    if tid != pid and tid in state.threads:
        return (Selection(state.threads[tid].pid, tid),)
    return (Selection(pid),) if pid in state.processes else ()


def following(found: Sequence[Target], now: Selection) -> Target:
    """The one to go to: the first, or the one after where a person already is."""
    at = found.index(now) if now in found else -1
    return found[(at + 1) % len(found)]


def _mentions(text: str) -> Iterator[Mention]:
    for match in _MENTION.finditer(text):
        if match["each"]:
            yield Mention("culprits")
            continue
        word = (match["word"] or "").lower()
        kind = "thread" if word.startswith("t") else "backend" if word.startswith("b") or match["call"] else "process"
        for number in re.findall(r"\d+", match["numbers"]):
            yield Mention(kind, int(number))


def _found(said: Iterable[Mention], state: RunState, culprits: Sequence[Culprit]) -> Iterator[Target]:
    sessions = _backends(state)
    for kind, number in said:
        if kind == "culprits":
            for culprit in culprits:
                yield from of_thread(culprit.pid, culprit.tid, state)
        elif kind == "backend" and number in sessions:
            yield Backend(number)
        elif kind == "thread" and number in state.threads:
            yield from of_thread(state.threads[number].pid, number, state)
        elif number in state.processes:
            yield Selection(number)
        elif number in sessions:
            yield Backend(number)


def _backends(state: RunState) -> frozenset[int]:
    if state.database is None:
        return frozenset()
    sessions, progress = state.database.sessions, state.database.progress
    return frozenset((*(row.pid for row in sessions), *(row.pid for row in progress)))
