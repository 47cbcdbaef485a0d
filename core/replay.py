"""Plays a recording as if it happened now: the journal of a run, or what `attach --record` left.

Nothing is started, looked at or changed: commands other than the end of the show are answered with a sentence.
"""

from __future__ import annotations

import math
import stat
import threading
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from . import events as ev
from .commands import Cancel, Command
from .errors import InputError, UsageError
from .folders import runs_folder
from .journal import read

JOURNAL = "events.jsonl"
# A longer silence is cut short: a tree that was followed over night should not take a night to look at.
LONGEST_GAP_S = 10.0
# The speed at which nothing is waited for.
AT_ONCE = 0.0
# After the year 5000: no date that a front end could write.
_LATEST_S = 1e11


class Replay:
    """Plays `path`; `speed` 2 is twice as fast as it happened, `AT_ONCE` waits for nothing.

    The whole file is read once when this is made. Raises InputError for one that cannot be read, holds no event, or
    is no recording of this version; UsageError for what is no file.
    """

    def __init__(self, path: Path, speed: float = 1.0) -> None:
        if speed < 0 or not math.isfinite(speed):
            raise UsageError(f"the speed {speed} makes no sense", hint="2 is twice as fast as it was; max waits never.")
        self._path, self._speed = path, speed
        self._at = _examine(path)  # where the show stands, in the time of the recording
        self._next_at = self._at
        self._due_s = 0.0  # when that moment was to be shown, monotonic; 0 before the beginning
        self._over = False
        self._answered = False
        self._asked: deque[Command] = deque()
        self._woken = threading.Condition()

    def events(self) -> Iterator[ev.Event]:
        """The events as they were recorded, with the times that they had."""
        self._due_s = time.monotonic()
        event: ev.Event = ev.Log(text="")
        for event in read(self._path):
            yield from self._wait_for(event)
            if self._over:
                return
            yield event
        if not isinstance(event, ev.RunFinished):
            yield self._stamped("the recording ends here: the end of what it shows is not in it")

    def send(self, command: Command) -> None:
        with self._woken:
            self._over = self._over or isinstance(command, Cancel)
            self._asked.append(command)
            self._woken.notify()

    def clock(self) -> float:
        """What time it is in the recording, in seconds since the epoch: between two events it moves, and not after
        the last one."""
        at, next_at, due_s = self._at, self._next_at, self._due_s
        passed_s = (time.monotonic() - due_s) * self._speed if due_s else 0.0
        return max(at, min(next_at, at + passed_s))

    def _wait_for(self, event: ev.Event) -> Iterator[ev.Event]:
        """Waits until it is time for `event`; meanwhile it answers what is asked."""
        gap_s = 0.0
        if self._speed and not (isinstance(event, ev.RunStarted) and event.resumed):
            gap_s = min(LONGEST_GAP_S, max(0.0, event.at - self._at) / self._speed)
        self._next_at = event.at
        due_s = self._due_s + gap_s
        while True:
            with self._woken:
                self._woken.wait_for(lambda: self._asked, max(0.0, due_s - time.monotonic()))
                asked = bool(self._asked)
                self._asked.clear()
            if self._over or not asked:
                break
            if not self._answered:
                self._answered = True
                yield self._stamped("this is a recording: what it shows is over, and nothing can be done to it")
        self._at, self._due_s = event.at, due_s

    def _stamped(self, text: str) -> ev.Event:
        return ev.stamp(ev.Log(text=text, level="warning"), at=self.clock(), source="session")


def find(word: str) -> Path:
    """The recording that a person means: a file, the folder of a run, or the name of a run that was kept.

    Raises UsageError when there is none.
    """
    path = Path(word).expanduser()
    if path.is_dir() and (path / JOURNAL).is_file():
        return path / JOURNAL
    if path.exists():
        return path
    kept = runs_folder() / word / JOURNAL
    if word and "/" not in word and kept.is_file():
        return kept
    hint = "cvdebug runs lists the runs that were kept; run, resume and attach --record FILE make recordings."
    raise UsageError(f"there is no recording {word!r}: neither a file nor a run", hint=hint)


def _examine(path: Path) -> float:
    """Reads all of it; the time of the first event."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror})") from None
    if not stat.S_ISREG(mode):
        what = "a folder" if stat.S_ISDIR(mode) else "no ordinary file"
        raise UsageError(f"{path} is {what}, and no recording", hint="run, resume and attach --record FILE make one.")
    first_at = None
    for number, event in enumerate(read(path), 1):
        if not 0 <= event.at < _LATEST_S:
            raise InputError(f"{path}, line {number}: its time, {event.at:g} s since 1970, makes no sense")
        first_at = event.at if first_at is None else first_at
    if first_at is None:
        raise InputError(f"{path} holds no event", hint="Was it cut short, or is it another file?")
    return first_at
