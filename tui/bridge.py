"""Where the core's events become the app's: one thread iterates the source, and each tick folds what came.

The thread only queues; everything is folded in the app's own thread, so that no panel can see a half-made state.
Nothing here draws.
"""

from __future__ import annotations

import math
import signal
import threading
import time
from collections import deque
from collections.abc import Callable

from textual.message import Message

from ..core import events as ev
from ..core.commands import Cancel, Command, Live
from ..core.errors import CvdebugError
from ..core.history import History
from ..core.recording import Recording
from ..core.state import RunState, fold
from .logbook import LogBook
from .scene import Scene, Selection

Open = Callable[[], Live]

# So many events wait to be folded at most, and so often a source that waits for room looks.
MOST_WAITING, ROOM_S = 5_000, 0.02
# Whoever waits for the end of a source looks so often whether it is there.
TURN_S = 0.1


class Ended(Message):
    """The stream is over. `error` says why it could not begin or broke off, None at a regular end."""

    def __init__(self, bridge: Bridge, error: Exception | None) -> None:
        super().__init__()
        self.bridge, self.error = bridge, error


class Bridge:
    """One source of events, from its opening to its end. All but the queueing happens in the thread that calls."""

    def __init__(self, open_: Open, post: Callable[[Message], object], *, may_wait: bool = False) -> None:
        """`open_` is called in the bridge's thread: it may take its time. `post` must be safe to call from there. A
        source that `may_wait` is held up while too much of it waits here; what watches something must go on.
        """
        self.state = RunState()
        self.history = History()
        self.log = LogBook()
        self.recording = Recording()
        self.over = False
        self._open, self._may_wait = open_, may_wait
        self._post = post
        self._queue: deque[ev.Event] = deque()
        self._live: Live | None = None
        self._unsent: list[Command] = []
        self._cancelled = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, daemon=True, name="session")

    def start(self) -> None:
        """Opens the source and begins to listen."""
        self._thread.start()

    def send(self, command: Command) -> None:
        """Asks something of the source; where it is not open yet, as soon as it is, and when it is over never."""
        with self._lock:
            if self.over:
                return
            if self._live is None:
                self._unsent.append(command)
            else:
                self._live.send(command)

    def cancel(self, by: signal.Signals = signal.SIGINT) -> None:
        """Begins to end what the source started. Only the first call counts."""
        if not self._cancelled:
            self._cancelled = True
            self.send(Cancel(by))

    def stop(self, deadline_s: float) -> bool:
        """Ends what the source started and waits for that; whether it is over."""
        self.cancel()
        end_s = time.monotonic() + deadline_s
        # In short turns: a signal that comes just before a wait begins is heard only after it.
        while self._thread.is_alive() and (left_s := end_s - time.monotonic()) > 0:
            self._thread.join(min(left_s, TURN_S))
        return not self._thread.is_alive()

    def hear(self, event: ev.Event) -> None:
        """Takes an event in, in any thread; it counts from the next `fold` on."""
        self._queue.append(event)

    @property
    def waiting(self) -> int:
        """How many events wait to be folded."""
        return len(self._queue)

    def fold(self, within_s: float = math.inf) -> tuple[ev.Event, ...]:
        """Takes in what has come since the last call, as much as fits into that time, and says what that was."""
        news, end_s = [], time.monotonic() + within_s
        while self._queue and time.monotonic() < end_s:
            event = self._queue.popleft()
            news.append(event)
            self.state = fold(self.state, event)
            self.history.take(event, self.state)
            self.log.take(event, self.state)
            self.recording.write(event)
        return tuple(news)

    def close(self) -> None:
        """Gives back what was kept of it; nothing is folded any more."""
        self.recording.close()

    def scene(self, now: float, selection: Selection) -> Scene:
        """What there is to show. After the end, time stands still."""
        return Scene(self.state, self.state.ended_at or now, self.history, self.log, selection)

    def _run(self) -> None:
        error: Exception | None = None
        try:
            live = self._open()
            with self._lock:
                self._live = live
                for command in self._unsent:
                    live.send(command)
            for event in live.events():
                self.hear(event)
                self._wait_for_room()
        except CvdebugError as caught:
            error = caught
        except Exception as caught:  # noqa: BLE001  (a defect: whoever waits for the end must hear of it)
            error = caught
        self.over = True
        self._post(Ended(self, error))

    def _wait_for_room(self) -> None:
        """A recording that is played at once is faster than the app."""
        while self._may_wait and self.waiting >= MOST_WAITING and not self._cancelled:
            time.sleep(ROOM_S)
