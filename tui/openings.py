"""What the app can be opened on besides a run, and how the same is shown without it."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator, Mapping
from types import FrameType
from typing import TYPE_CHECKING, Any, NamedTuple

from ..core.commands import Cancel
from .scene import Kind
from .terminal import ENDING

if TYPE_CHECKING:
    from ..core.commands import Live


class Source(NamedTuple):
    """A tree, a command or a recording: it has no settings to be repeated with. `make` opens it, each time anew."""

    name: str
    make: Callable[[], Live]
    kind: Kind = "tree"

    def open(self) -> Live:
        return self.make()

    def again(self, *, scenario: str | None = None, flags: Mapping[str, Any] = {}) -> Source:
        return self


@contextlib.contextmanager
def ended_by_signals(live: Live) -> Iterator[None]:
    """While it is shown without the app, a signal that asks for the end ends the source as it wants to be ended."""

    def end(number: int, frame: FrameType | None) -> None:
        live.send(Cancel(signal.Signals(number)))

    before = {number: signal.signal(number, end) for number in ENDING if signal.getsignal(number) != signal.SIG_IGN}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
