"""The wait-for graph: who waits for whom, and the part of it that is stuck for ever. Pure; turns into JSON as it is.

A thread waits for processes: for each, any thread may end the wait. So an edge leads from a thread to a process, and a
process stands for its threads. The stuck component are the dead threads; its heart are those that wait for nobody but
each other: the cycles, and the dead ends that nobody could wake. All others only wait for the heart.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from ..model import Edge, Graph, Node, NodeKind, ProcessSnapshot, TreeSnapshot, Wait, WaitKind
from .closure import Closure, Liveness


def build(snapshot: TreeSnapshot, closure: Closure) -> Graph:
    """The graph of a tree whose waits are in `snapshot`."""
    processes = {process.pid: process for process in snapshot.processes}
    edges = tuple(_edges(snapshot, closure, processes))
    stuck = tuple(thread_id(thread) for thread in closure.dead_threads)
    groups = tuple(_heart(stuck, edges))
    cycles = tuple(group for group in groups if _waits_within(group, edges))
    return Graph(
        nodes=tuple(_nodes(snapshot, closure, processes, edges)),
        edges=edges,
        stuck=stuck,
        heart=tuple(node for group in groups for node in group),
        cycles=cycles,
        dead_ends=tuple(group[0] for group in groups if group not in cycles),
    )


def story(graph: Graph) -> list[str]:
    """A sentence for each thread of the stuck component, its heart first."""
    labels = {node.id: node.label for node in graph.nodes}
    texts = {edge.source: edge.text for edge in graph.edges}
    heart = set(graph.heart)
    order = [*graph.heart, *(node for node in graph.stuck if node not in heart)]
    return [f"{labels[node]} {texts[node]}." for node in order if node in texts]


def thread_id(thread: Liveness) -> str:
    """The node of a thread."""
    return f"{thread.pid}/{thread.tid}"


def _edges(snapshot: TreeSnapshot, closure: Closure, processes: Mapping[int, ProcessSnapshot]) -> Iterator[Edge]:
    for thread in closure.threads.values():
        wait = snapshot.waits.get(thread.tid)
        if wait is None or wait.kind in (WaitKind.RUNNING, WaitKind.ENDED):
            continue
        source = thread_id(thread)
        targets = list(dict.fromkeys(str(pid) for pid, _ in thread.wakers))
        if _is_external(wait):
            targets.append(f"unseen/{source}")
        for target in targets or [NOBODY]:
            yield Edge(source=source, target=target, kind=wait.kind, text=wait.text)


NOBODY = "nobody"


def _is_external(wait: Wait) -> bool:
    return bool(wait.timed or wait.external)


def _nodes(
    snapshot: TreeSnapshot, closure: Closure, processes: Mapping[int, ProcessSnapshot], edges: Iterable[Edge]
) -> Iterator[Node]:
    living = {thread.pid for thread in closure.threads.values() if thread.live}
    for pid, process in processes.items():
        command = " ".join(process.cmdline)
        label = f"PID {pid} ({command})" if command else f"PID {pid}"
        yield Node(id=str(pid), kind=NodeKind.PROCESS, label=label, pid=pid, live=pid in living)
    names = {thread.tid: thread.name for process in processes.values() for thread in process.threads}
    for thread in closure.threads.values():
        label = _thread_label(thread, names.get(thread.tid, ""))
        yield Node(
            id=thread_id(thread), kind=NodeKind.THREAD, label=label, pid=thread.pid, tid=thread.tid, live=thread.live
        )
    known = {str(pid) for pid in processes}
    for target in dict.fromkeys(edge.target for edge in edges if edge.target not in known):
        yield _other(target, snapshot)


def _thread_label(thread: Liveness, name: str) -> str:
    named = f" ({name})" if name else ""
    return f"PID {thread.pid}{named}" if thread.tid == thread.pid else f"Thread {thread.tid}{named} of PID {thread.pid}"


def _other(target: str, snapshot: TreeSnapshot) -> Node:
    if target == NOBODY:
        return Node(id=target, kind=NodeKind.REMOTE, label="nobody", live=False)
    if target.startswith("unseen/"):
        wait = snapshot.waits[int(target.rpartition("/")[2])]
        label = wait.external or "a timer"
        return Node(id=target, kind=NodeKind.REMOTE, label=label, live=True)
    title = snapshot.titles.get(int(target), "")
    kind = NodeKind.BACKEND if title.startswith("postgres:") else NodeKind.OUTSIDE
    return Node(id=target, kind=kind, label=f"PID {target} ({title})" if title else f"PID {target}", pid=int(target))


def _waits_within(group: tuple[str, ...], edges: Iterable[Edge]) -> bool:
    """Whether the members wait for each other, or a thread for its own process."""
    members = frozenset(group)
    pids = {node.partition("/")[0] for node in group}
    return any(edge.source in members and edge.target in pids for edge in edges)


def _heart(stuck: tuple[str, ...], edges: Iterable[Edge]) -> Iterator[tuple[str, ...]]:
    """The strongly connected groups of dead threads that wait for no other group."""
    successors = _successors(stuck, edges)
    threads = set(stuck)
    for group in _components(successors):
        inside = set(group)
        if all(target in inside for node in group for target in successors[node]):
            members = tuple(node for node in group if node in threads)
            if members:
                yield members


def _successors(stuck: tuple[str, ...], edges: Iterable[Edge]) -> dict[str, list[str]]:
    """Dead threads to the processes that they wait for, processes to their dead threads."""
    found: dict[str, list[str]] = {node: [] for node in stuck}
    for node in stuck:
        found.setdefault(node.partition("/")[0], []).append(node)
    for edge in edges:
        if edge.source in found and edge.target in found:
            found[edge.source].append(edge.target)
    return found


def _components(successors: Mapping[str, list[str]]) -> list[tuple[str, ...]]:
    """Tarjan's strongly connected components, without recursion: a process may have thousands of threads."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    path: list[str] = []
    on_path: set[str] = set()
    found = []
    for start in successors:
        work = [(start, iter(successors[start]))] if start not in index else []
        while work:
            node, rest = work[-1]
            if node not in index:
                index[node] = low[node] = len(index)
                path.append(node)
                on_path.add(node)
            if (target := next(rest, None)) is not None:
                if target not in index:
                    work.append((target, iter(successors[target])))
                elif target in on_path:
                    low[node] = min(low[node], index[target])
                continue
            work.pop()
            if work:
                low[work[-1][0]] = min(low[work[-1][0]], low[node])
            if low[node] == index[node]:
                at = path.index(node)
                on_path.difference_update(path[at:])
                found.append(tuple(path[at:]))
                del path[at:]
    return found
