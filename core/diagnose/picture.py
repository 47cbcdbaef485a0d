"""A finding as others may see it: typed, with every secret hidden and no text that is not valid Unicode. Pure.

`attach`, `ps` and reports show pictures and never the case itself, so that no front end can forget to hide something.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec

from ..model import Frame, Graph, Node, NodeKind, ProcessSnapshot, ThreadSnapshot, Verdict, WaitKind
from ..secrets import redact, redact_command
from .case import TICK_S, Case
from .investigate import Finding

SCHEMA = 1


class Waker(msgspec.Struct, frozen=True):
    """Who could wake a thread; without `tid` any thread of the process."""

    pid: int
    tid: int | None = None


class Thread(msgspec.Struct, frozen=True, kw_only=True):
    """One thread. `wait` and `why` are phrases: what it waits for; why it lives, or who could wake it.

    `name` is Python's where known, `stack` has its innermost frame first, `source` is the text of the innermost Python
    line, `cpu` the part of one core used between the two looks. `syscall` is the number, None when not in one or not
    seen. An `ended` thread is the first one of a process that goes on without it.
    """

    tid: int
    name: str
    state: str
    wait: str
    live: bool
    why: str
    stack: tuple[Frame, ...]
    cpu: float
    syscall: int | None
    wchan: str
    kind: WaitKind
    timed: bool
    ended: bool
    source: str
    wakers: tuple[Waker, ...]

    @property
    def python_frames(self) -> tuple[Frame, ...]:
        """Innermost first."""
        return tuple(frame for frame in self.stack if not frame.native)


class Process(msgspec.Struct, frozen=True, kw_only=True):
    """One process. `started` is a date and time in UTC, None when not known; `forked` says that it runs on the memory
    of its parent; `no_stack` says why py-spy could not read its stacks."""

    pid: int
    ppid: int
    role: str
    cmdline: tuple[str, ...]
    state: str
    cpu: float
    rss_bytes: int
    started: str | None
    forked: bool
    no_stack: str
    threads: tuple[Thread, ...]

    @property
    def dead(self) -> bool:
        """Whether none of its threads can ever run again."""
        return any(not thread.ended for thread in self.threads) and not any(thread.live for thread in self.threads)


class Picture(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The whole finding, the most certain verdict and the root process first.

    `surroundings` has the parts of core.observe.surroundings in which something was seen: connections, database
    servers and what they say, file locks, processes outside of the tree.
    """

    schema: int
    root: int
    taken_s: float
    verdicts: tuple[Verdict, ...]
    graph: Graph
    processes: tuple[Process, ...]
    not_seen: tuple[str, ...]
    surroundings: dict[str, Any] = {}


def picture(finding: Finding, *, booted_at: float | None = None) -> Picture:
    """The picture of a finding. `booted_at`, seconds since 1970, turns start times into dates."""
    case = finding.case
    raw = Picture(
        schema=SCHEMA,
        root=case.first.root,
        taken_s=round(finding.taken_s, 3),
        verdicts=finding.verdicts,
        graph=_graph(case),
        processes=tuple(_process(case, process, booted_at) for process in case.second.processes),
        not_seen=tuple(_not_seen(case)),
        surroundings=_surroundings(case),
    )
    return msgspec.convert(fit_to_show(raw), Picture)


def fit_to_show(value: object) -> Any:
    """Any structure as plain lists and dicts, with secrets hidden, and text that is not valid Unicode replaced."""
    return _Fitting().fit(msgspec.to_builtins(value, str_keys=True))


class _Fitting:
    """Treats each text once: a thousand threads say the same."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def fit(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, dict):
            return {key: self._command(item) if key == "cmdline" else self.fit(item) for key, item in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.fit(item) for item in value]
        return value

    def _text(self, text: str) -> str:
        if (known := self._known.get(text)) is None:
            valid = text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
            known = self._known[text] = redact(valid)
        return known

    def _command(self, words: list[str]) -> list[str]:
        return [self._text(word) for word in redact_command(words)]


def _surroundings(case: Case) -> dict[str, Any]:
    parts: dict[str, Any] = msgspec.to_builtins(case.surroundings, str_keys=True)
    parts["strangers"] = [{"pid": each.pid, "title": each.title} for each in case.surroundings.strangers.values()]
    return {name: part for name, part in parts.items() if part}


def _graph(case: Case) -> Graph:
    """Commands are hidden word by word, which the finished labels do not allow."""
    nodes = tuple(_node(case, node) for node in case.graph.nodes)
    return msgspec.structs.replace(case.graph, nodes=nodes)


def _node(case: Case, node: Node) -> Node:
    process = case.before.get(node.pid)
    if node.kind is not NodeKind.PROCESS or process is None or not process.cmdline:
        return node
    command = " ".join(redact_command(process.cmdline))
    return msgspec.structs.replace(node, label=f"PID {node.pid} ({command})")


def _process(case: Case, process: ProcessSnapshot, booted_at: float | None) -> Process:
    pid = process.pid
    return Process(
        pid=pid,
        ppid=process.ppid,
        role=case.roles.get(pid, ""),
        cmdline=process.cmdline,
        state=process.state,
        cpu=round(case.process_share(pid), 3),
        rss_bytes=process.rss_bytes,
        started=started(process, booted_at),
        forked=process.forked,
        no_stack=_short(case.no_stacks.get(pid, ""), case.first.not_seen),
        threads=tuple(_thread(case, thread) for thread in process.threads),
    )


def started(process: ProcessSnapshot, booted_at: float | None) -> str | None:
    """When a process started, as a date and time in UTC; None when the system's start is not known."""
    if booted_at is None:
        return None
    return datetime.fromtimestamp(booted_at + process.start_ticks * TICK_S, UTC).isoformat(timespec="seconds")


def _thread(case: Case, thread: ThreadSnapshot) -> Thread:
    tid = thread.tid
    wait, life, stack = case.wait(tid), case.liveness(tid), case.stacks.get(tid)
    return Thread(
        tid=tid,
        name=(stack.name if stack else "") or thread.name,
        state=thread.state,
        wait=wait.text,
        live=life.live,
        why=life.why,
        stack=case.frames(tid),
        cpu=round(case.cpu_share(tid), 3),
        syscall=thread.syscall[0] if thread.syscall else None,
        wchan=thread.wchan,
        kind=wait.kind,
        timed=wait.timed,
        ended=life.ended,
        source=case.sources.get(tid, ""),
        wakers=tuple(Waker(pid, waker) for pid, waker in life.wakers),
    )


def _not_seen(case: Case) -> Iterator[str]:
    yield from case.first.not_seen
    activity = case.surroundings.activity
    if activity is not None and activity.unknown:
        yield f"what the database says: {activity.unknown.rstrip('.')}"
    reasons: dict[str, list[int]] = {}
    for pid, reason in case.no_stacks.items():
        if _short(reason, case.first.not_seen) != reason:
            continue
        reasons.setdefault(re.sub(rf"\b{pid}\b", "PID", reason), []).append(pid)
    for reason, pids in reasons.items():
        words = case.no_stacks[pids[0]] if len(pids) == 1 else reason
        yield f"the stacks of PID {', '.join(map(str, pids))}: {words.rstrip('.')}"


def _short(reason: str, said: Iterable[str]) -> str:
    """A reason without its hint, where the hint is said already."""
    what, _, hint = reason.rstrip(".").partition(". ")
    return what if hint and any(hint[1:] in sentence for sentence in said) else reason
