"""The wait-for graph: its heart, its cycles, its story."""

from __future__ import annotations

import msgspec
from cvdebug.core.diagnose.closure import close
from cvdebug.core.diagnose.graph import build, story
from cvdebug.core.model import Graph, NodeKind, TreeSnapshot, Wait, WaitKind

from tests.unit.test_diagnose_closure import SLEEP, again, lock, pipe, process, tree, wait_for


def graph_of(first: TreeSnapshot) -> Graph:
    return build(first, close(first, again(first)))


def test_the_heart_of_a_chain_is_its_end() -> None:
    processes = (process(10), process(11, ppid=10), process(12, ppid=11))
    graph = graph_of(tree(processes, {10: wait_for(11), 11: wait_for(12), 12: lock()}))
    assert graph.stuck == ("10/10", "11/11", "12/12")
    assert graph.heart == graph.dead_ends == ("12/12",)
    assert graph.cycles == ()
    assert [line.split()[1] for line in story(graph)] == ["12", "10", "11"]


def test_a_cycle_is_the_heart_and_who_waits_for_it_is_not() -> None:
    processes = (process(10), process(11, ppid=10), process(12, ppid=11))
    graph = graph_of(tree(processes, {10: wait_for(11), 11: wait_for(12), 12: pipe(11)}))
    assert set(graph.heart) == {"11/11", "12/12"}
    assert [set(cycle) for cycle in graph.cycles] == [{"11/11", "12/12"}]
    assert graph.dead_ends == ()


def test_many_threads_of_one_process_are_one_cycle() -> None:
    tids = tuple(range(20, 2020))
    graph = graph_of(tree((process(10, tids=tids),), {tid: lock(10) for tid in (10, *tids)}))
    assert len(graph.heart) == len(graph.cycles[0]) == len(story(graph)) == 2001
    assert len(graph.edges) == 2001


def test_what_lives_is_in_the_graph_and_not_in_the_story() -> None:
    graph = graph_of(tree((process(10), process(11, ppid=10)), {10: wait_for(11), 11: SLEEP}))
    assert (graph.stuck, graph.heart, story(graph)) == ((), (), [])
    assert {(edge.source, edge.target) for edge in graph.edges} == {("10/10", "11"), ("11/11", "unseen/11/11")}
    assert {node.id: node.live for node in graph.nodes}["11"] is True


def test_those_outside_of_the_tree_are_named() -> None:
    socket = Wait(kind=WaitKind.SOCKET, text="waits for a socket", pids=(98, 99), external="PID 98 holds it")
    first = msgspec.structs.replace(tree((process(10),), {10: socket}), titles={98: "postgres: me db [local] idle"})
    kinds = {node.id: node.kind for node in graph_of(first).nodes}
    assert (kinds["98"], kinds["99"]) == (NodeKind.BACKEND, NodeKind.OUTSIDE)
    assert kinds["unseen/10/10"] is NodeKind.REMOTE


def test_a_graph_goes_to_json_and_back() -> None:
    graph = graph_of(tree((process(10), process(11, ppid=10)), {10: wait_for(11), 11: pipe(10)}))
    assert msgspec.json.decode(msgspec.json.encode(graph), type=Graph) == graph
    assert graph.edges[0].kind is WaitKind.CHILD
