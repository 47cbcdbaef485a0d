"""The toggle, another run, quitting, and the notes: what is asked first, what is said, what begins."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import pytest
from cvdebug.core import events as ev
from cvdebug.core.commands import Cancel
from cvdebug.core.errors import UsageError
from cvdebug.core.model import Culprit
from cvdebug.tui.bridge import Open
from cvdebug.tui.opening import Opening
from cvdebug.tui.scene import Kind

from . import events
from .notes import notes
from .stage import START, Fed, Feed, Stage, stage


def completed() -> list[ev.Event]:
    return [*events.running(), ev.RunFinished(outcome="completed", exit_code=0, elapsed_s=3.0, at=START + 3)]


async def begun(show: Stage, number: int = 2) -> None:
    """Waits until another run was opened, and has said what it had to say."""
    await show.until(lambda: len(show.source.opened) == number and show.source.opened[-1].said.is_set())
    await show.tick()


async def test_the_toggle_goes_round_for_the_next_run_and_offers_it() -> None:
    async with stage(events.hang(), size="narrow") as show:
        await show.press("p")
        assert "Run again with TOKENIZERS_PARALLELISM unset?" in show.text
        assert "This ends the hung run, which is held" in show.text
        assert "Its spool is kept, with 1,013 of 1,013 vectors: cvdebug resume" in show.text
        await show.press("p")
        assert "Run again with TOKENIZERS_PARALLELISM off?" in show.text
        await show.press("escape")
        assert show.source.asked == []
        assert show.app.scene.next_toggle == "off"
        await show.press("p", "enter")
        await begun(show)
        assert show.source.asked == [(None, {"parallelism": "on"})]
        assert show.source.opened[0].sent == [Cancel()]
        assert show.app.scene.next_toggle == ""


@pytest.mark.slow
async def test_a_chosen_toggle_counts_for_r_too() -> None:
    async with stage(completed(), size="narrow") as show:
        await show.press("p", "escape", "r")
        await begun(show)
        assert show.source.asked == [(None, {"parallelism": "on"})]


@pytest.mark.slow
async def test_r_asks_first_only_while_something_would_be_lost() -> None:
    async with stage(events.running(), size="narrow") as show:
        await show.press("r")
        assert "Run again?" in show.text
        assert "400 of 1,013 vectors" in show.text
        await show.press("escape")
        assert show.source.asked == []
        await show.press("r", "enter")
        await begun(show)
        assert show.source.asked == [(None, {})]
    async with stage(completed(), size="narrow") as show:
        await show.press("r")
        await begun(show)
        assert show.source.asked == [(None, {})]


class Slow(Feed):
    """A source that ends only when it is let go."""

    def __init__(self, given: list[ev.Event]) -> None:
        super().__init__(given)
        self.let_go = threading.Event()

    def open(self) -> Fed:
        source = super().open()
        plain, let_go = source.events, self.let_go

        def slowly() -> Iterator[ev.Event]:
            yield from plain()
            let_go.wait()

        source.events = slowly  # type: ignore[method-assign]
        return source


async def test_the_screen_lives_while_the_old_run_ends() -> None:
    slow = Slow(events.running())
    async with stage(events.running(), size="narrow") as show:
        show.app.reopen(slow)
        await show.until(lambda: slow.opened and slow.opened[-1].said.is_set())
        await show.press("r", "enter")
        assert "Ending the old run" in notes(show)
        await show.press("r")  # it is heard, and nothing bad comes of it
        assert "The old run is still ending" in notes(show)
        assert len(slow.opened) == 1
        slow.let_go.set()
        await show.until(lambda: len(slow.opened) == 2)
        assert slow.asked == [(None, {})]


class Refusing(Feed):
    """Its next run cannot be had: at once, or when it is opened."""

    def __init__(self, given: list[ev.Event], *, at_once: bool) -> None:
        super().__init__(given)
        self._at_once = at_once

    def again(self, *, scenario: str | None = None, flags: Mapping[str, Any] = {}) -> Opening:  # type: ignore[override]
        if self._at_once:
            raise UsageError("the flags [/x] and the scenario exclude each other", hint="Leave one out.")
        return Broken()


class Broken:
    """An opening that fails when it is opened."""

    name = "broken"
    kind: Kind = "run"

    @property
    def open(self) -> Open:
        def fails() -> Fed:
            raise UsageError("the flags [/x] and the scenario exclude each other", hint="Leave one out.")

        return fails

    def again(self, *, scenario: str | None = None, flags: Mapping[str, Any] = {}) -> Opening:
        return self


@pytest.mark.slow
@pytest.mark.parametrize("at_once", [True, False])
async def test_a_run_that_cannot_be_had_is_a_sentence_and_the_old_one_stays_in_sight(at_once: bool) -> None:
    async with stage(size="narrow") as show:
        show.app.reopen(Refusing(completed(), at_once=at_once))
        await show.until(lambda: show.app.bridge.state.finished)
        await show.press("r")
        await show.until(lambda: "the flags [/x] and the scenario" in notes(show))
        assert "cv-pipeline" in show.text
        assert show.app.is_running
        assert isinstance(show.app.opening, Refusing)


@pytest.mark.slow
async def test_what_is_no_run_of_ours_cannot_be_repeated_and_says_so() -> None:
    attached = events.stamped([ev.Attached(pid=77, command=("app",), versions={})])
    async with stage(attached, size="narrow") as show:
        await show.press("r")
        assert "cannot be started again from here" in notes(show)
        await show.press("p")
        assert show.source.asked == []


@pytest.mark.slow
async def test_a_proven_deadlock_that_is_not_in_sight_is_said_once_and_an_old_one_never() -> None:
    async with stage(events.running(), size="narrow") as show:
        await show.press("1")
        await show.feed(*events.hang())
        assert notes(show).count("Proven deadlock: ") == 1
        assert "f fixes it, e explains it." in notes(show)
        await show.press("question_mark")
        assert notes(show) == "", "it would cover what is opened"
    async with stage(events.running(), size="wide") as show:
        await show.feed(*events.hang())
        assert notes(show) == "", "the verdict is in sight"
    async with stage(events.running(), size="narrow", now=START + 86_400) as show:
        await show.press("1")
        await show.feed(*events.hang())
        assert "Proven deadlock" not in notes(show)


@pytest.mark.slow
async def test_of_a_recording_nothing_is_offered_that_would_need_it_to_live() -> None:
    async with stage(events.hang(), size="wide") as show:
        assert "f fixes it" in show.text
        show.source.kind = "recording"
        await show.tick()
        footer = show.lines[-1]
        assert not any(f" {label}" in footer for label in ("fix", "parallelism", "run again", "dump"))
        assert "f fixes it" not in show.text
        assert "[p]" not in show.lines[1]
        await show.press("f")
        assert "This is a recording" in notes(show)


@pytest.mark.slow
async def test_notes_never_parse_what_they_say() -> None:
    async with stage(events.running(), size="narrow") as show:
        await show.feed(ev.RunFinished(outcome="failed", exit_code=1, elapsed_s=1.0, what="[/b]\x1b[2J bad", at=START))
        assert "failed: [/b]" in notes(show)
        assert "\x1b" not in show.text


@pytest.mark.slow
@pytest.mark.parametrize("keys", [("q", "q"), ("ctrl+c", "ctrl+c"), ("p", "ctrl+c"), ("r", "ctrl+c", "ctrl+c")])
async def test_quitting_asks_nothing_and_twice_is_as_once(keys: tuple[str, ...]) -> None:
    async with stage(events.hang(), size="narrow") as show:
        await show.pilot.press(*keys)
    assert show.sent == [Cancel()]


@pytest.mark.slow
async def test_quitting_while_the_old_run_ends_begins_no_other() -> None:
    slow = Slow(events.running())
    async with stage(events.running(), size="narrow") as show:
        show.app.reopen(slow)
        await show.until(lambda: slow.opened and slow.opened[-1].said.is_set())
        await show.press("r", "enter")
        await show.pilot.press("q")
        slow.let_go.set()
    assert len(slow.opened) == 1


@pytest.mark.parametrize(("culprit", "offered"), [(4101, True), (4100, False)], ids=["a worker", "the root"])
async def test_of_a_foreign_tree_only_what_is_not_its_root_can_be_given_up(culprit: int, offered: bool) -> None:
    said = events.verdict()
    said = msgspec.structs.replace(said, culprits=(Culprit(pid=culprit, tid=culprit, role=""),))
    followed = [ev.Attached(pid=4100, command=("app",), versions={}), events.tree(dead=True), said]
    async with stage(events.stamped([*followed, ev.Stuck(phase=None, dead=(culprit,))]), size="wide") as show:
        show.source.kind = "tree"
        await show.tick()
        assert "proven deadlock" in show.lines[0]
        assert ("f fixes it" in show.text) == offered
        await show.press("f")
        assert ("No process of this program can be ended" in notes(show)) != offered
