"""The Charts panel: how the run's numbers went over time, a sparkline each, with what they are now and were at most."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from textual import events

from ...core.history import POINTS, STEP_S, History, Series
from ...core.model import Phase
from ...core.state import RunState
from ..scene import Scene
from ..text import clean, rate, seconds, shortened, size
from .blocks import resampled, spark
from .drawn import Drawn
from .rows import Part

LABEL, VALUE = 13, 9
# A panel narrower than this leaves the greatest value out.
WITH_MOST = 46
# A rate is said over this many points, since work is done in batches.
RATE_POINTS = 4
# Lines that the charts other than those by process take.
OTHERS = 5


class Chart(NamedTuple):
    """One chart. `points` end at the time line's place `end`; each cell shows `each` of them. `empty` is said instead
    where there are none; `line` of `lines` is what this row shows."""

    label: str
    points: tuple[float, ...]
    end: int
    each: int
    top: float
    now: str
    most: str
    empty: str
    line: int = 0
    lines: int = 1


class Charts(Drawn[Chart]):
    """As many charts as there is room for; two lines each where there is plenty."""

    BORDER_TITLE = "Charts"
    HELP = "What came in the last seconds: speed, CPU by process, memory, rows; the value now and the greatest one."

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._scene: Scene | None = None

    def show(self, scene: Scene) -> None:
        """Shows what there is now."""
        self._scene = scene
        width, height = self.size
        cells = _spark_width(width)
        end = scene.history.slot(scene.now)
        each = 1
        while cells * each < min(end + 1, POINTS):
            each *= 2
        subtitle = f"the last {seconds(cells * each * STEP_S).replace('.0 s', ' s')}"
        if self.border_subtitle != subtitle:
            self.border_subtitle = subtitle
        charts = list(_charts(scene, end, each, max(1, height - OTHERS)))
        lines = 2 if height >= 2 * len(charts) else 1
        self.show_rows([chart._replace(line=line, lines=lines) for chart in charts for line in range(lines)])

    def on_resize(self, event: events.Resize) -> None:
        if self._scene is not None:
            self.show(self._scene)

    def draw(self, row: Chart, width: int) -> Iterable[Part]:
        last = row.line == row.lines - 1
        yield (shortened(row.label, LABEL) if last else "").ljust(LABEL) + " ", "dim" if not row.points else ""
        if not row.points:
            yield row.empty if last else "", "dim"
            return
        cells = resampled(row.points, each=row.each, end=row.end, width=_spark_width(width))
        yield spark(cells, row.top, row.lines)[row.line], "accent"
        if last:
            yield f" {row.now:>{VALUE}}", "bold"
            if width >= WITH_MOST:
                yield f"  max {row.most:>{VALUE}}", "dim"


def _spark_width(width: int) -> int:
    most = len("  max ") + VALUE if width >= WITH_MOST else 0
    return max(4, width - LABEL - 2 - VALUE - most)


def _charts(scene: Scene, end: int, each: int, room: int) -> Iterator[Chart]:
    """What is worth a chart, for a run or for a tree; `room` lines are for those by process."""
    history, state = scene.history, scene.state
    run = not scene.followed
    if run:
        speed = history.chunks_per_s.upto(end)
        recent = sum(speed[-RATE_POINTS:]) / len(speed[-RATE_POINTS:]) if speed else 0.0
        most = max((sum(speed[n : n + RATE_POINTS]) / RATE_POINTS for n in range(len(speed))), default=0.0)
        yield Chart("chunks/s", tuple(speed), end, each, max(speed, default=0.0), rate(recent), rate(max(most, recent)),
                    "appears with embedding")  # fmt: skip
    yield from _processes(history, state, end, each, room)
    over = _over(state)
    for label, series in (("memory, all", history.rss_sum), ("memory, most", history.rss_max)):
        yield _gauge(label, series, end, each, size, "appears with processes", over=over)
    if not run:
        yield _gauge("threads", history.threads, end, each, _count, "appears with processes", over=over)
        return
    total = float(state.phases[Phase.STORE].total)
    yield _gauge("rows stored", history.rows, end, each, _count, "appears with storing", top=total)
    yield _gauge("index built", history.index, end, each, _percent, "appears with the index", top=1.0)


def _processes(history: History, state: RunState, end: int, each: int, room: int) -> Iterator[Chart]:
    """CPU of each process where they fit, else of all and of the busiest; a full column is one core or more."""
    empty = "appears with processes"
    found = {pid: series for pid, series in history.cpu.items() if pid in state.processes}
    if 0 < len(found) <= room and len(found) == len(state.processes):
        for pid, series in found.items():
            name = clean(state.processes[pid].role) or str(pid)
            yield _gauge(f"CPU {name}", series, end, each, _percent, empty, top=1.0)
        return
    yield _gauge("CPU, all", history.cpu_sum, end, each, _percent, empty, top=1.0, over=_over(state))
    if found and room > 1:
        busiest = max(found, key=lambda pid: found[pid].upto(end)[-1:])
        name = clean(state.processes[busiest].role) or str(busiest)
        yield _gauge(f"top: {name}", found[busiest], end, each, _percent, empty, top=1.0)


def _over(state: RunState) -> bool:
    """Whether there is no process any more that could be measured."""
    return state.finished is not None and not state.processes


def _gauge(
    label: str,
    series: Series,
    end: int,
    each: int,
    words: Callable[[float], str],
    empty: str,
    *,
    top: float = 0.0,
    over: bool = False,
) -> Chart:
    """A chart of values; a full column is `top`, or the greatest where that is more; `over`: there is no value now."""
    points = tuple(series.upto(end))
    most = max(points, default=0.0)
    now = "–" if over else words(points[-1]) if points else ""
    return Chart(label, points, end, each, max(top, most), now, words(most), empty)


def _percent(value: float) -> str:
    return f"{value:.0%}"


def _count(value: float) -> str:
    return f"{value:,.0f}"
