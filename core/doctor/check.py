"""What a check is, and what it answers."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from ..settings import Settings

# They run side by side, and take two or three seconds together: this is for a machine that is very busy.
DEADLINE_S = 15.0


T = TypeVar("T")


class Status(StrEnum):
    """How a check went, best first. Only `failed` changes the exit code."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    FAILED = "failed"


class Answer(msgspec.Struct, frozen=True):
    """What was found, as a sentence without its full stop, and advice as a sentence."""

    status: Status
    found: str
    hint: str = ""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One check's result, as a person and as JSON see it. `why` says what depends on it."""

    name: str
    status: Status
    found: str
    why: str
    hint: str = ""


class Shared:
    """What the checks of one examination use together: made by the first that wants it, given back at the end."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._stack = ExitStack()
        self._made: dict[Any, Any] = {}

    def use(self, make: Callable[[], AbstractContextManager[T]]) -> T:
        """What `make` gives. Whatever it raises is raised, and the next who asks tries again."""
        with self._turn:
            if make not in self._made:
                self._made[make] = self._stack.enter_context(make())
            found: T = self._made[make]
            return found

    def close(self) -> None:
        """Gives everything back; nothing, while an overdue check is still making something."""
        if not self._turn.acquire(blocking=False):
            return
        try:
            self._made.clear()
            self._stack.close()
        finally:
            self._turn.release()


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """What is examined. `root` stands before /proc, /sys and /dev, `python` and `environment` are for child processes.

    `trouble` is why the settings could not be read; `settings` are then the defaults.
    """

    settings: Settings = Settings()
    trouble: str = ""
    root: Path = Path("/")
    python: str = sys.executable
    environment: Mapping[str, str] = msgspec.field(default_factory=lambda: dict(os.environ))
    shared: Shared = msgspec.field(default_factory=Shared)


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """A check of the registry. `probe` may raise: a CvdebugError is its answer, anything else a defect.

    `quick`: it only reads what the kernel says, and so is carried out at once, even where no thread can be started.
    """

    name: str
    why: str
    probe: Callable[[Machine], Answer]
    deadline_s: float = DEADLINE_S
    quick: bool = False


def ok(found: str, hint: str = "") -> Answer:
    """All is well."""
    return Answer(Status.OK, found, hint)


def note(found: str, hint: str = "") -> Answer:
    """Worth knowing, and nothing is wrong."""
    return Answer(Status.NOTE, found, hint)


def warning(found: str, hint: str = "") -> Answer:
    """Something of cvdebug will not work, or not well."""
    return Answer(Status.WARNING, found, hint)


def failed(found: str, hint: str = "") -> Answer:
    """A run, or a look at any program, cannot work."""
    return Answer(Status.FAILED, found, hint)


def worst(statuses: list[Status]) -> Status:
    """The worst of them; ok when there are none."""
    return max(statuses, key=list(Status).index, default=Status.OK)


def worst_of(answers: list[Answer]) -> Answer:
    """Several answers as one: the worst status, what all found, and the advice of those that are not well."""
    hints = dict.fromkeys(answer.hint for answer in answers if answer.hint and answer.status is not Status.OK)
    found = "; ".join(answer.found for answer in answers)
    return Answer(worst([answer.status for answer in answers]), found, " ".join(hints))
