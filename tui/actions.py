"""The one registry of what a person can do in the app: footer, help, palette and bindings are made from it.

An action says by its `rank` whether it makes sense now, and how much: the footer shows the highest ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from .scene import Scene

FOOTER_KEYS = 8

# How much sense an action makes in a scene: None for none, else the greater the more.
Rank = Callable[[Scene], int | None]


def always(rank: int) -> Rank:
    """An action that can always be taken."""
    return lambda scene: rank


class Action(NamedTuple):
    """One thing to do. `label` stands in the footer, `area: verb` in the palette, `says` in the help."""

    id: str
    key: str
    label: str
    area: str
    verb: str
    says: str
    rank: Rank


def _hung(scene: Scene) -> bool:
    return scene.state.status in ("stuck", "proven deadlock")


def _is_run(scene: Scene) -> bool:
    return scene.state.attached is None


def _can_fix(scene: Scene) -> int | None:
    return 100 if _hung(scene) else None


def _can_repeat(scene: Scene) -> int | None:
    if not _is_run(scene):
        return None
    return 90 if scene.state.finished else 35


ACTIONS: tuple[Action, ...] = (
    Action("fix", "f", "fix", "run", "fix the hang", "Shows the ways to finish the run, and carries one out.", _can_fix),
    Action("explain", "e", "explain", "verdict", "explain", "Why this happens, and what would disprove it.",
           lambda scene: 80 if scene.state.verdicts else 15),
    Action("graph", "g", "graph", "verdict", "show who waits for whom", "The wait-for graph, its dead part marked.",
           lambda scene: 75 if scene.state.graph and _hung(scene) else 30),
    Action("toggle", "p", "parallelism", "run", "change TOKENIZERS_PARALLELISM",
           "Goes through off, on and unset, and offers to run again with it.",
           lambda scene: 70 if _is_run(scene) else None),
    Action("again", "r", "run again", "run", "run again", "Starts the scenario anew.", _can_repeat),
    Action("dump", "d", "dump", "thread", "read the stacks now", "Reads the stacks of the selected process.", always(50)),
    Action("kill", "k", "signal", "process", "send a signal", "Chooses a signal for the selected process.", always(20)),
    Action("scenarios", "s", "scenarios", "run", "choose a scenario", "What can be run, and what each teaches.",
           lambda scene: 40 if _is_run(scene) else None),
    Action("pause", "z", "pause", "view", "freeze what is shown", "Sampling and recording go on.", always(45)),
    Action("filter", "slash", "filter", "processes", "filter", "Shows only the rows that hold a text.", always(10)),
    Action("copy", "y", "copy", "view", "copy what is focused", "To the clipboard, through the terminal.", always(12)),
    Action("export", "x", "export", "run", "export", "Events, report, stacks and a picture, in a folder.", always(14)),
    Action("zoom", "o", "zoom", "view", "show this panel alone", "The same key brings the others back.", always(13)),
    Action("theme", "t", "theme", "view", "change the theme", "Dark, light, projector.", always(5)),
    Action("help", "question_mark", "help", "view", "help", "What is shown here, and every key.", always(95)),
    Action("palette", "ctrl+p", "palette", "view", "find an action", "Every action by its name.", always(60)),
    Action("quit", "q", "quit", "app", "quit", "Ends everything that was started, and leaves nothing behind.", always(98)),
)  # fmt: skip


def footer(scene: Scene) -> list[Action]:
    """The actions for the footer, in the order of the registry: the eight that make most sense."""
    ranked = {action: rank for action in ACTIONS if (rank := action.rank(scene)) is not None}
    chosen = frozenset(sorted(ranked, key=lambda action: ranked[action], reverse=True)[:FOOTER_KEYS])
    return [action for action in ACTIONS if action in chosen]


def possible(scene: Scene) -> Iterable[Action]:
    """Every action that makes sense now."""
    return (action for action in ACTIONS if action.rank(scene) is not None)
