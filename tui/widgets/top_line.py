"""The top line: what runs, how it stands, the toggle, and when something happened last. Always in sight."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len, set_cell_size
from textual import events

from ...core.state import RunState
from ..drawing.words import STATUS, STILL_S, hung
from ..scene import Scene
from ..text import clean, counted, seconds
from .drawn import Drawn
from .rows import Part

if TYPE_CHECKING:
    from ..app import CvdebugApp

TOGGLE = " TOKENIZERS_PARALLELISM:"
# A switch with three positions, as text.
SWITCH = {"on": "on ━━●", "off": "off ●━━", "unset": "unset ━●━"}
STATUS_WIDTH = len(" ✗ proven deadlock ")
ELAPSED_WIDTH = len("elapsed 59:59")
PROGRESS_WIDTH = len("last progress 9 min 59 s ago")
# Up to this width a few words are left out.
NARROW = 100
# What stands right gives way, its first part first, where less than this is left for the name of what runs.
LEAST_LEFT = STATUS_WIDTH + len("  cv-pipeline")
PAUSED = " PAUSED:"

Line = tuple[list[Part], list[Part]]  # what stands left, and what stands right


class TopLine(Drawn[tuple[Line, Line]], can_focus=False):
    """Two lines. A click on the switch is the key for it; one on the banner of a pause ends that."""

    app: CvdebugApp

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"rows--block-{tone}" for tone in ("bad", "good", "warn", "accent", "dim")}
    DEFAULT_CSS = """
    TopLine { height: 2; }
    TopLine > .rows--block-bad { color: $text-error; text-style: bold reverse; }
    TopLine > .rows--block-good { color: $text-success; text-style: bold reverse; }
    TopLine > .rows--block-warn { color: $text-warning; text-style: bold reverse; }
    TopLine > .rows--block-accent { color: $text-accent; text-style: bold reverse; }
    TopLine > .rows--block-dim { color: $text-muted; text-style: bold reverse; }
    """

    def show(self, scene: Scene) -> None:
        """Shows what there is now."""
        wide, narrow = (_lines(scene, short=short) for short in (False, True))
        self.show_rows([(wide[0], narrow[0]), (wide[1], narrow[1])])

    def draw(self, row: tuple[Line, Line], width: int) -> Iterable[Part]:
        left, right = row[width < NARROW]
        while len(right) > 1 and width - _width(right) < LEAST_LEFT:
            right = right[1:]
        room = width - _width(right)
        for text, tone in left:
            if cell_len(text) > room:
                text = "" if tone == "dim" or room < 1 else set_cell_size(text, room - 1) + "…"
            yield text, tone
            room -= cell_len(text)
        yield " " * max(0, room), left[0][1] if left[0][0].startswith(PAUSED) else ""
        yield from right

    def on_click(self, event: events.Click) -> None:
        if self.app.scene.paused and event.y == 1:
            self.app.action_do("pause")
        elif event.y == 1 and event.x < len(TOGGLE) + 16 and not self.app.scene.followed:
            self.app.action_do("toggle")


def _lines(scene: Scene, *, short: bool) -> tuple[Line, Line]:
    state = scene.state
    symbol, tone = STATUS[state.status]
    block: Part = (f" {symbol} {state.status} ".ljust(STATUS_WIDTH), f"block-{tone}")
    recording: list[Part] = [(" ", ""), (" ● recording ", "block-accent")] if scene.kind == "recording" else []
    first = ([block, ("  ", ""), *_what(scene)], _times(scene, short=short))
    if scene.paused:
        return first, ([(_banner(scene.now), "block-warn")], recording)
    second = _followed(state) if scene.followed else _toggle(scene, short=short)
    return first, (second[0], [*second[1], *recording])


def _what(scene: Scene) -> list[Part]:
    """What runs, the name first."""
    state = scene.state
    if state.attached:
        verb = "watching" if state.attached.watched else "attached to"
        return [(f"{verb} PID {state.attached.pid}  ", "bold"), (clean(" ".join(state.attached.command)), "")]
    if scene.followed:
        return [("the first look is under way", "bold")]
    return [(clean(state.scenario) or "the run is being prepared", "bold"), ("  " + clean(state.title), "dim")]


def _times(scene: Scene, *, short: bool) -> list[Part]:
    """How long it goes on, and since when it does not; as wide whatever they say."""
    state = scene.state
    if not state.started_at:
        return []
    spent = clock(scene.now - state.started_at)
    if state.finished:
        return [(f"  ended {_hour(scene.now)} after {spent} ", "")]
    if state.attached:
        return [(f"  followed {spent}".ljust(ELAPSED_WIDTH + 5), "")]
    still_s = max(0.0, scene.now - state.moved_at)
    tone = "bad" if hung(state) else "warn" if still_s > STILL_S else ""
    gap = "  " if short else "    "
    progress = f"last progress {seconds(still_s)} ago".ljust(PROGRESS_WIDTH)
    return [(f"{gap}elapsed {spent}".ljust(ELAPSED_WIDTH + len(gap)), ""), (f"{gap}{progress} ", tone)]


def _toggle(scene: Scene, *, short: bool) -> Line:
    state = scene.state
    value = state.parallelism or str(state.settings.get("parallelism", "")) or "unset"
    left: list[Part] = [(TOGGLE, "bold"), (f" {SWITCH.get(value, clean(value))} ", "block-accent")]
    if scene.next_toggle and scene.next_toggle != value:
        chosen = f" → {scene.next_toggle} [r]" if short else f" → next run: {scene.next_toggle}   [r] starts it   [p]"
        left.append((chosen, "warn"))
    elif scene.kind == "run":
        left.append((" [p]" if short else " [p] changes it", "dim"))
    if not state.start_method:
        return left, []
    by = state.start_method if short else f"start method {state.start_method}"
    return left, [(f"{by}, {counted(state.workers_wanted, 'worker')} ", "")]


def _followed(state: RunState) -> Line:
    if not state.processes:
        return [("", "")], []
    dead = sum(process.dead for process in state.processes.values())
    counts = f"{counted(len(state.processes), 'process')}, {counted(len(state.threads), 'thread')}"
    return [(" " + counts, "bold"), (f"  ✗ {dead:,} dead" if dead else "", "bad")], []


def _banner(at: float) -> str:
    return f"{PAUSED} what you see is from {_hour(at)}; sampling goes on, z continues "


def _width(parts: Sequence[Part]) -> int:
    return sum(cell_len(text) for text, _ in parts)


def _hour(at: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(at))


def clock(value_s: float) -> str:
    """A duration as on a stop watch."""
    minutes, rest = divmod(max(0, int(value_s)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
