"""Draws the app as it was at moments of recorded runs: `python -m tests.pictures`, or `make screenshots`.

Some of the pictures are the README's, the others show every screen; tests compare all of them with what the app draws
now. They look the same on every machine and at every hour.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple
from unittest import mock

from cvdebug.core.model import Phase
from cvdebug.core.state import RunState
from cvdebug.tui import first_time
from textual.widgets import Input

from .tui.recorded import up_to
from .tui.stage import SIZES, stage

PROJECT = Path(__file__).parents[1]
README, SCREENS = "docs", "tests/tui/__snapshots__"

When = Callable[[RunState], object]


class Picture(NamedTuple):
    """A moment of a recorded run, `later_s` seconds after its last event, and what a person does then."""

    folder: str
    name: str
    recording: str
    when: When
    do: str = ""  # the id of an action
    keys: Sequence[str] = ()
    size: tuple[int, int] = SIZES["medium"]
    theme: str = "dark"
    later_s: float = 0.0
    tour: bool = False

    @property
    def path(self) -> Path:
        return PROJECT / self.folder / f"{self.name}.svg"


def _embeds(state: RunState) -> bool:
    return state.phases[Phase.EMBED].done > 500 and bool(state.threads)


def _priced(state: RunState) -> bool:
    """A hang, all of it known."""
    return state.stuck is not None and any(plan.prices for plan in state.proposals.values())


def _stuck(state: RunState) -> bool:
    return state.stuck is not None and state.graph is not None


def _finished(state: RunState) -> bool:
    return state.finished is not None


def _indexes(state: RunState) -> bool:
    index = state.phases[Phase.INDEX]
    return index.status == "running" and bool(state.verdicts)


def _main(name: str, recording: str, when: When, *sizes: str) -> Iterator[Picture]:
    """The main screen at some sizes."""
    for size in sizes:
        yield Picture(SCREENS, f"{name}-{size}", recording, when, size=SIZES[size])


def _narrow(name: str, recording: str, when: When, do: str = "", keys: Sequence[str] = ()) -> Picture:
    """A screen where there is least room."""
    return Picture(SCREENS, name, recording, when, do, keys, size=SIZES["narrow"])


PICTURES = (
    Picture(README, "running", "healthy", _embeds),
    Picture(README, "hang", "deadlock-and-fix", _priced),
    Picture(README, "graph", "deadlock-and-fix", _priced, "graph", size=(120, 24)),
    Picture(README, "fixed", "deadlock-and-fix", _finished, "summary"),
    Picture(README, "attached", "attached", _stuck, later_s=12.0),
    *_main("running", "healthy", _embeds, "wide", "narrow"),
    *_main("hang", "deadlock-and-fix", _priced, "wide", "narrow"),
    *_main("completed", "healthy", _finished, "wide", "medium", "narrow"),
    _narrow("fix", "deadlock-and-fix", _priced, "fix"),
    _narrow("graph", "deadlock-and-fix", _priced, "graph"),
    _narrow("explain", "deadlock-and-fix", _priced, "explain"),
    _narrow("help", "deadlock-and-fix", _priced, "help"),
    _narrow("signal", "deadlock-and-fix", _priced, "kill"),
    _narrow("summary", "deadlock-and-fix", _finished, "summary"),
    _narrow("scenarios", "healthy", _embeds, "scenarios"),
    _narrow("again", "healthy", _embeds, "toggle"),
    _narrow("native", "healthy", _embeds, "native"),
    _narrow("stack", "deadlock-and-fix", _priced, keys=("5",)),
    _narrow("tour", "healthy", _embeds)._replace(tour=True),
    Picture(SCREENS, "too-small", "healthy", _embeds, size=(50, 12)),
    Picture(SCREENS, "attached", "attached", _stuck),
    Picture(SCREENS, "database-lock", "database-lock", _stuck, keys=("6",)),
    Picture(SCREENS, "slow-index", "slow-index", _indexes, keys=("6",)),
    Picture(SCREENS, "paused", "healthy", _embeds, "pause"),
    Picture(SCREENS, "filter", "healthy", _embeds, keys=("3", "slash", *"worker")),
    Picture(SCREENS, "light", "deadlock-and-fix", _priced, theme="light"),
    Picture(SCREENS, "projector", "deadlock-and-fix", _priced, theme="projector"),
)


@contextlib.contextmanager
def same_everywhere() -> Iterator[None]:
    """The app knows nothing of the machine: its time zone, its wish for no colour, what it has seen of the tour."""
    with tempfile.TemporaryDirectory() as home, mock.patch.dict(os.environ, {"CVDEBUG_HOME": home, "TZ": "UTC"}):
        os.environ.pop("NO_COLOR", None)
        time.tzset()
        first_time.remember()
        try:
            yield
        finally:
            os.environ.pop("TZ")
            time.tzset()


async def draw(picture: Picture) -> str:
    """The picture as SVG."""
    events = up_to(picture.recording, picture.when)
    now = events[-1].at + picture.later_s
    with same_everywhere():
        async with stage(events, size=picture.size, now=now, notifications=False, tour=picture.tour) as show:
            show.app.theme = picture.theme
            if picture.do:
                show.app.action_do(picture.do)
            await show.press(*picture.keys)
            for typed in show.app.screen.query(Input):
                typed.cursor_blink = False
            for _ in range(2):
                await show.tick()
                await show.pilot.pause()
            return everywhere(show.app.export_screenshot(title="cvdebug"))


def everywhere(svg: str) -> str:
    """The picture without addresses of fonts: any monospaced one will do, and a README loads nothing from elsewhere.

    Spaces at the ends of a text count, for every viewer, and no name in it changes with each drawing.
    """
    svg = re.sub(r"@font-face\s*\{.*?\}", "", svg, flags=re.DOTALL)
    svg = re.sub(r"\bterminal-\d+-", "terminal-", svg)
    return svg.replace("<svg ", '<svg xml:space="preserve" ', 1)


def main() -> None:
    for picture in PICTURES:
        picture.path.parent.mkdir(parents=True, exist_ok=True)
        picture.path.write_text(asyncio.run(draw(picture)))
        print(picture.path.relative_to(PROJECT))


if __name__ == "__main__":
    main()
