"""What the app shows at one moment: one frozen value that every panel is given, live, paused or from a recording."""

from __future__ import annotations

from typing import Literal, NamedTuple, Protocol, runtime_checkable

from ..core.history import History
from ..core.state import RunState
from .logbook import LogBook

# What is shown: a run of cvdebug's own, a tree of processes that is followed, or what was recorded of either.
Kind = Literal["run", "tree", "recording"]


class Selection(NamedTuple):
    """The process and thread that a person looks at; 0 for none."""

    pid: int = 0
    tid: int = 0


class Scene(NamedTuple):
    """`now` is in seconds since the epoch; it stands still while the scene is `paused`, and after the end of a run.

    `history` and `log` grow in place and are only read by panels. `next_toggle` is TOKENIZERS_PARALLELISM for the next
    run, "" where nobody has chosen it.
    """

    state: RunState
    now: float
    history: History
    log: LogBook
    selection: Selection = Selection()
    paused: bool = False
    next_toggle: str = ""
    kind: Kind = "run"

    @property
    def followed(self) -> bool:
        """Whether it is, or was, a tree that is only looked at; known before anything is seen of it."""
        return self.kind == "tree" or self.state.attached is not None


@runtime_checkable
class Panel(Protocol):
    """A part of the main screen, or a screen on top of it. `show` comes at each tick, and draws what has changed."""

    def show(self, scene: Scene) -> None: ...
