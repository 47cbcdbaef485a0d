"""A stage for the app: fed with events by hand, its clock standing still, at any size."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from cvdebug.core import events as ev
from cvdebug.core.commands import Cancel, Command
from cvdebug.tui.app import CvdebugApp
from cvdebug.tui.scene import Kind
from textual.pilot import Pilot

DEADLINE_S = 10.0
START = 1_700_000_000.0
SIZES = {"wide": (160, 50), "medium": (120, 40), "narrow": (80, 24)}


class Fed:
    """A source that says what it is given and then waits until it is cancelled; `sent` are the commands it got."""

    def __init__(self, events: Iterable[ev.Event]) -> None:
        self._events = list(events)
        self._over = threading.Event()
        self.said = threading.Event()
        self.sent: list[Command] = []

    def events(self) -> Iterator[ev.Event]:
        yield from self._events
        self.said.set()
        self._over.wait()

    def send(self, command: Command) -> None:
        self.sent.append(command)
        if isinstance(command, Cancel):
            self._over.set()


class Feed:
    """An opening on events; `opened` are its sources, `asked` what was to be changed each time it was opened again."""

    name = "test"
    kind: Kind = "run"

    def __init__(self, events: Iterable[ev.Event] = ()) -> None:
        self._events = list(events)
        self.opened: list[Fed] = []
        self.asked: list[tuple[str | None, Mapping[str, Any]]] = []

    def open(self) -> Fed:
        self.opened.append(Fed(self._events))
        return self.opened[-1]

    def again(self, *, scenario: str | None = None, flags: Mapping[str, Any] = {}) -> Feed:
        self.asked.append((scenario, flags))
        return self


class Stage:
    """An app on stage. `feed` gives it more events, `text` is what it shows, a line each."""

    def __init__(self, app: CvdebugApp, pilot: Pilot[int], feed: Feed) -> None:
        self.app, self.pilot, self.source = app, pilot, feed
        self.now = START

    @property
    def lines(self) -> list[str]:
        compositor = self.app.screen._compositor
        return [strip.text.rstrip() for strip in compositor.render_strips()]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    @property
    def sent(self) -> list[Command]:
        return self.source.opened[-1].sent

    async def feed(self, *events: ev.Event) -> None:
        """More happens, and is shown."""
        for event in events:
            self.app.bridge.hear(event)
        await self.tick()

    async def tick(self) -> None:
        self.app.tick()
        await self.pilot.pause(0)
        await self.pilot.pause(0)

    async def until(self, what: Callable[[], object]) -> None:
        """Ticks until something is true."""
        deadline_s = time.monotonic() + DEADLINE_S
        while not what():
            assert time.monotonic() < deadline_s, f"it did not come true; the screen shows\n{self.text}"
            await asyncio.sleep(0.01)
            await self.tick()

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.tick()


@asynccontextmanager
async def stage(
    events: Iterable[ev.Event] = (),
    *,
    size: str | tuple[int, int] = "wide",
    now: float = START,
    notifications: bool = True,
    **options: Any,
) -> AsyncIterator[Stage]:
    """An app that was fed `events`; `now` is what its clock says, in seconds since the epoch."""
    given = list(events)
    feed = Feed(given)
    shown: list[Stage] = []
    app = CvdebugApp(feed, clock=lambda: shown[0].now if shown else now, ticks_per_s=0, **options)
    try:
        cells = SIZES[size] if isinstance(size, str) else size
        async with app.run_test(size=cells, notifications=notifications) as pilot:
            show = Stage(app, pilot, feed)
            show.now = now
            shown.append(show)
            await show.until(lambda: feed.opened and feed.opened[-1].said.is_set())
            await show.tick()
            yield show
    finally:
        app.end()
