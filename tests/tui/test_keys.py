"""Every action in every state: it does what it says, or says why not. And every key of every panel does something."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from cvdebug.core import events as ev
from cvdebug.core.commands import Cancel, Dump
from cvdebug.core.model import Phase, Strategy
from cvdebug.core.seen import ProcessSeen
from cvdebug.tui.actions import ACTIONS, Action
from cvdebug.tui.screens.again import AgainScreen
from cvdebug.tui.screens.explain import ExplainScreen
from cvdebug.tui.screens.fix import FixScreen
from cvdebug.tui.screens.graph import GraphScreen
from cvdebug.tui.screens.help import HelpScreen
from cvdebug.tui.screens.kill import KillScreen
from cvdebug.tui.screens.native import NativeScreen
from cvdebug.tui.screens.scenarios import ScenariosScreen
from cvdebug.tui.screens.summary import SummaryScreen
from cvdebug.tui.screens.tour import TourScreen
from cvdebug.tui.widgets.log import LogView
from cvdebug.tui.widgets.tree import Tree
from cvdebug.tui.widgets.verdict import VerdictView
from textual.binding import Binding
from textual.command import CommandPalette
from textual.screen import Screen
from textual.widget import Widget

from . import events
from .stage import START, Stage, stage

NOW = START + 30


def _then(told: list[ev.Event], *more: ev.Event) -> list[ev.Event]:
    return [*told, *events.stamped(list(more), at=START + 5)]


def _over(outcome: ev.Outcome) -> ev.RunFinished:
    return ev.RunFinished(outcome=outcome, exit_code=0 if outcome == "completed" else 1, elapsed_s=5.0)


STUCK = ev.Stuck(phase=Phase.EMBED, dead=())
FIXING = (ev.FixStarted(strategy=Strategy.RELEASE), ev.Unstuck())
STATES: Mapping[str, list[ev.Event]] = {
    "starting": [],
    "running": events.running(),
    "stuck": _then(events.running(), STUCK),
    "proven": events.hang(),
    "fixing": _then(events.hang(), *FIXING),
    "completed": _then(events.running(), _over("completed")),
    "fixed": _then(events.hang(), *FIXING, _over("completed")),
    "failed": _then(events.running(), _over("failed")),
    "attached": events.stamped([
        ev.Attached(pid=events.SUBJECT, command=("python", "train.py"), versions={}),
        events.tree(dead=True), *events.stacks(), ev.GraphDrawn(graph=events.graph()), events.verdict(),
        ev.Stuck(phase=None, dead=(events.WORKER_1, events.WORKER_2)),
    ]),
    "replayed": events.hang(),
    "paused": events.hang(),
}  # fmt: skip

# What is on top of everything after an action that opens something.
OPENS: Mapping[str, type[Screen[Any]]] = {
    "fix": FixScreen, "explain": ExplainScreen, "graph": GraphScreen, "summary": SummaryScreen, "native": NativeScreen,
    "kill": KillScreen, "scenarios": ScenariosScreen, "help": HelpScreen, "tour": TourScreen, "palette": CommandPalette,
    "toggle": AgainScreen,
}  # fmt: skip
# What is sent, or shown, after the others; given what was shown before.
DOES: Mapping[str, Callable[[Stage, str], object]] = {
    "again": lambda show, before: isinstance(show.app.screen, AgainScreen) or show.source.asked,
    "dump": lambda show, before: any(isinstance(command, Dump) for command in show.sent),
    "copy": lambda show, before: "Copied" in show.text or "Nothing to copy" in show.text,
    "export": lambda show, before: "Exported to" in show.text,
    "theme": lambda show, before: "Theme: light" in show.text,
    "zoom": lambda show, before: "all panels" in show.text,
    "filter": lambda show, before: "Enter keeps it, Esc clears it" in show.text,
    "pause": lambda show, before: ("PAUSED" in show.text) != ("PAUSED" in before),
    "frames": lambda show, before: show.text != before,
    "names": lambda show, before: show.text != before,
}
# After these another run is shown, or none.
LAST = ("again", "quit")
assert {action.id for action in ACTIONS} == {*OPENS, *DOES, "quit"}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user who has seen the tour, in a folder of his own."""
    (tmp_path / "tour-offered").touch()
    monkeypatch.setenv("CVDEBUG_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)


async def alone(show: Stage) -> None:
    """Nothing on top of the main screen, nothing said lately, all panels."""
    await show.until(lambda: show.app.screen.is_mounted)
    show.now += 10
    while len(show.app.screen_stack) > 1:
        show.app.pop_screen()
    show.app.main.action_unzoom()
    show.app.clear_notifications()
    await show.until(lambda: show.app.screen is show.app.main)


def words(text: str) -> str:
    """The beginning of a sentence, as much as stands in one line of a note."""
    return " ".join(text.split()[:5])


async def carried_out(show: Stage, action: Action) -> None:
    """Carries out an action and waits for what it says it does, or for the reason why not."""
    await alone(show)
    before = show.text
    possible = action.rank(show.app.live_scene) is not None
    show.app.action_do(action.id)
    if not possible:
        recording = show.app.opening.kind == "recording" and action.id != "summary"
        why = "This is a recording" if recording else action.otherwise
        await show.until(lambda: words(why) in show.text if why else show.text != before)
        assert show.app.screen is show.app.main
    elif action.id == "quit":
        assert show.sent[-1] == Cancel()
    elif action.id in OPENS:
        await show.until(lambda: isinstance(show.app.screen, OPENS[action.id]))
    else:
        await show.until(lambda: DOES[action.id](show, before))


@pytest.mark.parametrize(
    "state", [pytest.param(name, marks=[] if name == "proven" else pytest.mark.slow) for name in STATES]
)
async def test_every_action_does_what_it_says_or_says_why_not(state: str) -> None:
    async with stage(STATES[state], size="medium", now=NOW) as show:
        show.source.kind = "tree" if state == "attached" else "recording" if state == "replayed" else "run"
        await show.tick()
        if state == "paused":
            show.app.action_do("pause")
        for action in sorted(ACTIONS, key=lambda action: action.id in LAST):
            await carried_out(show, action)


# keys

# What has to be pressed before a key can do anything: one goes up only from below, and clears only what was typed.
FIRST = {"up": "end", "pageup": "end", "home": "end", "left": "home", "right": "left", "asterisk": "left",
         "less_than_sign": "greater_than_sign"}  # fmt: skip
TYPED = {"n": "line", "N": "line", "escape": "worker"}


def drawn(show: Stage) -> list[list[object]]:
    """What is shown, with its colours."""
    return [[(part.text, part.style) for part in strip] for strip in show.app.screen._compositor.render_strips()]


def keys(panel: type[Widget]) -> set[str]:
    """The keys of a panel, without those of Textual and of the screen."""
    kinds = [kind for kind in panel.__mro__ if kind.__module__.startswith("cvdebug")]
    return {each.key for kind in kinds for each in vars(kind).get("BINDINGS", ()) if isinstance(each, Binding)}


@pytest.mark.slow
@pytest.mark.parametrize(("panel", "kind"), [("tree", Tree), ("log", LogView), ("verdict", VerdictView)])
async def test_every_key_of_a_panel_does_something_in_sight(panel: str, kind: type[Widget]) -> None:
    many = tuple(ProcessSeen(pid=pid, ppid=events.SUBJECT, start_ticks=2, cpu=pid / 5000) for pid in range(4200, 4230))
    more = [ev.TreeSampled(processes=many), *(ev.Log(text=f"line {number}") for number in range(60))]
    async with stage(_then(events.hang(), *more), size="narrow", now=NOW, notifications=False) as show:
        for key in sorted(keys(kind) - ({"enter"} if panel == "log" else set())):
            show.app.main.action_panel(panel)
            await show.press("escape", "asterisk", "home", FIRST.get(key, "home"))
            if key in TYPED:
                await show.press("slash", *TYPED[key], "enter")
            before = drawn(show)
            await show.press(key)
            assert drawn(show) != before, f"{key} does nothing"


async def has_answered(show: Stage, key: str, before: str) -> None:
    await show.press(key)
    await show.until(lambda: show.text != before or show.sent or not show.app.is_running)


@pytest.mark.slow
async def test_the_key_of_every_action_is_the_action() -> None:
    for action in ACTIONS:
        async with stage(events.hang(), size="medium", now=NOW) as show:
            await has_answered(show, action.key, show.text)
