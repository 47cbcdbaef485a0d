"""A finding as a JSON object, and as a report that a person can paste into a bug tracker. Pure.

Both are made of the picture (core.diagnose.picture), where secrets are hidden already.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec

from ..model import Frame, Graph, Node, NodeKind, Verdict
from ..secrets import redact
from ..versions import versions
from .case import who
from .investigate import Finding
from .outline import outline, plain
from .picture import Picture, fit_to_show, picture


def document(finding: Finding, *, booted_at: float | None = None) -> dict[str, Any]:
    """The JSON object, schema 1. `booted_at`, seconds since 1970, turns start times into dates."""
    found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(picture(finding, booted_at=booted_at)))
    return found


def markdown(finding: Finding, *, command: str, at: float, booted_at: float | None = None) -> str:
    """The report. `command` is what was run to make it, `at` when, in seconds since 1970."""
    shown = picture(finding, booted_at=booted_at)
    lines = [*_headline(shown, command, at), *_verdicts(shown), *_tree(shown), *_stacks(shown)]
    lines += [*_graph(shown.graph), *_versions(), *_not_seen(shown), *_raw(finding)]
    return "\n".join(lines) + "\n"


def visible(text: str) -> str:
    """One line without control characters and direction marks: each becomes U+FFFD."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "\ufffd" for c in text)


def _headline(shown: Picture, command: str, at: float) -> Iterator[str]:
    if shown.verdicts:
        first = shown.verdicts[0]
        yield f"# {first.slug}: {first.title}"
    else:
        yield f"# Process {shown.root} is gone"
    yield ""
    when = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    yield f"Looked at PID {shown.root} and its tree at {when}, in {shown.taken_s:.2f} s, with:"
    yield from _fenced([redact(command)])


def _verdicts(shown: Picture) -> Iterator[str]:
    for verdict in shown.verdicts:
        yield f"## Verdict: {verdict.slug}, {verdict.certainty}"
        yield f"{verdict.title}."
        yield ""
        yield from _verdict(verdict)


def _verdict(verdict: Verdict) -> Iterator[str]:
    """What comes from the machine is fenced: nothing in it is taken for markup, a mention or a link."""
    yield f"It is about: {', '.join(_code(visible(who(culprit))) for culprit in verdict.culprits)}"
    yield ""
    yield "### Evidence"
    yield from _fenced(verdict.evidence)
    yield "### Why"
    yield verdict.explanation
    yield ""
    yield "### Ways out"
    for number, fix in enumerate(verdict.fixes, 1):
        command = f": {_code(visible(fix.command))}" if fix.command else ""
        yield f"{number}. {fix.title} ({fix.cost}){command}"
    yield ""
    yield f"What would disprove it: {verdict.disproof}"
    yield ""
    yield from (f"- <{link}>" for link in verdict.links)
    yield ""


def _tree(shown: Picture) -> Iterator[str]:
    yield "## Processes and threads"
    yield from _fenced(list(map(plain, outline(shown))) or ["there was no process left"])


def _stacks(shown: Picture) -> Iterator[str]:
    lines: list[str] = []
    for process in shown.processes:
        for thread in process.threads:
            if thread.stack:
                lines.append(f"PID {process.pid}, thread {thread.tid}, {thread.name}:")
                lines += [f"    {_frame(frame)}" for frame in thread.stack]
        if process.no_stack:
            lines.append(f"PID {process.pid}: {process.no_stack}")
    yield "## Stacks, innermost frame first"
    yield from _fenced(lines or ["none could be read"])


def _frame(frame: Frame) -> str:
    where = frame.file or frame.module
    line = f":{frame.line}" if frame.line else ""
    return f"{frame.function} ({where}{line})" + (" [native]" if frame.native else "")


def _graph(graph: Graph) -> Iterator[str]:
    nodes = {node.id: node for node in graph.nodes}
    yield "## Who waits for whom"
    targets: dict[tuple[str, str], list[str]] = {}
    for edge in graph.edges:
        targets.setdefault((edge.source, edge.text), []).append(edge.target)
    lines = []
    for (source, text), wakers in targets.items():
        dead = " [dead]" if source in graph.stuck else ""
        lines.append(f"{_label(nodes, source)}{dead} {text} -> {', '.join(_label(nodes, each) for each in wakers)}")
    lines += [f"circle: {' '.join(cycle)}" for cycle in graph.cycles]
    lines += [f"dead end: {node}" for node in graph.dead_ends]
    yield from _fenced(lines or ["nobody waits"])


def _label(nodes: dict[str, Node], name: str) -> str:
    """A thread by its label, a process of the tree by its PID: its command is in the tree above."""
    node = nodes.get(name)
    if node is None:
        return name
    return f"PID {node.pid}" if node.kind is NodeKind.PROCESS else node.label


def _versions() -> Iterator[str]:
    yield "## Versions"
    yield "Of the Python that runs cvdebug; the program's own may differ."
    yield from _fenced([f"{name} {version}" for name, version in versions().items()])


def _not_seen(shown: Picture) -> Iterator[str]:
    if shown.not_seen:
        yield "## What was not seen"
        yield from _fenced(shown.not_seen)


def _raw(finding: Finding) -> Iterator[str]:
    """The first look as it was read, for those who doubt the rest."""
    yield "## The raw first look"
    yield "<details><summary>What /proc said</summary>"
    yield ""
    yield from _fenced([json.dumps(fit_to_show(finding.case.first), ensure_ascii=False)], language="json")
    yield "</details>"


def _fenced(lines: list[str] | tuple[str, ...], *, language: str = "text") -> Iterator[str]:
    """A block whose fence is longer than any row of backticks in it."""
    shown = [visible(line) for line in lines]
    fence = "`" * max(3, *(_longest_ticks(line) + 1 for line in shown))
    yield from ("", fence + language, *shown, fence, "")


def _code(text: str) -> str:
    tick = "`" * (_longest_ticks(text) + 1)
    space = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{tick}{space}{text}{space}{tick}"


def _longest_ticks(text: str) -> int:
    longest = run = 0
    for character in text:
        run = run + 1 if character == "`" else 0
        longest = max(longest, run)
    return longest
