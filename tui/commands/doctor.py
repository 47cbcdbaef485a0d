"""`doctor`: whether this machine has what cvdebug needs, line by line or as one JSON object."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from rich.console import Console
from rich.text import Text

from ...core.config import in_force
from ...core.doctor.check import Finding, Machine, Status, worst
from ...core.doctor.examine import examine
from ...core.doctor.registry import CHECKS
from ...core.errors import ExitCode, UsageError
from ...core.secrets import redact
from ...core.settings import resolve
from ..plain import line_console
from ..text import clean, seconds

SCHEMA = 1
_SIGNS = {
    Status.OK: ("✓", "green"),
    Status.NOTE: ("·", "cyan"),
    Status.WARNING: ("!", "yellow"),
    Status.FAILED: ("✗", "bold red"),
}
_WORD = max(map(len, Status)) + 2  # a sign, a space, the longest word
_NAME = max(len(check.name) for check in CHECKS)
_LEAST_ROOM = 20  # columns for what is said, however narrow the terminal is


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What --json prints. `status` is the worst of the checks'."""

    schema: int
    status: Status
    taken_s: float
    checks: list[Finding]


def doctor(flags: Mapping[str, Any], *, json: bool) -> ExitCode:
    """Runs every check; failed when one has. UsageError for flags that make no sense."""
    began_s = time.monotonic()
    console = line_console(sys.stdout)
    findings = []
    for finding in _findings(_machine(flags)):
        findings.append(finding)
        if not json:
            for line in _lines(finding, console):
                console.print(line, soft_wrap=True)
    taken_s = time.monotonic() - began_s
    status = worst([finding.status for finding in findings])
    if json:
        report = Report(schema=SCHEMA, status=status, taken_s=round(taken_s, 3), checks=findings)
        sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
    else:
        console.print(_summary(findings, taken_s))
    return ExitCode.FAILED if status is Status.FAILED else ExitCode.COMPLETED


def _machine(flags: Mapping[str, Any]) -> Machine:
    """This machine with the settings of a run. What is wrong in variables or files is a finding, not the end."""
    try:
        return Machine(settings=in_force(flags=flags).settings)
    except UsageError as error:
        return Machine(settings=resolve(flags=flags, environment={}).settings, trouble=str(error))


def _findings(machine: Machine) -> Iterator[Finding]:
    """What is found in foreign files and said by servers may hold anything: it is cleaned, and its secrets hidden."""
    for finding in examine(machine, CHECKS):
        found, hint = (clean(redact(text)) for text in (finding.found, finding.hint))
        yield msgspec.structs.replace(finding, found=found, hint=hint)


def _lines(finding: Finding, console: Console) -> Iterator[Text]:
    """What was found; where not all is well also why it matters and what to do. Wrapped below its beginning."""
    sign, style = _SIGNS[finding.status]
    head = Text.assemble(
        (f"{sign} {finding.status}".ljust(_WORD), style), " ", (finding.name.ljust(_NAME), "bold"), " "
    )
    blank = Text(" " * len(head))
    parts = [Text(finding.found)]
    if finding.status is not Status.OK:
        parts.append(Text(finding.why, "dim"))
    if finding.hint:
        parts.append(Text(f"→ {finding.hint}"))
    room = max(_LEAST_ROOM, console.width - len(head))
    for number, line in enumerate(line for part in parts for line in part.wrap(console, room)):
        line.rstrip()
        yield (blank if number else head) + line


def _summary(findings: list[Finding], taken_s: float) -> Text:
    counts = Counter(finding.status for finding in findings)
    bad = counts[Status.FAILED]
    words = [f"{len(findings)} checks in {seconds(taken_s)}", f"{bad} failed" if bad else "nothing failed"]
    if warnings := counts[Status.WARNING]:
        words.append(f"{warnings} warning{'s' if warnings > 1 else ''}")
    return Text(", ".join(words) + ".", _SIGNS[Status.FAILED][1] if bad else "bold")
