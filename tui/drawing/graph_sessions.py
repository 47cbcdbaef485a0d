"""What a database server says of its sessions, put into the wait-for graph: backends that wait for backends. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ...core.model import DatabaseSession, Edge, Graph, Node, NodeKind, WaitKind


def with_sessions(graph: Graph, sessions: Sequence[DatabaseSession]) -> Graph:
    """The graph with what the server says: which backend waits for which, and whose client sits on its locks."""
    by_pid = {session.pid: session for session in sessions}
    shown = {pid for session in sessions if session.blockers for pid in (session.pid, *session.blockers)}
    nodes = {node.id: node for node in graph.nodes}
    edges = list(graph.edges)
    for pid in shown:
        session = by_pid.get(pid)
        if session is not None:
            words = f"{session.application or session.user or 'session'}: {session.state}"
            nodes[str(pid)] = Node(id=str(pid), kind=NodeKind.BACKEND, label=f"PID {pid} ({words})", pid=pid)
            edges += _session_edges(session, nodes)
        else:
            nodes.setdefault(str(pid), Node(id=str(pid), kind=NodeKind.BACKEND, label=f"PID {pid}", pid=pid))
    return Graph(
        nodes=tuple(nodes.values()), edges=tuple(edges), stuck=graph.stuck, heart=graph.heart, cycles=graph.cycles,
        dead_ends=graph.dead_ends,
    )  # fmt: skip


def _session_edges(session: DatabaseSession, nodes: Mapping[str, Node]) -> Iterator[Edge]:
    what = f"waits for {session.lock or 'a lock'}"
    for blocker in session.blockers:
        yield Edge(source=str(session.pid), target=str(blocker), kind=WaitKind.FILE_LOCK, text=what)
    if not session.blockers and session.state.startswith("idle"):
        for client in session.client_pids:
            if str(client) in nodes:
                text = "waits for the next command of its client, and keeps its locks"
                yield Edge(source=str(session.pid), target=str(client), kind=WaitKind.SOCKET, text=text)
