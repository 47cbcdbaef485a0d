"""What is said depends on what is shown: a run, a tree that is followed, a recording; known before the first event."""

from __future__ import annotations

import pytest
from cvdebug.core import events as ev
from cvdebug.core.model import Strategy
from cvdebug.core.seen import ThreadSeen
from cvdebug.core.state import RunState
from cvdebug.tui.drawing.summary_lines import summary_lines
from cvdebug.tui.drawing.thread_words import called

from . import events
from .recorded import folded, recorded, up_to
from .stage import START, stage


@pytest.mark.slow
async def test_before_anything_is_seen_of_a_tree_there_is_no_word_of_a_run() -> None:
    async with stage(size="medium") as show:
        show.source.kind = "tree"
        await show.tick()
        assert "the first look is under way" in show.lines[0]
        assert "TOKENIZERS_PARALLELISM" not in show.text
        assert "1 Summary" in show.text
        assert "chunks/s" not in show.text
        await show.press("p")
        assert show.app.doing.next_toggle == ""


async def test_a_key_that_follows_a_panel_key_at_once_reaches_that_panel() -> None:
    async with stage(events.hang(), size="wide") as show:
        before = show.app.selection
        show.app.main.action_panel("verdict")
        assert show.app.main.focused is show.app.main.query_one("#verdict")
        await show.press("down", "enter")
        assert show.app.selection != before


@pytest.mark.slow
async def test_what_became_of_a_hang_is_read_from_its_beginning() -> None:
    async with stage(events.hang(), size="medium") as show:
        await show.press("4", "end")
        assert "e says why" not in show.text, "it was scrolled away"
        await show.feed(*events.stamped([ev.FixStarted(strategy=Strategy.SERIAL)], at=START + 60))
        assert "▶ being fixed by serial" in show.text


@pytest.mark.slow
async def test_in_the_tour_the_keys_do_what_its_cards_say() -> None:
    async with stage(events.hang(), size="wide") as show:
        await show.press("T", *["right"] * 5)
        assert "Enter on a line jumps" in " ".join(show.text.split())
        before = show.app.selection
        await show.press("down", "enter")
        assert show.app.selection != before


def test_the_summary_of_a_tree_speaks_of_processes_and_of_nothing_that_only_a_run_has() -> None:
    state = folded(recorded("attached"))
    text = "\n".join(line.label + line.text for line in summary_lines(hung(), state))
    assert "processes" in text
    assert not any(word in text for word in ("embeddings", "stored", "vectors", "recall"))


def hung() -> RunState:
    return folded(up_to("attached", lambda state: state.stuck))


def test_a_thread_without_a_name_of_its_own_is_not_called_as_its_program() -> None:
    main = ThreadSeen(pid=1, tid=1, name="MainThread", place="at wait (a.py:1)")
    native, unknown = ThreadSeen(pid=1, tid=2, name="python3.11"), ThreadSeen(pid=1, tid=2, name="python3")
    assert [called(each, (main, native)) for each in (main, native)] == ["main thread", "native thread"]
    assert called(unknown, (unknown,)) == "thread", "no stack of its process was read: it may have Python in it"
    assert called(ThreadSeen(pid=1, tid=3, name="rayon-0"), (main,)) == "rayon-0"
