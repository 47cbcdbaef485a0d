"""Which rows the process tree has: folds, filter, sort, bundles, and what holds for any forest at all."""

from __future__ import annotations

from collections.abc import Iterable

from cvdebug.core.seen import ProcessSeen, ThreadSeen, Waking
from cvdebug.tui.drawing.tree_cells import Look, cells, columns, could_wake, fit, title, waits_for
from cvdebug.tui.drawing.tree_model import BUSY_S, CALM_S, TreeModel
from cvdebug.tui.drawing.tree_rows import SORTS, Bundle, TreeKey, View, arrange, process_status, status, words
from cvdebug.tui.scene import Selection
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from .trees import POOL, ROOT, family, forests, pool, process, thread

EVERYTHING = View()
Forest = tuple[dict[int, ProcessSeen], dict[int, ThreadSeen]]


def keyed(processes: Iterable[ProcessSeen], threads: Iterable[ThreadSeen]) -> Forest:
    return {one.pid: one for one in processes}, {one.tid: one for one in threads}


def shown(forest: Forest, view: View = EVERYTHING) -> list[TreeKey]:
    return list(arrange(*forest, ROOT, view).rows)


# arranging


def test_threads_stand_below_their_process_and_alike_ones_are_one_row() -> None:
    keys = shown(keyed(*family(2)))
    assert keys[:2] == [Selection(ROOT), Selection(ROOT, ROOT)]
    assert isinstance(keys[2], Bundle)
    assert keys[3:] == [Selection(101), Selection(102)]


def test_few_alike_threads_and_those_with_cpu_stand_for_themselves() -> None:
    assert len(shown(keyed([process(ROOT)], pool(ROOT, 3)))) == 1 + 1 + 3
    busy = [thread(ROOT, 9000 + n, name=f"rayon-{n}", cpu=0.2) for n in range(4)]
    assert len(shown(keyed([process(ROOT)], [thread(ROOT, ROOT), *busy]))) == 1 + 1 + 4


def test_an_open_bundle_shows_its_threads() -> None:
    forest = keyed(*family(0))
    bundle = next(key for key in shown(forest) if isinstance(key, Bundle))
    assert len(shown(forest, View(opened=frozenset({bundle})))) == 1 + 1 + 1 + POOL


def test_orphans_stand_beside_the_root_and_a_circle_of_parents_is_opened() -> None:
    rows = arrange(*keyed([process(ROOT, 1), process(7, 99), process(8, 9), process(9, 8)], []), ROOT, View()).rows
    assert [(key.pid, row.guides) for key, row in rows.items()] == [(ROOT, ""), (7, ""), (8, ""), (9, "└─")]


def test_siblings_are_sorted_within_their_parent() -> None:
    processes, threads = family(3)
    assert [key.pid for key in shown(keyed(processes, threads), View(sort="rss"))][-3:] == [103, 102, 101]
    busy = [thread(102, 102, cpu=0.9) if one.tid == 102 else one for one in threads]
    busy_processes = [process(102, cpu=0.9) if one.pid == 102 else one for one in processes]
    assert [key.pid for key in shown(keyed(busy_processes, busy), View(sort="cpu"))][-3:] == [102, 101, 103]
    assert [key.pid for key in shown(keyed(busy_processes, busy), View(sort="state"))][-3:] == [102, 101, 103]


def test_a_filter_keeps_the_parents_of_what_matches_and_counts() -> None:
    forest = keyed(*family(3))
    found = arrange(*forest, ROOT, View(words=words("PIPE worker 2")))
    assert [(key, row.hit) for key, row in found.rows.items()] == [(Selection(ROOT), False), (Selection(102), True)]
    assert (found.hits, found.total) == (1, 1 + 1 + POOL + 3)


def test_a_filter_finds_threads_by_the_words_of_their_process_too() -> None:
    found = arrange(*keyed(*family(1)), ROOT, View(words=words("subject rayon-3"), closed=frozenset({ROOT})))
    assert list(found.rows) == [Selection(ROOT), Selection(ROOT, ROOT * 100 + 3)]


def test_a_very_deep_tree_is_arranged_without_recursion() -> None:
    chain = keyed([process(pid, pid - 1) for pid in range(1, 5001)], [])
    assert len(arrange(*chain, 1, View()).rows) == 5000


@settings(max_examples=60, deadline=None)
@given(forests(), st.sets(st.integers(1, 12)), st.sampled_from(SORTS), st.sampled_from(["", "worker", "dead 1", "zz"]))
def test_every_process_and_thread_is_there_once_below_its_parent(
    forest: Forest, closed: set[int], sort: str, text: str
) -> None:
    view = View(closed=frozenset(closed), words=words(text))._replace(sort=sort)  # type: ignore[arg-type]
    rows = arrange(*forest, 1, view).rows
    place = {key: number for number, key in enumerate(rows)}
    for key, row in rows.items():
        assert row.parent is None or place[row.parent] < place[key]
        if isinstance(key, Selection) and key.tid:
            assert forest[1][key.tid].pid == key.pid
    if not closed and not text:
        assert {key.pid for key in rows if isinstance(key, Selection) and not key.tid} == set(forest[0])
        told = {tid for row in rows.values() for tid in row.tids}
        assert told == {tid for tid, one in forest[1].items() if one.pid in forest[0]}


# over time


@settings(max_examples=40, deadline=None)
@given(st.lists(forests(), min_size=1, max_size=5), st.data())
def test_a_model_that_lived_through_much_shows_what_a_fresh_one_would(story: list[Forest], data: st.DataObject) -> None:
    model, now = TreeModel(), 0.0
    for forest in story:
        now += BUSY_S + CALM_S
        model.take(*forest, 1, now)
        if model.rows:
            key = data.draw(st.sampled_from(list(model.rows)))
            data.draw(st.sampled_from([model.fold, model.unfold]))(key)
            assert model.stand_in(key) in model.rows
            assert model.home(model.selection(key)) is not None
        model.sort_by(data.draw(st.integers(-1, 1)))
        model.filter_by(data.draw(st.sampled_from(["", "worker"])))
    model.take(*story[-1], 1, now + BUSY_S + CALM_S)
    fresh = arrange(*story[-1], 1, model.view)
    assert list(model.rows) == list(fresh.rows)


def test_values_are_arranged_anew_at_most_once_a_second() -> None:
    processes, threads = keyed(*family(2))
    model = TreeModel()
    model.wish(sort="cpu")
    model.take(processes, threads, ROOT, 10.0)
    later = {**processes, 102: process(102, cpu=0.5)}
    assert Selection(102) in model.take(later, threads, ROOT, 10.5).touched
    assert list(model.rows)[-1] == Selection(102)
    model.take(later, threads, ROOT, 10.0 + CALM_S)
    assert list(model.rows)[-1] == Selection(101)


def test_only_what_changed_is_touched() -> None:
    processes, threads = keyed(*family(2))
    model = TreeModel()
    model.take(processes, threads, ROOT, 10.0)
    assert model.take(processes, threads, ROOT, 11.0).touched == frozenset()
    news = model.take({**processes, 101: process(101, role="worker 1", cpu=0.3)}, threads, ROOT, 12.0)
    assert news.touched == {Selection(101)}


def test_a_thread_that_worked_comes_back_to_its_bundle_only_after_a_while() -> None:
    processes, threads = keyed([process(ROOT)], pool(ROOT))
    tid = ROOT * 100 + 3
    model = TreeModel()
    model.take(processes, threads, ROOT, 10.0)
    works = {**threads, tid: thread(ROOT, tid, name="rayon-3", cpu=0.5)}
    model.take(processes, works, ROOT, 12.0)
    assert Selection(ROOT, tid) in model.rows
    model.take(processes, threads, ROOT, 14.0)
    assert Selection(ROOT, tid) in model.rows
    model.take(processes, threads, ROOT, 12.0 + BUSY_S + CALM_S)
    assert Selection(ROOT, tid) not in model.rows


def test_a_pid_that_is_used_again_is_not_folded_because_the_old_process_was() -> None:
    processes, threads = keyed(*family(1))
    model = TreeModel()
    model.take(processes, threads, ROOT, 10.0)
    model.fold(Selection(ROOT))
    assert list(model.rows) == [Selection(ROOT)]
    news = model.take({**processes, ROOT: process(ROOT, 1, start_ticks=2)}, threads, ROOT, 10.1)
    assert news.reborn == {ROOT}
    assert len(model.rows) > 1


def test_what_is_hidden_is_exposed() -> None:
    processes, threads = keyed(*family(1))
    model = TreeModel()
    model.take(processes, threads, ROOT, 10.0)
    model.fold(Selection(ROOT))
    hidden = Selection(ROOT, ROOT * 100 + 5)
    assert model.stand_in(hidden) == Selection(ROOT)
    model.expose(hidden)
    assert hidden in model.rows
    model.filter_by("worker")
    model.expose(hidden)
    assert hidden in model.rows


def test_the_only_thread_of_a_process_is_its_row() -> None:
    model = TreeModel()
    model.take(*keyed(*family(1)), ROOT, 10.0)
    assert model.home(Selection(101, 101)) == Selection(101)
    assert model.selection(Selection(101)) == Selection(101, 101)
    assert model.selection(Selection(ROOT)) == Selection(ROOT)


# words


def said(forest: Forest, key: TreeKey, width: int, view: View = EVERYTHING) -> str:
    model = TreeModel()
    model.view = view
    model.take(*forest, ROOT, 0.0)
    look = Look(model.processes, model.threads, model.mine, model.view, None)
    return "".join(text for text, _ in cells(model.rows[key], look, columns(width)))


def test_the_newest_of_what_is_known_is_the_state() -> None:
    assert status(thread(1, 2, state="R")) == "runs"
    assert status(thread(1, 2, cpu=0.4)) == "runs"
    assert status(thread(1, 2, status="runs")) == "waits"
    assert status(thread(1, 2, status="dead", state="S")) == "dead"
    assert status(thread(1, 2, state="T")) == "stopped"
    assert status(thread(1, 2, state="", status="")) == "unknown"
    assert process_status(process(1), [thread(1, 1, status="dead"), thread(1, 2, state="R")]) == "runs"
    assert process_status(process(1), [thread(1, 1, status="dead")]) == "dead"
    assert process_status(process(1, state="Z"), []) == "ended"


def test_a_wait_is_told_in_few_words() -> None:
    def short(text: str, *, timed: bool = False) -> str:
        return waits_for(thread(1, 2, wait=text, timed=timed))

    assert (
        short("waits on a private futex (op 0x189), which only threads of its own process can wake")
        == "a private futex"
    )
    assert (
        short("waits for data on pipe 7, whose write end is held by PID 3", timed=True)
        == "data on pipe 7, with a timeout"
    )
    assert short("waits in poll for data on pipe 7 or data on socket 9") == "data on pipe 7 or 1 more"
    assert waits_for(thread(1, 2, state="R", wait="runs", place="at work (a.py:3)")) == "at work (a.py:3)"


def test_who_could_wake_is_told_by_role_or_pid() -> None:
    known = {5: process(5, role="worker 1")}
    woken = thread(1, 2, wakers=(Waking(5), Waking(6), Waking(1, 3), Waking(1), Waking(8)))
    assert could_wake(woken, known) == "worker 1, PID 6, PID 8 and 1 more"
    assert could_wake(thread(1, 2, wakers=(Waking(1, 3),)), known) == "thread 3"
    assert could_wake(thread(1, 2, wakers=(Waking(1, 3), Waking(1, 4))), known) == "its own threads"
    assert could_wake(thread(1, 2, status="dead"), known) == "nobody"
    assert could_wake(thread(1, 2, timed=True), known) == "a timeout"
    assert could_wake(thread(1, 2, why="PID 9, which lives, could wake it"), known) == "PID 9"


def test_a_process_is_called_by_its_role_or_its_program() -> None:
    assert title(process(1, role="worker 1")) == "worker 1"
    assert title(process(1, command=("/usr/bin/python3", "/srv/app.py", "--x"))) == "python3 app.py"
    assert title(process(1, command=("python", "-m", "a.b"))) == "python -m a.b"
    assert title(process(1, command=())) == "(no command line)"


def test_a_folded_process_tells_of_the_dead_below() -> None:
    processes, threads = family(3)
    dead = keyed([process(101, dead=True) if one.pid == 101 else one for one in processes], threads)
    assert "✗ 1 of 3 dead below" in said(dead, Selection(ROOT), 100, View(closed=frozenset({ROOT})))
    assert "3 processes, 16 threads below" in said(keyed(processes, threads), Selection(ROOT), 100,
                                                   View(closed=frozenset({ROOT})))  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=30), st.integers(0, 40))
def test_a_cell_is_exactly_as_wide_as_it_should_be(text: str, width: int) -> None:
    assert cell_len(fit(text, width)) == width


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=12), st.text(max_size=12), st.sampled_from([57, 77, 93, 157]))
def test_columns_stand_still_whatever_a_name_holds(role: str, command: str, width: int) -> None:
    forest = keyed([process(ROOT, 1, role=role, command=(command,))], [thread(ROOT, ROOT, wait=f"waits for {command}")])
    line = said(forest, Selection(ROOT), width)
    assert cell_len(line) == width
    assert "○ waits" in line


def test_a_very_long_command_costs_no_more_than_its_column() -> None:
    forest = keyed([process(ROOT, 1, command=("x" * 10_000, "y" * 10_000))], pool(ROOT))
    assert cell_len(said(forest, Selection(ROOT), 93)) == 93
