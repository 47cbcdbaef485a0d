"""`ps` and `explain`: the Python programs that run, and what the rules know."""

from __future__ import annotations

import json as jsons
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ...core.errors import UsageError
from ...core.settings import nearest
from .. import report
from ..plain import line_console
from ..text import clean, size

if TYPE_CHECKING:
    from ...core.diagnose.card import Card
    from ...core.diagnose.overview import Program

_MARKS = {"proven": "✗", "certain": "✗", "likely": "✗", "not-hung": "✓", "undecided": "?", "": "?"}
_GROUPS = (
    ("Hung", ("proven", "certain", "likely")),
    ("Not hung, whatever it looks like", ("not-hung",)),
    ("Not known", ("undecided",)),
)
_ROOM = 24  # for the command, at least
_COMMAND = 400  # characters of a command that a log gets
_DAY_S = 86_400


def ps(*, json: bool, everybody: bool) -> None:
    """Prints the Python process trees of this user, or of everybody, each with a verdict of one look."""
    programs = _programs(everybody=everybody)
    if json:
        sys.stdout.write(jsons.dumps(msgspec.to_builtins(programs)) + "\n")
        return
    console = line_console(sys.stdout)
    if not programs:
        console.print("No Python program runs" + ("." if everybody else " for this user."))
        return
    _print(programs, console, numbered=False)


def choose() -> int:
    """Lets a person choose a program: its PID. Raises UsageError where nobody can be asked, or nothing is chosen."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("attach needs the PID of a process", hint="cvdebug ps lists the Python programs that run.")
    programs = _programs(everybody=False)
    if not programs:
        raise UsageError("no Python program runs for this user", hint="Give the PID of a process.")
    console = line_console(sys.stdout)
    _print(programs, console, numbered=True)
    try:
        word = input("Which one? A number of the list, or a PID: ").strip()
    except EOFError:
        word = ""
    by_word = {str(program.pid): program.pid for program in programs}
    by_word |= {str(number): program.pid for number, program in enumerate(programs, 1)}
    if word not in by_word:
        raise UsageError(f"{clean(word)!r} is not in the list" if word else "nothing was chosen")
    return by_word[word]


def _programs(*, everybody: bool) -> list[Program]:
    from ...core.diagnose.overview import overview  # imported here: `explain` and usage errors need no eyes
    from ...core.observe.programs import roots
    from ...core.observe.target import booted_at

    return overview(roots(everybody=everybody), booted_at=booted_at())


def _print(programs: Sequence[Program], console: Console, *, numbered: bool) -> None:
    """A row a program. The command gets what the others leave; where that is little, some are left out."""
    width = console.width
    columns: dict[str, list[str]] = {
        "#": [str(number) for number in range(1, len(programs) + 1)],
        "PID": [str(program.pid) for program in programs],
        "STARTED": [_when(program.started) for program in programs],
        "CPU": [f"{program.cpu:.0%}" for program in programs],
        "RSS": [size(program.rss_bytes) for program in programs],
        "P/T": [f"{program.processes}/{program.threads}" for program in programs],
        "VERDICT": [_verdict(program) for program in programs],
    }
    if not numbered:
        del columns["#"]
    for dispensable in ("STARTED", "P/T", "RSS"):
        if width - _taken(columns) < _ROOM:
            del columns[dispensable]
    most = _taken(columns) + min(max(_ROOM // 2, width - _taken(columns)), _COMMAND)
    widths = {heading: max(len(heading), *map(len, cells)) for heading, cells in columns.items()}
    headings = [heading.rjust(widths[heading]) for heading in list(columns)[:-1]]
    console.print(Text("  ".join([*headings, "VERDICT".ljust(widths["VERDICT"]), "COMMAND"]), style="bold"))
    for program, *cells in zip(programs, *columns.values(), strict=True):
        *numbers, verdict = cells
        shown = [cell.rjust(widths[heading]) for heading, cell in zip(columns, numbers, strict=False)]
        style = report.CERTAINTY_STYLE.get(program.certainty, "dim")
        line = Text("  ".join([*shown, ""]))
        line.append(verdict.ljust(widths["VERDICT"]), style)
        line.append("  " + " ".join(clean(" ".join(program.cmdline)).split()))
        line.truncate(most, overflow="ellipsis")  # by cells: a command may be in any script
        console.print(line)


def _taken(columns: Mapping[str, Sequence[str]]) -> int:
    """The width of columns with two spaces between."""
    return sum(max(len(heading), *map(len, cells)) + 2 for heading, cells in columns.items())


def _verdict(program: Program) -> str:
    slug = f" {program.slug}" if program.slug != program.certainty else ""
    return f"{_MARKS[program.certainty]} {program.certainty}{slug}"


def _when(started: str | None) -> str:
    """The time of day, or the date when that was longer ago."""
    if started is None:
        return "?"
    at = datetime.fromisoformat(started)
    return at.astimezone().strftime("%H:%M" if time.time() - at.timestamp() < _DAY_S else "%Y-%m-%d")


def explain(slug: str | None, *, json: bool) -> None:
    """Prints what a rule says about itself, or all rules in a table."""
    from ...core.diagnose.rules import RULES

    cards = {slug: rule.CARD for slug, rule in RULES.items()}
    if slug is not None and slug not in cards:
        raise UsageError(f"there is no verdict {slug}", hint=nearest(slug, tuple(cards)))
    if json:
        found = cards[slug] if slug else list(cards.values())
        sys.stdout.write(jsons.dumps(msgspec.to_builtins(found), ensure_ascii=False) + "\n")
        return
    console = Console(highlight=False)
    for line in _all(cards.values(), console) if slug is None else _card(cards[slug]):
        console.print(line)


def _all(cards: Iterable[Card], console: Console) -> Iterable[report.Line | Table]:
    known = sorted(cards, key=lambda card: card.slug)
    width = max(len(card.slug) for card in known)
    for heading, certainties in _GROUPS:
        yield Text(f"\n{heading}" if heading != _GROUPS[0][0] else heading, style="bold")
        table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 1))
        table.add_column(no_wrap=True, width=width)
        table.add_column(no_wrap=True, width=len("undecided"))
        table.add_column(overflow="fold")
        for certainty in certainties:
            for card in (card for card in known if card.certainty == certainty):
                style = report.CERTAINTY_STYLE.get(card.certainty, "dim")
                table.add_row(Text(card.slug, style="bold"), Text(card.certainty, style=style), Text(card.title))
        yield table
    yield Text("\ncvdebug explain SLUG says more about one.", style="dim")


def _card(card: Card) -> Iterable[report.Line]:
    style = report.CERTAINTY_STYLE.get(card.certainty, "")
    yield Text.assemble(
        (card.slug, "bold"),
        "  ",
        (f"{card.certainty} at best" if card.certainty in _GROUPS[0][1] else card.certainty, style),
    )
    yield Text(card.title)
    yield Text("\nWhy", style="bold")
    yield report.indented(card.explanation)
    yield Text("When it is said", style="bold")
    for condition in card.conditions:
        yield report.bullet(condition)
    yield Text("Ways out", style="bold")
    for fix in card.fixes:
        yield report.bullet(fix.title)
        yield report.indented(f"Cost: {fix.cost}", "", 4)
        if fix.command:
            yield report.indented(fix.command, "cyan", 4)
    yield Text("What would disprove it", style="bold")
    yield report.indented(card.disproof)
    if card.links:
        yield Text("Links", style="bold")
        for link in card.links:
            yield report.indented(link)
