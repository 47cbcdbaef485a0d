"""What a run says in words: notices, verdicts, plans, summaries. Renderables only; nothing is printed here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import singledispatch

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ..core import events as ev
from ..core.errors import sentences
from ..core.model import Culprit, Phase, Strategy, Verdict
from ..core.state import RunState
from .text import clean, counted, rate, seconds, shortened

Line = Text | Padding | Table
CERTAINTY_STYLE = {"proven": "bold red", "certain": "bold red", "likely": "yellow", "not-hung": "green"}
MOST_CULPRITS = 8
SKIPPED_SHOWN = 100  # inputs; a folder may hold thousands that cannot be read
SNIPPET = 56  # beside score and source it fits 80 columns


def lines(event: ev.Event, state: RunState) -> Iterator[Line]:
    """The lines for one event; `state` is the fold up to and including it."""
    yield from _lines(event, state)


def indented(text: str, style: str = "", by: int = 2) -> Line:
    return Padding(Text(clean(text), style=style), (0, 0, 0, by), expand=False)


def bullet(text: str) -> Line:
    """A line of a list, whose continuation stands below its beginning."""
    grid = Table.grid()
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row("  • ", Text(clean(text)))
    return grid


@singledispatch
def _lines(event: ev.Event, state: RunState) -> Iterator[Line]:
    yield from ()


@_lines.register
def _(event: ev.RunStarted, state: RunState) -> Iterator[Line]:
    verb = "resumes" if event.resumed else "is"
    yield Text.assemble(
        ("cvdebug", "bold"), f" {event.scenario}: {clean(event.title)}\n",
        (f"run {verb} {event.run}; tokenizers {event.versions.get('tokenizers', '?')}, ", "dim"),
        (f"Python {event.versions.get('python', '?')}", "dim"),
    )  # fmt: skip


@_lines.register
def _(event: ev.Attached, state: RunState) -> Iterator[Line]:
    verb = "watches" if event.watched else "follows"
    yield Text.assemble(("cvdebug", "bold"), f" {verb} PID {event.pid}: {clean(' '.join(event.command))}")


@_lines.register
def _(event: ev.SubjectStarted, state: RunState) -> Iterator[Line]:
    what = f"TOKENIZERS_PARALLELISM {event.parallelism}, {counted(event.workers, 'worker')} by {event.start_method}"
    yield Text(f"subject PID {event.pid}: {what}", style="dim")


@_lines.register
def _(event: ev.FileSkipped, state: RunState) -> Iterator[Line]:
    if event.number <= SKIPPED_SHOWN:
        yield Text(f"skipped {clean(event.file)}: {clean(event.reason)}", style="yellow")
    elif event.number == SKIPPED_SHOWN + 1:
        yield Text("more inputs are skipped; --json and --record name them", style="yellow")


@_lines.register
def _(event: ev.Log, state: RunState) -> Iterator[Line]:
    mark = "│ " if event.origin == "output" else ""
    for line in event.text.splitlines():
        yield Text(mark + clean(line), style="yellow" if event.level == "warning" else "dim")


@_lines.register
def _(event: ev.IndexChosen, state: RunState) -> Iterator[Line]:
    if event.reason:
        yield Text(f"index {event.kind}: {clean(event.reason)}", style="dim")
    if event.warning:
        yield Text(clean(event.warning), style="yellow")


@_lines.register
def _(event: ev.VerdictReached, state: RunState) -> Iterator[Line]:
    yield from verdict(event)


def headline(event: ev.VerdictReached | Verdict) -> Text:
    """Certainty, slug and title."""
    style = CERTAINTY_STYLE.get(event.certainty, "")
    name = event.certainty.upper() + (f"  {event.slug}" if event.slug != event.certainty else "")
    return Text.assemble((name, style), f"  {clean(event.title)}")


def verdict(event: ev.VerdictReached | Verdict) -> Iterator[Line]:
    """A verdict with everything that it says."""
    yield Text.assemble("\n", headline(event))
    yield indented(culprits(event.culprits), "bold")
    yield Text("Evidence", style="bold")
    for line in event.evidence:
        yield bullet(line)
    yield Text("Why", style="bold")
    yield indented(event.explanation)
    yield Text("Ways out", style="bold")
    for remedy in event.fixes:
        yield bullet(f"{remedy.title} ({remedy.cost})")
        if remedy.command:
            yield indented(remedy.command, "cyan", 4)
    yield indented(f"What would disprove it: {event.disproof}", "dim", 0)
    if event.links:
        yield indented(f"See {' '.join(event.links)}", "dim", 0)


def culprits(found: Sequence[Culprit]) -> str:
    """The threads that a verdict is about, in words."""
    from ..core.diagnose.case import who  # imported here: most commands need no eyes

    more = f" and {len(found) - MOST_CULPRITS} more" if len(found) > MOST_CULPRITS else ""
    return clean(", ".join(map(who, found[:MOST_CULPRITS])) + more)


@_lines.register
def _(event: ev.Stuck, state: RunState) -> Iterator[Line]:
    if state.attached is not None:
        yield Text(f"Process {state.attached.pid} hangs.", style="bold red")
        return
    embedded = state.phases[Phase.EMBED]
    percent = 100 * embedded.done // embedded.total if embedded.total else 0
    where = f" in {event.phase}" if event.phase else ""
    yield Text(f"The run is stuck{where}: embeddings {percent} %, stored 0 %.", style="bold red")


@_lines.register
def _(event: ev.Unstuck, state: RunState) -> Iterator[Line]:
    yield Text("It moves again.", style="green")


@_lines.register
def _(event: ev.Signalled, state: RunState) -> Iterator[Line]:
    if event.trouble:
        yield Text(f"{event.signal} was not sent to PID {event.pid}: {clean(event.trouble)}", style="yellow")
    else:
        yield Text(f"{event.signal} was sent to PID {event.pid}", style="dim")


@_lines.register
def _(event: ev.FixPlanned, state: RunState) -> Iterator[Line]:
    yield Text(f"\nThe fix: {event.strategy}", style="bold")
    for number, step in enumerate(event.steps, 1):
        yield indented(f"{number}. {step}")
    for price in event.prices:
        yield indented(f"Price of {price.strategy}: {price_words(price, event.to_count)}", "dim")
    measured = {price.strategy for price in event.prices if price.chunks_per_s}
    others = [strategy for strategy in Strategy if strategy not in (*measured, Strategy.UNBLOCK)]
    if others and event.strategy is not Strategy.UNBLOCK and state.attached is None:
        yield indented(f"Not measured: {', '.join(others)}", "dim")


def price_words(price: ev.Price, chunks: int) -> str:
    """What a strategy costs where cleanup has `chunks` to count; "not measured" where nothing is known."""
    if price.startup_s is None or not price.chunks_per_s:
        return "not measured"
    each = f"a worker is ready after {seconds(price.startup_s)} and counts {rate(price.chunks_per_s)}"
    return f"{each} (measured here); cleanup of {chunks:,} chunks by one: {seconds(chunks / price.chunks_per_s)}"


@_lines.register
def _(event: ev.FixRefused, state: RunState) -> Iterator[Line]:
    yield Text(f"{event.strategy} is refused here: {clean(event.reason)}.", style="yellow")


@_lines.register
def _(event: ev.Held, state: RunState) -> Iterator[Line]:
    yield Text(f"\nHeld: PIDs {', '.join(map(str, event.pids))}. Ctrl-C ends it.", style="bold")
    for command in event.commands:
        yield indented(command, "cyan")


@_lines.register
def _(event: ev.Verified, state: RunState) -> Iterator[Line]:
    for search in event.searches:
        yield Text.assemble("\nsearch ", (f"“{clean(search.query)}”", "italic"))
        for hit in search.hits:
            where = f"{hit.score:.2f} {clean(hit.source)}#{hit.ordinal}"
            yield indented(f"{where}  {shortened(clean(hit.text.replace(chr(10), ' ')), SNIPPET)}")


@_lines.register
def _(event: ev.RunFinished, state: RunState) -> Iterator[Line]:
    if state.attached is not None:
        yield Text(f"\n{clean(sentences(event.what[:1].upper() + event.what[1:], event.hint))}")
        return
    if event.outcome == "completed":
        yield Text(f"\n✓ completed in {seconds(event.elapsed_s)}", style="bold green")
        yield from summary(state)
        return
    style = "yellow" if event.outcome == "interrupted" else "bold red"
    head = "" if event.what.startswith(event.outcome) else f"{event.outcome}: "
    yield Text(f"\n✗ {head}{clean(sentences(event.what, event.hint))}", style=style)
    if event.next_command:
        what = "To finish it, with every vector kept" if event.outcome == "hang" else "To go on from what is kept"
        yield Text.assemble(f"{what}: ", (event.next_command, "cyan"))


def summary(state: RunState) -> Iterator[Line]:
    """What a completed run did, in a few lines."""
    if state.verified is not None:
        found = state.verified
        norms = f"norms {found.norm_min:.4f} to {found.norm_max:.4f}"
        yield indented(f"table    {found.table}: {found.rows:,} rows, {found.tokens:,} tokens, {norms}")
    kept = f"{state.vectors_kept:,} kept from before, " if state.vectors_kept else ""
    yield indented(f"vectors  {kept}{state.vectors_computed:,} computed")
    if state.hung is not None and state.fix_started is not None:
        hangs = ", ".join(verdict.slug for verdict in state.hung.verdicts.values() if verdict.certainty != "not-hung")
        yield indented(f"hang     {hangs or 'unnamed'}, fixed by {state.fix_started.strategy}")
    if state.tokenized is not None and state.tokenized.elapsed_s:
        speed = rate(state.tokenized.tokens / state.tokenized.elapsed_s).replace("/s", " tokens/s")
        yield indented(f"tokenize {speed} with TOKENIZERS_PARALLELISM {state.tokenized.parallelism}")
    if state.skipped:
        kinds = ", ".join(f"{number:,} {clean(kind)}" for kind, number in state.skipped_kinds.items())
        yield indented(f"skipped  {state.skipped:,} inputs" + (f": {kinds}" if kinds else ""), "yellow")
    if state.verified is not None:
        yield from _index_summary(state.verified)


def _index_summary(found: ev.Verified) -> Iterator[Line]:
    yield indented(f"planner  {found.planner}")
    if found.forced:
        yield indented(f"index    {found.forced}")
    if found.recalls:
        values = ", ".join(f"{r.recall:.3f} at {r.setting} {r.value}" for r in found.recalls)
        yield indented(f"recall   @10 {values}" + (f"; {found.recommended}" if found.recommended else ""))
