"""The wait-for graph in text: right for every shape, small enough to be read at one glance, whatever its names are."""

from __future__ import annotations

import pytest
from cvdebug.core.model import DatabaseSession, Edge, Graph, Node, NodeKind, Wait, WaitKind
from cvdebug.tui.drawing.graph_lines import EMPTY, draw, graph_lines
from cvdebug.tui.drawing.graph_sessions import with_sessions
from cvdebug.tui.text import clean
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from tests.unit.test_diagnose_closure import SLEEP, lock, pipe, process, tree, wait_for
from tests.unit.test_diagnose_graph import graph_of

NARROW, GLANCE = 79, 17  # the cells and lines that a terminal of 80x24 has for the drawing


def waiting(waits: dict[int, Wait], *, parent: int = 10) -> Graph:
    """Processes of one thread each, the first one the parent of all others."""
    return graph_of(tree(tuple(process(pid, ppid=1 if pid == parent else parent) for pid in waits), waits))


def pool(workers: int) -> Graph:
    """A parent that reads from pipes of its workers, who wait for nobody."""
    pids = range(11, 11 + workers)
    return waiting({10: pipe(*pids), **{pid: lock() for pid in pids}})


def boxes_of(lines: list[str]) -> list[str]:
    """The titles of the boxes from the top to the bottom."""
    return [line for line in lines if any(corner in line for corner in "┏╭") or "┌─ " in line]


@pytest.mark.parametrize("workers", [2, 3, 8, 64])
def test_a_pool_fits_one_glance_and_has_its_dead_end_first(workers: int) -> None:
    lines = graph_lines(pool(workers), NARROW)
    roof = boxes_of(lines)
    assert "PID 11" in roof[0]
    assert "PID 10" in roof[-1]
    assert len(lines) <= GLANCE
    assert "✗ dead end: nobody can wake it" in "\n".join(lines)
    assert any("(nobody)" in line for line in lines)
    if workers > 2:
        assert any(f"and {workers - 1} more processes like this" in line for line in lines)


def test_those_who_only_wait_for_the_heart_are_one_box() -> None:
    graph = waiting({10: pipe(*range(11, 19)), 11: lock(), **{pid: pipe(11) for pid in range(12, 19)}})
    lines = graph_lines(graph, NARROW, {10: "subject", **{pid: f"worker {pid - 10}" for pid in range(11, 19)}})
    assert any("and 6 more workers like this: PID 13" in line for line in lines)
    assert lines[0] == "Nobody can ever wake worker 1 (PID 11); 8 other processes wait only for that."


def test_a_cycle_of_two_is_two_boxes_with_an_arrow_into_each() -> None:
    lines = graph_lines(waiting({10: wait_for(11), 11: pipe(10)}), NARROW)
    assert "✗ cycle: PID 10 → PID 11 → PID 10" in "\n".join(lines)
    assert sum("▶┏" in line for line in lines) == 2
    assert sum("child ─┫" in line for line in lines) == sum("pipe ──┫" in line for line in lines) == 1
    assert "none of them can be the first to go on" in lines[0]


def test_a_lane_joins_the_waiter_with_the_one_it_waits_for() -> None:
    lines = graph_lines(waiting({10: wait_for(11), 11: pipe(10)}), NARROW)
    upper, lower = (
        next(n for n, line in enumerate(lines) if "▶┏" in line and f"PID {pid}" in line) for pid in (10, 11)
    )
    leaves = next(n for n, line in enumerate(lines) if "pipe ──┫" in line)
    column = lines[leaves].index("└")
    assert lines[upper][column] == "┌"
    assert all(lines[y][column] == "│" for y in range(upper + 1, leaves))
    assert lines[lower].index("└") != column


def test_threads_of_one_process_that_wait_for_each_other() -> None:
    tids = tuple(range(20, 30))
    lines = graph_lines(graph_of(tree((process(10, tids=tids),), {tid: lock(10) for tid in (10, *tids)})), NARROW)
    assert lines[0] == "PID 10: 11 threads wait for each other, and nobody else could wake them."
    assert sum("↺ own threads" in line for line in lines) == 2
    assert any("10 threads like" in line for line in lines)


def test_a_chain_has_its_end_first_and_its_root_last() -> None:
    processes = (process(10), process(11, ppid=10), process(12, ppid=11))
    lines = graph_lines(graph_of(tree(processes, {10: wait_for(11), 11: wait_for(12), 12: lock()})), NARROW)
    roof = boxes_of(lines)
    assert ["12" in roof[0], "11" in roof[1], "10" in roof[2]] == [True] * 3
    assert lines[0] == "Nobody can ever wake PID 12; 2 other processes wait only for that."


def test_a_healthy_tree_is_drawn_dim_and_said_to_be_so() -> None:
    graph = waiting({10: wait_for(11), 11: SLEEP})
    drawn = draw(graph, NARROW)
    text = "\n".join(graph_lines(graph, NARROW))
    assert "Nothing here is dead" in drawn.story
    assert "✗" not in text
    assert "timer ─▶ (a timer)" in text
    assert not {tone for line in drawn.lines for _, tone in line.parts} & {"bad", "warn"}


def test_a_hang_that_the_waits_do_not_show_is_not_called_healthy() -> None:
    hang = "Certain: A forked process waits on a connection that it shares"
    told = draw(waiting({10: wait_for(11), 11: SLEEP}), NARROW, hang=hang).story
    assert told == f"No wait here proves it, and yet it hangs. {hang}."
    assert "Nobody can ever wake" in draw(pool(2), NARROW, hang=hang).story


def test_an_empty_graph_says_why() -> None:
    assert graph_lines(Graph(nodes=(), edges=()), NARROW)[0] == EMPTY
    assert draw(None, NARROW) == (EMPTY, ())


def test_a_backend_that_blocks_another_is_a_box_of_another_shape() -> None:
    nodes = (
        Node(id="10", kind=NodeKind.PROCESS, label="PID 10 (python)", pid=10, live=True),
        Node(id="10/10", kind=NodeKind.THREAD, label="PID 10", pid=10, tid=10, live=True),
        Node(id="501", kind=NodeKind.BACKEND, label="PID 501 (postgres: me db)", pid=501),
    )
    edge = Edge(source="10/10", target="501", kind=WaitKind.SOCKET, text="waits for a socket")
    sessions = [
        DatabaseSession(pid=501, user="me", database="db", application="app", state="active", wait="Lock:relation",
                        since_s=2.0, query="TRUNCATE t", blockers=(502,), lock="AccessExclusiveLock on relation t"),
        DatabaseSession(pid=502, user="bob", database="db", application="psql", state="idle in transaction", wait="",
                        since_s=9.0, query="SELECT 1"),
    ]  # fmt: skip
    lines = graph_lines(with_sessions(Graph(nodes=nodes, edges=(edge,)), sessions), NARROW)
    text = "\n".join(lines)
    assert lines[0] == "The database session PID 501 waits for a lock of session PID 502."
    assert "psql: idle in transaction" in text
    assert sum("▶╭" in line for line in lines) == 2
    assert ["database" in text, "lock" in text] == [True] * 2


names = st.text(max_size=30) | st.sampled_from(["[/oops]", "\x1b[31m", "世界" * 20, "e\u0301\u202e", "\ud800", "a\nb"])
kinds = st.sampled_from(list(WaitKind))


@st.composite
def graphs(each: st.DrawFn) -> Graph:
    """Any graph at all, edges to nowhere and hearts that are none too."""
    pids = each(st.lists(st.integers(1, 40), max_size=8, unique=True))
    nodes = [Node(id=str(pid), kind=each(st.sampled_from(list(NodeKind))), label=each(names), pid=pid) for pid in pids]
    threads = [
        Node(id=f"{pid}/{tid}", kind=NodeKind.THREAD, label=each(names), pid=pid, tid=tid)
        for pid in pids
        for tid in each(st.lists(st.integers(1, 99), max_size=4, unique=True))
    ]
    ids = [node.id for node in (*nodes, *threads)] + ["nobody", "unseen/1/1", "77"]
    some = st.sampled_from(ids)
    edges = each(st.lists(st.builds(Edge, source=some, target=some, kind=kinds, text=names), max_size=20))
    stuck = each(st.lists(some, max_size=6, unique=True))
    cycles = (tuple(stuck[:2]),) if len(stuck) > 1 and each(st.booleans()) else ()
    return Graph(
        nodes=(*nodes, *threads), edges=tuple(edges), stuck=tuple(stuck), heart=tuple(stuck[:3]), cycles=cycles,
        dead_ends=tuple(stuck[2:3]),
    )  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(graphs(), st.integers(56, 160))
def test_whatever_the_graph_no_line_is_too_wide_and_none_holds_a_control_character(graph: Graph, width: int) -> None:
    drawn = draw(graph, width)
    for line in drawn.lines:
        text = "".join(part for part, _ in line.parts)
        assert cell_len(text) <= width
        assert clean(text) == text
    assert clean(drawn.story) == drawn.story
