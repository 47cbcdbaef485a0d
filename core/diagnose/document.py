"""A finding as a JSON object, and as a report that a person can paste into a bug tracker. Pure.

Both are made of the picture (core.diagnose.picture), where secrets are hidden already.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec

from ..markdown import fenced, frame_line, graph
from ..markdown import verdict as verdict_lines
from ..secrets import redact
from ..versions import versions
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
    lines += [*graph(shown.graph), *_versions(), *_not_seen(shown), *_raw(finding)]
    return "\n".join(lines) + "\n"


def _headline(shown: Picture, command: str, at: float) -> Iterator[str]:
    if shown.verdicts:
        first = shown.verdicts[0]
        yield f"# {first.slug}: {first.title}"
    else:
        yield f"# Process {shown.root} is gone"
    yield ""
    when = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    yield f"Looked at PID {shown.root} and its tree at {when}, in {shown.taken_s:.2f} s, with:"
    yield from fenced([redact(command)])


def _verdicts(shown: Picture) -> Iterator[str]:
    for verdict in shown.verdicts:
        yield f"## Verdict: {verdict.slug}, {verdict.certainty}"
        yield f"{verdict.title}."
        yield ""
        yield from verdict_lines(verdict)


def _tree(shown: Picture) -> Iterator[str]:
    yield "## Processes and threads"
    yield from fenced(list(map(plain, outline(shown))) or ["there was no process left"])


def _stacks(shown: Picture) -> Iterator[str]:
    lines: list[str] = []
    for process in shown.processes:
        for thread in process.threads:
            if thread.stack:
                lines.append(f"PID {process.pid}, thread {thread.tid}, {thread.name}:")
                lines += [f"    {frame_line(frame)}" for frame in thread.stack]
        if process.no_stack:
            lines.append(f"PID {process.pid}: {process.no_stack}")
    yield "## Stacks, innermost frame first"
    yield from fenced(lines or ["none could be read"])


def _versions() -> Iterator[str]:
    yield "## Versions"
    yield "Of the Python that runs cvdebug; the program's own may differ."
    yield from fenced([f"{name} {version}" for name, version in versions().items()])


def _not_seen(shown: Picture) -> Iterator[str]:
    if shown.not_seen:
        yield "## What was not seen"
        yield from fenced(shown.not_seen)


def _raw(finding: Finding) -> Iterator[str]:
    """The first look as it was read, for those who doubt the rest."""
    yield "## The raw first look"
    yield "<details><summary>What /proc said</summary>"
    yield ""
    yield from fenced([json.dumps(fit_to_show(finding.case.first), ensure_ascii=False)], language="json")
    yield "</details>"
