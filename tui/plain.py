"""The plain front end: a run as lines and bars on a terminal, or as lines in a log. It shows what RunState says."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from typing import TextIO

from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ..core import events as ev
from ..core.model import Phase
from ..core.phases import PhaseState
from ..core.state import RunState, fold
from . import report
from .drawing.words import PHASE, STILL_S, amount
from .text import clean, rate, seconds, shortened

SYMBOLS = {status: symbol for status, (symbol, _) in PHASE.items()}
STYLES = {"waiting": "dim", "running": "bold cyan", "done": "green", "kept": "green", "failed": "bold red"}
REFRESH_PER_S = 8
LOG_WIDTH = 10_000


def line_console(file: TextIO) -> Console:
    """A console that wraps at a terminal's width, and not at all in a log, where lines are searched."""
    return Console(file=file, highlight=False, width=None if file.isatty() else LOG_WIDTH)


class Plain:
    """Shows a stream of events; `exit_code` is that of the run."""

    def __init__(self, console: Console | None = None, *, clock: Callable[[], float] = time.time) -> None:
        """`clock` says what time it is in what is shown, in seconds since the epoch."""
        self._console = console or line_console(sys.stdout)
        self._clock = clock
        self._state = RunState()
        self.exit_code = 1

    def show(self, events: Iterable[ev.Event]) -> int:
        """Shows everything until the stream ends; the run's exit code."""
        if not self._console.is_terminal:
            for event in events:
                self._take(event)
            return self.exit_code
        with Live(
            get_renderable=self._panel,
            console=self._console,
            refresh_per_second=REFRESH_PER_S,
            redirect_stdout=False,
            redirect_stderr=False,
        ) as live:
            for event in events:
                if isinstance(event, ev.RunFinished):
                    live.stop()  # the bars stand still, and the summary comes last
                self._take(event)
        return self.exit_code

    def _take(self, event: ev.Event) -> None:
        self._state = fold(self._state, event)
        for line in self._lines(event):
            self._console.print(line)
        if isinstance(event, ev.RunFinished):
            self.exit_code = event.exit_code

    def _lines(self, event: ev.Event) -> Iterable[RenderableType]:
        if isinstance(event, ev.PhaseStarted | ev.PhaseFinished):
            if not self._console.is_terminal:
                yield phase_line(event.phase, self._state.phases[event.phase], event.at)
            return
        yield from report.lines(event, self._state)

    def _panel(self) -> RenderableType:
        """The bars, below the lines."""
        if not self._state.subject_pid:
            return Text()
        return phase_table(self._state, self._clock(), self._console.width)


def phase_line(phase: Phase, state: PhaseState, now: float) -> Text:
    """One phase as a line of a log."""
    line = Text(f"{SYMBOLS[state.status]} {phase:<9}", style=STYLES[state.status])
    line.append(f" {amount(state):>15} {state.unit}", style="not bold")
    if state.status != "running":
        took = "kept" if state.status == "kept" else seconds(state.elapsed_s(now))
        line.append(f"  {took}", style="not bold")
        if state.rate:
            line.append(f"  {rate(state.rate)}")
    if state.detail:
        line.append(f"  {clean(state.detail)}", style="dim")
    return line


def phase_table(state: RunState, now: float, width: int) -> Table:
    """All phases, a row each: symbol, name, bar, done/total, rate, time left or taken, detail."""
    table = Table.grid(padding=(0, 1))
    bar = 20 if width >= 100 else 12
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, width=8)
    table.add_column(no_wrap=True, width=bar)
    for least in (13, 7, 10):  # so that columns stand still while their numbers grow
        table.add_column(no_wrap=True, justify="right", min_width=least)
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    for phase, current in state.phases.items():
        style = STYLES[current.status]
        table.add_row(
            Text(SYMBOLS[current.status], style=style),
            Text(phase, style=style),
            _bar(current, bar),
            Text(amount(current)),
            Text(rate(current.rate) if current.rate else ""),
            Text(_time(current, now)),
            Text(_detail(current, state, now), style="dim"),
        )
    table.expand = True
    return table


def _bar(state: PhaseState, width: int) -> RenderableType:
    if state.status == "waiting":
        return Text("─" * width, style="dim")
    full = state.status in ("done", "kept")
    return ProgressBar(total=state.total or 1, completed=(state.total or 1) if full else state.done, width=width)


def _time(state: PhaseState, now: float) -> str:
    if state.status == "kept":
        return "kept"
    if state.eta_s is not None and now - state.moved_at < STILL_S:
        return f"{seconds(state.eta_s)} left"
    return seconds(state.elapsed_s(now)) if state.started_at else ""


def _detail(state: PhaseState, run: RunState, now: float) -> str:
    if state.status == "running" and not run.finished and now - state.moved_at >= STILL_S:
        return f"no progress for {seconds(now - state.moved_at)}"
    return shortened(clean(state.detail), 200)
