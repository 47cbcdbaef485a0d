"""The process tree as a person sees and uses it: keys, mouse, filter, what stays put while processes come and go."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from cvdebug.core import events as ev
from cvdebug.core.seen import ProcessSeen, ThreadSeen
from cvdebug.tui.scene import Selection
from cvdebug.tui.widgets.rows import Rows
from cvdebug.tui.widgets.tree import Tree
from textual.binding import Binding

from . import events
from .stage import Stage, stage
from .trees import ROOT, family, pool, process, sampled, thread

SUBJECT = ev.SubjectStarted(pid=ROOT, start_method="fork", workers=3, parallelism="on")


@asynccontextmanager
async def grove(
    processes: Sequence[ProcessSeen], threads: Sequence[ThreadSeen], size: tuple[int, int] = (160, 50)
) -> AsyncIterator[Stage]:
    """The app on a tree, its keys in the tree's panel."""
    told = events.stamped([SUBJECT, sampled(list(processes), list(threads))])
    async with stage(told, size=size) as show:
        show.app.main.action_panel("tree")
        await show.tick()
        yield show


def tree(show: Stage) -> Tree:
    return show.app.main.query_one(Tree)


def panel(show: Stage) -> list[str]:
    """The lines of the tree's panel, the names of the columns first."""
    region = tree(show).content_region
    return [line[region.x : region.right].rstrip() for line in show.lines[region.y : region.bottom]]


def line_of(show: Stage, text: str) -> int:
    return next(number for number, line in enumerate(panel(show)) if text in line)


async def click(show: Stage, text: str, *, column: int = 12, times: int = 1) -> None:
    region = tree(show).content_region
    offset = (region.x + column, region.y + line_of(show, text))
    await show.pilot.click(offset=offset, times=times)
    await show.tick()


# what is seen


async def test_processes_and_threads_are_shown_with_state_and_wait() -> None:
    async with grove(*family(3)) as show:
        shown = panel(show)
        assert shown[0].split()[:6] == ["Process", "or", "thread", "State", "PID", "CPU"]
        assert "▾ subject" in shown[1]
        assert "├── main thread" in shown[2]
        assert "○ waits" in shown[2]
        assert "/100" in shown[2]
        assert "├─▸ 12 threads rayon" in shown[3]
        assert "private futex" in shown[3]
        assert "└── worker 3" in shown[6]
        assert "data on pipe 3" in shown[6]


async def test_a_wide_panel_has_a_column_for_who_could_wake() -> None:
    async with stage(events.hang(), size=(300, 50)) as show:
        assert "Could wake it" in panel(show)[0]
        assert "only dead: worker 1, worker 2" in "\n".join(panel(show))


async def test_every_row_of_a_narrow_panel_says_its_state_and_pid() -> None:
    async with grove(*family(3), size=(80, 24)) as show:
        assert all("○ waits" in line for line in panel(show)[1:7])
        assert "102" in panel(show)[line_of(show, "worker 2")]


async def test_an_empty_panel_says_what_will_come() -> None:
    async with stage() as show:
        assert "appear here" in "\n".join(panel(show))


# where it looks by itself


async def test_the_subject_is_looked_at_and_in_a_hang_the_first_culprit() -> None:
    async with stage(events.running()) as show:
        assert show.app.selection == Selection(events.SUBJECT)
        await show.feed(*events.hang()[-6:])
        await show.until(lambda: show.app.selection == Selection(events.WORKER_1, events.WORKER_1))


async def test_a_person_who_has_moved_is_left_where_they_are() -> None:
    async with stage(events.running()) as show:
        show.app.main.action_panel("tree")
        await show.press("down")
        assert show.app.selection == Selection(events.SUBJECT, events.SUBJECT)
        await show.feed(*events.hang()[-6:])
        assert show.app.selection == Selection(events.SUBJECT, events.SUBJECT)


async def test_a_jump_opens_what_is_folded() -> None:
    async with grove(*family(3)) as show:
        await show.press("left")
        assert len([line for line in panel(show) if line]) == 2
        hidden = Selection(ROOT, ROOT * 100 + 5)
        show.app.main.select(hidden)
        await show.tick()
        assert "rayon-5" in "\n".join(panel(show))
        assert show.app.selection == hidden
        assert tree(show).cursor == hidden


# folds


async def test_left_and_right_fold_and_walk() -> None:
    async with grove(*family(3)) as show:
        await show.press("left")
        assert "▸ subject" in panel(show)[1]
        assert "3 processes, 16 threads below" in panel(show)[1]
        await show.press("right", "right")
        assert show.app.selection == Selection(ROOT, ROOT)
        await show.press("left")
        assert show.app.selection == Selection(ROOT)


async def test_space_opens_a_bundle_and_star_everything() -> None:
    async with grove(*family(3)) as show:
        await show.press("down", "down", "space")
        assert "rayon-11" in "\n".join(panel(show))
        await show.press("space")
        assert "rayon-11" not in "\n".join(panel(show))
        await show.press("asterisk")
        assert "rayon-11" in "\n".join(panel(show))


async def test_folds_stay_while_processes_come_and_go() -> None:
    processes, threads = family(3)
    async with grove(processes, threads) as show:
        await show.press("left")
        await show.feed(sampled([*processes, process(200)], threads))
        assert "4 processes" in panel(show)[1]


# sort and follow


async def test_sorting_says_by_what() -> None:
    async with grove(*family(3)) as show:
        await show.press("greater_than_sign", "greater_than_sign")
        assert panel(show)[0].startswith("Sorted by memory")
        assert "Memory▼" in panel(show)[0]
        assert line_of(show, "worker 3") < line_of(show, "worker 1")
        await show.press("less_than_sign", "less_than_sign")
        assert line_of(show, "worker 1") < line_of(show, "worker 3")


async def test_what_is_followed_stays_in_sight_through_sorting() -> None:
    processes = [process(ROOT, 1, role="subject"), *(process(ROOT + n, role=f"worker {n}") for n in range(1, 60))]
    threads = [thread(one.pid, one.pid) for one in processes]
    async with grove(processes, threads) as show:
        show.app.main.select(Selection(103))
        await show.press("F")
        assert "⚑ worker 3" in panel(show)[line_of(show, "followed")]
        await show.press("greater_than_sign")
        busy = [process(one.pid, role=one.role, cpu=one.pid / 1000) if one.pid > 110 else one for one in processes]
        show.now += 2
        await show.feed(sampled(busy, threads))
        assert "⚑ worker 3" in panel(show)[line_of(show, "followed")]
        assert line_of(show, "worker 2") < line_of(show, "worker 3")
        await show.press("up")
        assert "followed" not in "\n".join(panel(show))


async def test_following_ends_with_the_process() -> None:
    processes, threads = family(3)
    async with grove(processes, threads) as show:
        show.app.main.select(Selection(103))
        await show.press("F")
        await show.feed(ev.TreeSampled(gone=(103,)))
        assert "followed" not in "\n".join(panel(show))
        assert show.app.selection.pid == 102


# filter


async def test_a_filter_is_typed_kept_and_cleared() -> None:
    async with grove(*family(3)) as show:
        await show.press("slash", *"pipe 2")
        assert "subject" in panel(show)[1]
        assert "»worker 2" in panel(show)[2]
        assert "/ pipe 2▏" in panel(show)[-1]
        assert "1 of 17" in panel(show)[-1]
        await show.press("enter")
        assert "Esc clears it" in panel(show)[-1]
        await show.press("escape")
        assert "worker 1" in "\n".join(panel(show))
        assert "Esc" not in panel(show)[-1]


async def test_keys_are_text_while_a_filter_is_typed() -> None:
    async with grove(*family(3)) as show:
        await show.press("slash", "q", "z", "space", "F", "backspace", "ctrl+u")
        await show.press(*"zz9")
        assert "No row holds" in "\n".join(panel(show))
        assert "/ zz9▏" in panel(show)[-1]


# while processes come and go


async def test_the_cursor_goes_to_what_is_nearest() -> None:
    processes, threads = family(3)
    async with grove(processes, threads) as show:
        show.app.main.select(Selection(102))
        await show.tick()
        await show.feed(ev.TreeSampled(gone=(102,)))
        assert show.app.selection.pid == 103
        show.app.main.select(Selection(ROOT, ROOT * 100 + 3))
        await show.tick()
        await show.feed(ev.TreeSampled(gone_threads=(ROOT * 100 + 3,)))
        assert show.app.selection == Selection(ROOT)


@pytest.mark.parametrize("ticks", [10, pytest.param(100, marks=pytest.mark.slow)])
async def test_what_is_under_the_eye_does_not_jump_in_a_storm_of_children(ticks: int) -> None:
    processes, threads = family(30)
    async with grove(processes, threads) as show:
        show.app.main.select(Selection(125))
        await show.tick()
        place = line_of(show, "worker 25")
        for tick in range(ticks):
            first = 1000 + 50 * tick
            came = [process(pid, command=()) for pid in range(first, first + 50)]
            new = [thread(pid, pid) for pid in range(first, first + 50)]
            order = [*came, *processes[1:]] if tick % 2 else [*processes[1:], *came]
            await show.feed(sampled([processes[0], *order], [*threads, *new]))
            assert show.app.selection == Selection(125)
            assert line_of(show, "worker 25") == place


async def test_a_pid_that_is_used_again_is_not_looked_at_as_if_it_were_the_old_one() -> None:
    processes, threads = family(3)
    async with grove(processes, threads) as show:
        show.app.main.select(Selection(102))
        await show.tick()
        again = [process(102, start_ticks=9, role="stranger") if one.pid == 102 else one for one in processes]
        await show.feed(sampled(again, threads))
        assert "stranger" in "\n".join(panel(show))
        assert show.app.selection == Selection(ROOT)


async def test_a_tid_that_was_a_pid_is_a_thread() -> None:
    processes, threads = family(3)
    async with grove(processes, threads) as show:
        await show.feed(ev.TreeSampled(gone=(103,)))
        await show.feed(ev.TreeSampled(threads=(thread(101, 103, name="reader"),)))
        assert "/103" in panel(show)[line_of(show, "reader")]
        assert "worker 3" not in "\n".join(panel(show))


# hostile names


async def test_hostile_names_are_shown_as_text() -> None:
    names = [
        "[/oops] [bold]",
        "\x1b[31mred\x1b]0;title\x07",
        "漢字" * 8,
        "👩\u200d👧 e\u0301\u0301",
        "\u202egnirts",
        "",
    ]
    processes = [process(ROOT, 1, role="subject", command=("x" * 10_000,))]
    processes += [process(ROOT + n, role=name, command=(name, name)) for n, name in enumerate(names, 1)]
    threads = [*pool(ROOT), *(thread(ROOT + n, ROOT + n, wait=name, why=name) for n, name in enumerate(names, 1))]
    async with grove(processes, threads, size=(120, 40)) as show:
        text = "\n".join(panel(show))
        assert "[/oops]" in text
        assert "漢字" in text
        assert "\x1b" not in text
        assert "\u202e" not in text
        await show.press("slash", *"[/")
        assert "[/oops]" in "\n".join(panel(show))


# mouse


async def test_a_click_selects_and_one_on_the_mark_folds() -> None:
    async with grove(*family(3)) as show:
        await click(show, "worker 2")
        assert show.app.selection.pid == 102
        assert tree(show).has_focus
        await click(show, "▾ subject", column=0)
        assert "▸ subject" in panel(show)[1]


async def test_a_double_click_and_enter_lead_to_the_stack() -> None:
    async with grove(*family(3)) as show:
        await show.press("enter")
        assert show.app.focused is show.app.main.query_one("#stack")
        await click(show, "worker 2", times=2)
        await show.until(lambda: show.app.focused is show.app.main.query_one("#stack"))
        assert show.app.selection.pid == 102


def test_every_binding_can_be_listed() -> None:
    named = [binding for binding in (*Tree.BINDINGS, *Rows.BINDINGS) if isinstance(binding, Binding)]
    assert len(named) == len(Tree.BINDINGS) + len(Rows.BINDINGS)
    assert all(binding.id and binding.description for binding in named)
