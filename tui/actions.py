"""The one registry of what a person can do in the app: footer, help, palette and bindings are made from it.

An action says by its `rank` whether it makes sense now, and how much: the footer shows the highest ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from ..core.release import releasable
from ..core.state import RunState
from .scene import Scene

FOOTER_KEYS = 8

# How much sense an action makes in a scene: None for none, else the greater the more.
Rank = Callable[[Scene], int | None]


def always(rank: int) -> Rank:
    """An action that can always be taken."""
    return lambda scene: rank


class Action(NamedTuple):
    """One thing to do. `label` stands in the footer, `area: verb` in the palette, `says` in the help.

    `otherwise` is said to who tries it when it makes no sense.
    """

    id: str
    key: str
    label: str
    area: str
    verb: str
    says: str
    rank: Rank
    otherwise: str = ""


def _hung(scene: Scene) -> bool:
    return scene.state.status in ("stuck", "proven deadlock")


def _is_run(scene: Scene) -> bool:
    return scene.kind == "run" and not scene.followed


def _lives(scene: Scene) -> bool:
    """Whether there is something that could be acted on: of a recording there is not."""
    return scene.kind != "recording" and scene.state.finished is None


def can_fix(scene: Scene) -> bool:
    """Whether there is a hang that something can be done about from here."""
    return _hung(scene) and _lives(scene) and (not scene.followed or _can_release(scene.state))


def _can_release(state: RunState) -> bool:
    """Whether a process of somebody else's tree could be given up."""
    root = state.attached.pid if state.attached else 0
    dead = (pid for pid, process in state.processes.items() if process.dead)
    return bool(releasable(root, dead, state.verdicts.values()))


def _of_process(rank: int) -> Rank:
    """An action on a process: there must be one."""
    return lambda scene: rank if scene.state.processes and _lives(scene) else None


_NO_PROCESS = "There is no process to do that to: none is seen yet, or all have ended."
_NO_STACK = "No stack has been read yet: d reads one."
_NO_RUN = "This is not a run of cvdebug's own: it cannot be started again from here."


def _of_stack(scene: Scene) -> int | None:
    return 3 if scene.state.stacks else None


def _can_repeat(scene: Scene) -> int | None:
    if not _is_run(scene):
        return None
    return 90 if scene.state.finished else 35


ACTIONS: tuple[Action, ...] = (
    Action("fix", "f", "fix", "run", "fix the hang", "Shows the ways to finish it, and carries one out.",
           lambda scene: 100 if can_fix(scene) else None),
    Action("explain", "e", "explain", "verdict", "explain", "Why this happens, and what would disprove it.",
           lambda scene: 80 if scene.state.verdicts else 15),
    Action("graph", "g", "graph", "verdict", "show who waits for whom", "The wait-for graph, its dead part marked.",
           lambda scene: 75 if scene.state.graph and _hung(scene) else 30),
    Action("toggle", "p", "parallelism", "run", "change TOKENIZERS_PARALLELISM",
           "Goes through off, on and unset, and offers to run again with it.",
           lambda scene: 70 if _is_run(scene) else None, _NO_RUN),
    Action("again", "r", "run again", "run", "run again", "Starts the scenario anew.", _can_repeat, _NO_RUN),
    Action("summary", "u", "summary", "run", "show what the run did", "After a fix: before and after, side by side.",
           lambda scene: 92 if scene.state.finished else None, "The run has not ended yet: there is no summary."),
    Action("dump", "d", "dump", "thread", "read the stacks now", "Reads those of the selected process.",
           _of_process(50), _NO_PROCESS),
    Action("native", "D", "native frames", "thread", "read the native frames too",
           "Stops the process for milliseconds; asks before.", _of_process(3), _NO_PROCESS),
    Action("frames", "v", "whole stack", "thread", "show every frame",
           "The same key trims the stack again.", _of_stack, _NO_STACK),
    Action("names", "w", "raw names", "thread", "show native names as they are",
           "The same key makes them readable again.", _of_stack, _NO_STACK),
    Action("kill", "k", "signal", "process", "send a signal", "Chooses a signal for the selected process.",
           _of_process(20), _NO_PROCESS),
    Action("scenarios", "s", "scenarios", "run", "choose a scenario", "What can be run, and what each teaches.",
           lambda scene: 40 if _is_run(scene) else None, _NO_RUN),
    Action("pause", "z", "pause", "view", "freeze what is shown", "Sampling and recording go on.", always(45)),
    Action("filter", "slash", "filter", "processes", "filter", "Shows only the rows that hold a text.", always(10)),
    Action("copy", "y", "copy", "view", "copy what is focused", "To the clipboard, through the terminal.", always(12)),
    Action("export", "x", "export", "run", "export", "Events, report, stacks and a picture, in a folder.", always(14)),
    Action("zoom", "o", "zoom", "view", "show this panel alone", "The same key brings the others back.", always(13)),
    Action("theme", "t", "theme", "view", "change the theme", "Dark, light, projector.", always(5)),
    Action("help", "question_mark", "help", "view", "help", "What is shown here, and every key.", always(95)),
    Action("tour", "T", "tour", "view", "take the tour", "Points at each panel in the order of the story.",
           lambda scene: 4 if _is_run(scene) else None, _NO_RUN),
    Action("palette", "ctrl+p", "palette", "view", "find an action", "Every action by its name.", always(60)),
    Action("quit", "q", "quit", "app", "quit", "Ends everything that was started; nothing is left.", always(98)),
)  # fmt: skip


def footer(scene: Scene) -> list[Action]:
    """The actions for the footer, in the order of the registry: the eight that make most sense."""
    ranked = {action: rank for action in ACTIONS if (rank := action.rank(scene)) is not None}
    chosen = frozenset(sorted(ranked, key=lambda action: ranked[action], reverse=True)[:FOOTER_KEYS])
    return [action for action in ACTIONS if action in chosen]


def possible(scene: Scene) -> Iterable[Action]:
    """Every action that makes sense now."""
    return (action for action in ACTIONS if action.rank(scene) is not None)
