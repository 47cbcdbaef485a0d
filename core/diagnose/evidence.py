"""All that is known about one dead process: what the rules judge. No I/O."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from ..model import Culprit, Frame, ProcessSnapshot, Stack, ThreadSnapshot
from ..observe.proc import Futex, futex

# What the library takes for false, in any case; everything else that is set is true (tokenizers, utils/parallelism.rs).
_FALSE_VALUES = frozenset({"", "off", "false", "f", "no", "n", "0"})


class Variable(msgspec.Struct, frozen=True, kw_only=True):
    """An environment variable as the process sees it now. `unknown` says why it could not be read, or is empty."""

    name: str
    value: str | None = None
    unknown: str = ""


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """One process that is proven dead, and what surrounds it.

    `first` and `second` are the two looks, `gap_s` seconds apart. `stack` has native frames; without it `no_stack`
    says why. `source` is the text of the innermost Python line, where its file can be read. `parent` and
    `parent_python_tids` (its threads that ran Python) are None when the parent is not in the tree or cannot be looked
    at. `result_pending` says whether the tree's main process waits for a result, None when that is not known.
    """

    first: ProcessSnapshot
    second: ProcessSnapshot
    gap_s: float
    parallelism: Variable
    role: str = ""
    stack: Stack | None = None
    no_stack: str = ""
    source: str = ""
    parent: ProcessSnapshot | None = None
    parent_python_tids: frozenset[int] | None = None
    result_pending: bool | None = None

    @property
    def thread(self) -> ThreadSnapshot:
        """The only thread."""
        return self.second.threads[0]

    @property
    def futex(self) -> Futex | None:
        """What it waits for; a proven process always has one."""
        return futex(self.thread)

    @property
    def culprit(self) -> Culprit:
        """The thread that a verdict on this process is about."""
        return Culprit(pid=self.second.pid, tid=self.thread.tid, role=self.role)

    @property
    def frames(self) -> tuple[Frame, ...]:
        """Innermost first; empty when the stack could not be read."""
        return self.stack.frames if self.stack else ()

    @property
    def native_frames(self) -> tuple[Frame, ...]:
        """The native frames inside of the innermost Python frame: what that line is blocked in."""
        return tuple(_until_python(self.frames))

    @property
    def python_frame(self) -> Frame | None:
        """The innermost Python frame."""
        return next((frame for frame in self.frames if not frame.native), None)


def is_true(variable: Variable) -> bool:
    """Whether tokenizers takes the variable for an explicit yes. Not set, or not readable, is none."""
    return not variable.unknown and variable.value is not None and variable.value.lower() not in _FALSE_VALUES


def _until_python(frames: tuple[Frame, ...]) -> Iterator[Frame]:
    for frame in frames:
        if not frame.native:
            return
        yield frame
