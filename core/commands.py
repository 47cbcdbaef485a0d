"""What a person can ask of a run while it goes on, and what every source of events offers to a front end."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Protocol

import msgspec

from .events import Event
from .model import Strategy


class Cancel(msgspec.Struct, frozen=True):
    """End the run, or leave the tree that is followed, as if by that signal."""

    by: signal.Signals = signal.SIGINT


class Propose(msgspec.Struct, frozen=True):
    """Say every plan that can be had for the hang, as `proposed` events; with `measure` the price of one of them."""

    measure: Strategy | None = None


class Fix(msgspec.Struct, frozen=True):
    """Fix the hang. `yes` lets it end other people's database sessions."""

    strategy: Strategy
    yes: bool = False


class Dump(msgspec.Struct, frozen=True):
    """Read the stacks of a process now. `native` stops it for milliseconds: where that could destroy data it is
    refused with the reason."""

    pid: int
    native: bool = False


class Kill(msgspec.Struct, frozen=True):
    """Send a signal to a process of the tree; `start_ticks` makes sure that it is still the same one."""

    pid: int
    start_ticks: int
    signal: signal.Signals


Command = Cancel | Propose | Fix | Dump | Kill


class Live(Protocol):
    """A source of events: a run, a tree that is followed, a recording.

    `events` may be iterated once, in one thread; whatever happens, leaving it ends and gives back what it started.
    `send` may be called from any thread, and returns at once: the answer comes as events.
    """

    def events(self) -> Iterator[Event]: ...

    def send(self, command: Command) -> None: ...
