"""A tree of processes on a terminal: coloured, cleaned and wrapped so that the tree stays a tree. Renderables only."""

from __future__ import annotations

from collections.abc import Iterator

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from ..core.diagnose.judge import is_hang
from ..core.diagnose.outline import Row, RowKind, head, outline
from ..core.diagnose.picture import Picture
from ..core.model import Certainty, Verdict
from . import report
from .text import clean

STYLES = {"dead": "bold red", "runs": "green", "stopped": "yellow", "traced": "yellow", "frozen": "yellow"}
_NARROWEST = 24
_SHORT_EVIDENCE = 5


def tree(shown: Picture, console: Console) -> Iterator[Text]:
    """A line for each process and thread; what does not fit goes on below its beginning."""
    for row in outline(shown):
        yield from _wrapped(row, console)


def _wrapped(row: Row, console: Console) -> Iterator[Text]:
    start = clean(head(row))
    line = Text(start + clean(row.text))
    if row.kind is RowKind.PROCESS:
        line.stylize("bold", 0, len(start))
    elif row.kind is RowKind.MORE:
        line.stylize("dim")
    if row.status:
        line.stylize(STYLES.get(row.status, "dim"), 0, len(start))
    room = max(_NARROWEST, console.width - max(cell_len(row.lead), cell_len(row.next_lead)))
    for number, part in enumerate(line.wrap(console, room)):
        part.rstrip()
        yield Text.assemble((row.next_lead if number else row.lead, "dim"), part)


def verdict(found: Verdict, root: int) -> Iterator[report.Line]:
    """Everything about a hang; in short what is none. `root` is the PID to look at again."""
    if is_hang(found):
        yield from report.verdict(found)
        return
    yield Text.assemble("\n", report.headline(found))
    for line in found.evidence[:_SHORT_EVIDENCE]:
        yield report.bullet(line)
    if found.certainty is Certainty.UNDECIDED:
        for fix in found.fixes:
            command = fix.command.replace("PID", str(root))
            yield report.indented(f"{fix.title}: {command}" if command else fix.title, "dim")


def not_seen(shown: Picture) -> Iterator[report.Line]:
    """What could not be looked at."""
    for sentence in shown.not_seen:
        yield report.indented(f"not seen: {sentence}", "dim", 0)
