"""Pieces of reports in Markdown, for findings and for runs: what comes from a machine is always fenced. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .diagnose.case import who
from .events import VerdictReached
from .model import Frame, Graph, Node, NodeKind, Verdict


def visible(text: str) -> str:
    """One line without control characters and direction marks: each becomes U+FFFD."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "\ufffd" for c in text)


def verdict(said: Verdict | VerdictReached) -> Iterator[str]:
    """A verdict without its headline. What the machine said is fenced: it is no markup, mention or link."""
    yield f"It is about: {', '.join(code(visible(who(culprit))) for culprit in said.culprits)}"
    yield ""
    yield "### Evidence"
    yield from fenced(said.evidence)
    yield "### Why"
    yield said.explanation
    yield ""
    yield "### Ways out"
    for number, fix in enumerate(said.fixes, 1):
        command = f": {code(visible(fix.command))}" if fix.command else ""
        yield f"{number}. {fix.title} ({fix.cost}){command}"
    yield ""
    yield f"What would disprove it: {said.disproof}"
    yield ""
    yield from (f"- <{link}>" for link in said.links)
    yield ""


def frame_line(frame: Frame) -> str:
    """A frame with its whole file name."""
    where = frame.file or frame.module
    line = f":{frame.line}" if frame.line else ""
    return f"{frame.function} ({where}{line})" + (" [native]" if frame.native else "")


def graph(shown: Graph) -> Iterator[str]:
    """Who waits for whom, a line for each wait."""
    nodes = {node.id: node for node in shown.nodes}
    yield "## Who waits for whom"
    targets: dict[tuple[str, str], list[str]] = {}
    for edge in shown.edges:
        targets.setdefault((edge.source, edge.text), []).append(edge.target)
    lines = []
    for (source, text), wakers in targets.items():
        dead = " [dead]" if source in shown.stuck else ""
        lines.append(f"{_label(nodes, source)}{dead} {text} -> {', '.join(_label(nodes, each) for each in wakers)}")
    lines += [f"circle: {' '.join(cycle)}" for cycle in shown.cycles]
    lines += [f"dead end: {node}" for node in shown.dead_ends]
    yield from fenced(lines or ["nobody waits"])


def _label(nodes: dict[str, Node], name: str) -> str:
    """A thread by its label, a process of the tree by its PID: its command is in the tree above."""
    node = nodes.get(name)
    if node is None:
        return name
    return f"PID {node.pid}" if node.kind is NodeKind.PROCESS else node.label


def fenced(lines: Sequence[str], *, language: str = "text") -> Iterator[str]:
    """A block whose fence is longer than any row of backticks in it."""
    shown = [visible(line) for line in lines]
    fence = "`" * max(3, *(_longest_ticks(line) + 1 for line in shown))
    yield from ("", fence + language, *shown, fence, "")


def code(text: str) -> str:
    """A text as inline code, whatever backticks it holds."""
    tick = "`" * (_longest_ticks(text) + 1)
    space = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{tick}{space}{text}{space}{tick}"


def _longest_ticks(text: str) -> int:
    longest = run = 0
    for character in text:
        run = run + 1 if character == "`" else 0
        longest = max(longest, run)
    return longest
