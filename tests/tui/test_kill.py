"""Signals: chosen, warned of, confirmed, sent to the very process that was meant."""

from __future__ import annotations

import signal

import pytest
from cvdebug.core import events as ev
from cvdebug.core.commands import Dump, Kill
from cvdebug.core.seen import ProcessSeen
from cvdebug.tui.scene import Selection

from . import events
from .notes import notes
from .stage import START, Stage, stage


async def opened(show: Stage, pid: int = events.WORKER_1) -> None:
    show.app.main.select(Selection(pid))
    await show.press("k")


async def test_a_signal_is_chosen_confirmed_and_answered() -> None:
    async with stage(events.hang(), size="medium") as show:
        await opened(show)
        assert "Send a signal to PID 4101 (worker 1)" in show.text
        assert "stops it where it is" in show.text
        await show.press("down", "enter")
        assert "Send SIGINT to PID 4101 (worker 1)?" in show.text
        assert show.sent == []
        await show.press("enter")
        assert show.sent == [Kill(events.WORKER_1, 2, signal.SIGINT)]
        assert show.app.screen is show.app.main
        await show.feed(ev.Signalled(pid=events.WORKER_1, signal="SIGINT", at=START))
        assert "Sent SIGINT to PID 4101." in notes(show)
        await show.feed(ev.Signalled(pid=events.WORKER_1, signal="SIGKILL", trouble="it is [/x] gone", at=START))
        assert "was not sent SIGKILL: it is [/x] gone." in notes(show)


@pytest.mark.slow
async def test_escape_sends_nothing_at_either_step() -> None:
    async with stage(events.hang(), size="medium") as show:
        await opened(show)
        await show.press("enter", "escape", "escape")
        assert show.sent == []
        assert show.app.screen is show.app.main


@pytest.mark.slow
async def test_a_worker_that_owes_vectors_is_warned_of() -> None:
    async with stage(events.running(), size="medium") as show:
        await opened(show)
        await show.press("end")
        assert "This worker still owes vectors" in show.text
        await show.press("enter")
        assert "Send SIGKILL to PID 4101" in show.text
        assert show.text.count("still owes vectors") >= 1


@pytest.mark.slow
async def test_the_subject_and_other_peoples_programs_are_warned_of() -> None:
    async with stage(events.hang(), size="medium") as show:
        await opened(show, events.SUBJECT)
        assert "This is the subject: the run ends with it" in show.text
    process = ProcessSeen(pid=77, ppid=1, start_ticks=5, command=("app", "[/b]"))
    attached = events.stamped([
        ev.Attached(pid=77, command=("app",), versions={}),
        ev.TreeSampled(key=True, processes=(process,)),
    ])  # fmt: skip
    async with stage(attached, size="medium") as show:
        await opened(show, 77)
        assert "somebody else's program" in show.text
        assert "app [/b]" in show.text


@pytest.mark.slow
async def test_a_process_that_is_gone_meanwhile_is_not_signalled_nor_its_successor() -> None:
    for successor in ((), (ProcessSeen(pid=events.WORKER_1, ppid=1, start_ticks=999),)):
        async with stage(events.hang(), size="medium") as show:
            await opened(show)
            await show.press("enter")
            await show.feed(ev.TreeSampled(gone=(events.WORKER_1,)), ev.TreeSampled(processes=successor))
            await show.press("enter")
            assert "PID 4101 is gone meanwhile" in show.text
            await show.press("enter")
            assert show.sent == []


@pytest.mark.slow
async def test_without_a_process_the_keys_say_why() -> None:
    async with stage(events.stamped(list(events.beginning())), size="medium") as show:
        await show.press("k")
        assert "There is no process to do that to" in notes(show)
        await show.press("d")
        assert show.sent == []


@pytest.mark.slow
async def test_the_stacks_of_the_selected_process_are_asked_for() -> None:
    async with stage(events.hang(), size="medium") as show:
        show.app.main.select(Selection(events.WORKER_2))
        await show.press("d")
        assert show.sent == [Dump(events.WORKER_2)]
