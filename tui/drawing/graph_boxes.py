"""The wait-for graph as few boxes: a box a process or party, those that are alike in one, the heart first. Pure.

What is drawn is the graph of `core.model` and nothing else; how the boxes are laid out on lines is in graph_lines.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from ...core.diagnose.outline import MARKS
from ...core.model import Edge, Graph, Node, NodeKind, WaitKind
from ..text import clean
from .thread_words import known_as

# So many that differ in nothing are drawn as one.
ALIKE = 3
_NAMED = 3
_WORDS = {
    WaitKind.SHARED_FUTEX: "futex", WaitKind.PIPE_READ: "pipe", WaitKind.PIPE_WRITE: "pipe", WaitKind.EVENT: "event",
    WaitKind.TIMER: "timer", WaitKind.SLEEP: "timer", WaitKind.CHILD: "child", WaitKind.VFORK: "child",
    WaitKind.ACCEPT: "socket", WaitKind.FILE_LOCK: "lock", WaitKind.IPC: "message", WaitKind.IO_URING: "i/o",
    WaitKind.STOPPED: "signal", WaitKind.TRACED: "debugger", WaitKind.FROZEN: "cgroup",
}  # fmt: skip
_SAID = {"pipe": "pipe", "socket": "socket", "lock": "lock", "child": "child", "queue": "queue", "timer": "timer"}
_HALTED = {WaitKind.STOPPED: "stopped", WaitKind.TRACED: "traced", WaitKind.FROZEN: "frozen"}
_UNCLEAR = (WaitKind.POLL, WaitKind.SELECT, WaitKind.EPOLL, WaitKind.UNKNOWN)
_LABEL = re.compile(r"(?:PID|Thread) -?\d+(?: \((.*)\))?(?: of PID -?\d+)?", re.DOTALL)
_NUMBER = re.compile(r"\d+")


class Arrow(NamedTuple):
    """A wait. It leads to the box numbered `box`, or, with -1, to somebody who has none and is named in `who`."""

    word: str
    box: int
    who: str = ""


class Row(NamedTuple):
    """A thread, or threads that are alike, or what a backend waits for. `status` is one of outline.MARKS."""

    pid: int
    tid: int
    status: str
    name: str
    wait: str
    arrows: tuple[Arrow, ...]


class Box(NamedTuple):
    """A process, or with `outside` somebody who is not in the tree. `heart` is `cycle` or `dead end` for those in it.

    `banner` is said above it, `more` below it: how many others are like it.
    """

    pid: int
    status: str
    title: str
    rows: tuple[Row, ...]
    outside: bool = False
    heart: str = ""
    banner: str = ""
    more: str = ""


class _Party(NamedTuple):
    """A node that gets a box, with those that wait in it."""

    node: Node
    waiters: tuple[Node, ...]


def boxes(graph: Graph, roles: Mapping[int, str] = {}) -> tuple[Box, ...]:
    """The boxes in the order in which they are drawn. `roles` are names of processes by PID."""
    return _Boxes(graph, roles).made()


def word(edge: Edge, target: Node | None) -> str:
    """What for, in a word: pipe, futex, lock, child, socket, database."""
    if target is not None and target.kind is NodeKind.BACKEND:
        return "lock" if edge.kind is WaitKind.FILE_LOCK else "database"
    if edge.kind in _UNCLEAR:
        return next((short for said, short in _SAID.items() if said in edge.text), "files")
    return _WORDS.get(edge.kind, edge.kind.value)


def name_of(node: Node, roles: Mapping[int, str] = {}) -> str:
    """A process or party in few words."""
    if not node.pid:
        return clean(node.label) or "somebody"
    role = clean(roles.get(node.pid, ""))
    return f"{role} (PID {node.pid})" if role else f"PID {node.pid}"


class _Boxes:
    def __init__(self, graph: Graph, roles: Mapping[int, str]) -> None:
        self._graph, self._roles = graph, roles
        self._nodes = {node.id: node for node in graph.nodes}
        self._stuck, self._heart = frozenset(graph.stuck), frozenset(graph.heart)
        self._ends = frozenset(graph.dead_ends)
        self._waits: dict[str, list[Edge]] = {}
        for edge in graph.edges:
            self._waits.setdefault(edge.source, []).append(edge)
        self._parties = self._all_parties()
        self._cycles = {node: number for number, cycle in enumerate(graph.cycles) for node in cycle}

    def made(self) -> tuple[Box, ...]:
        groups = self._groups()
        order = self._order(groups)
        number = {id: place for place, group in enumerate(order) for id in group}
        said: set[object] = set()
        return tuple(self._box(group, number, said) for group in order)

    # who gets a box

    def _all_parties(self) -> dict[str, _Party]:
        inside: dict[str, list[Node]] = {}
        for node in self._graph.nodes:
            if node.kind is NodeKind.THREAD:
                inside.setdefault(str(node.pid), []).append(node)
        found = {}
        for node in self._graph.nodes:
            if node.kind in (NodeKind.PROCESS, NodeKind.BACKEND, NodeKind.OUTSIDE):
                threads = inside.pop(node.id, [node] if node.id in self._waits else [])
                found[node.id] = _Party(node, tuple(sorted(threads, key=self._rank)))
        for pid, threads in inside.items():  # threads whose process is not named
            owner = Node(id=pid, kind=NodeKind.PROCESS, label=f"PID {pid}", pid=threads[0].pid)
            found[pid] = _Party(owner, tuple(sorted(threads, key=self._rank)))
        return found

    def _rank(self, thread: Node) -> tuple[bool, bool, bool]:
        return thread.id not in self._heart, thread.id not in self._stuck, thread.tid != thread.pid

    # who is like whom

    def _groups(self) -> list[list[str]]:
        """The parties, those that wait in the same way for the same parties together."""
        colours: dict[str, int] = _numbered({id: self._look(party) for id, party in self._parties.items()})
        while True:
            finer = _numbered({id: (colours[id], self._ways(party, colours)) for id, party in self._parties.items()})
            if len(set(finer.values())) == len(set(colours.values())):
                break
            colours = finer
        classes: dict[int, list[str]] = {}
        for id in self._parties:
            classes.setdefault(colours[id], []).append(id)
        groups = []
        for members in classes.values():
            groups += [members] if len(members) >= ALIKE else [[id] for id in members]
        return groups

    def _look(self, party: _Party) -> Hashable:
        """What must be equal for two parties to be alike, whomever they wait for."""
        node = party.node
        # Members of one cycle are told apart by their place in it: drawn as one it would be no cycle.
        places = tuple(
            self._graph.cycles[number].index(thread.id)
            for thread in party.waiters
            if (number := self._cycles.get(thread.id)) is not None and len(self._pids(number)) > 1
        )
        name = self._roles.get(node.pid) or _named(node.label)
        return node.kind, self._status(party), _NUMBER.sub("", name), places, self._heart_word(party)

    def _ways(self, party: _Party, colours: Mapping[str, int]) -> Hashable:
        ways = set()
        for waiter in party.waiters:
            base = (
                self._thread_status(waiter),
                _NUMBER.sub("", known_as(_named(waiter.label))),
                waiter.id in self._heart,
            )
            edges = [(word(edge, self._nodes.get(edge.target)), self._goal(edge, colours)) for edge in self._of(waiter)]
            ways.add((base, frozenset(edges)))
        return frozenset(ways)

    def _goal(self, edge: Edge, colours: Mapping[str, int]) -> Hashable:
        if edge.target == edge.source.partition("/")[0]:
            return "itself"
        return colours.get(edge.target) if edge.target in colours else _NUMBER.sub("", self._who(edge.target))

    def _pids(self, cycle: int) -> set[str]:
        return {node.partition("/")[0] for node in self._graph.cycles[cycle]}

    # in which order

    def _order(self, groups: list[list[str]]) -> list[list[str]]:
        """The heart first, then what is dead, the nearest to it first, then the others, each party below its waiter."""
        home = {id: number for number, group in enumerate(groups) for id in group}
        goals: dict[int, list[int]] = {number: [] for number in range(len(groups))}
        for number, group in enumerate(groups):
            for waiter in self._parties[group[0]].waiters:
                goals[number] += [home[edge.target] for edge in self._of(waiter) if edge.target in home]
        hearts = [number for number, group in enumerate(groups) if self._heart_word(self._parties[group[0]])]
        distance = _distances(hearts, goals)
        walked = _walk(goals, self._parties, groups)
        place = {number: at for at, number in enumerate(walked)}
        far = len(groups)

        def key(number: int) -> tuple[bool, bool, int, int]:
            dead = self._is_dead(self._parties[groups[number][0]])
            cycle = min((self._cycles.get(t.id, far) for t in self._parties[groups[number][0]].waiters), default=far)
            if distance.get(number, far) == 0:
                return False, not dead, cycle, place[number]
            return True, not dead, distance.get(number, far) if dead else 0, place[number]

        return [groups[number] for number in sorted(range(len(groups)), key=key)]

    # what stands in a box

    def _box(self, group: list[str], number: Mapping[str, int], said: set[object]) -> Box:
        party = self._parties[group[0]]
        heart = self._heart_word(party)
        cycle = next((self._cycles[waiter.id] for waiter in party.waiters if waiter.id in self._cycles), None)
        about = heart if cycle is None else cycle  # said once, above the first box that it is about
        banner = self._banner(party, cycle) if heart and about not in said else ""
        said.add(about)
        return Box(
            pid=party.node.pid, status=self._status(party), title=self._title(party.node),
            rows=tuple(self._rows(party, number)), outside=party.node.kind is not NodeKind.PROCESS, heart=heart,
            banner=banner, more=self._more(group) if len(group) > 1 else "",
        )  # fmt: skip

    def _title(self, node: Node) -> str:
        role, label = self._roles.get(node.pid, ""), _named(node.label)
        if node.kind is NodeKind.BACKEND:
            return clean(f"database session PID {node.pid}  {label}".rstrip())
        if node.kind is NodeKind.OUTSIDE:
            return clean(f"outside of the tree: PID {node.pid}  {label}".rstrip())
        return clean(f"{role}  PID {node.pid}" if role else f"PID {node.pid}  {label}".rstrip())

    def _more(self, group: Sequence[str]) -> str:
        nodes = [self._parties[id].node for id in group]
        role = _NUMBER.sub("", self._roles.get(nodes[0].pid, "")).strip()
        kinds = {NodeKind.BACKEND: "session", NodeKind.OUTSIDE: "process outside"}
        each = clean(role) or kinds.get(nodes[0].kind, "process")
        plural = {"process": "processes", "process outside": "processes outside"}.get(each, f"{each}s")
        rest = [node.pid for node in nodes[1:]]
        return f"and {len(rest)} more {plural} like this: PID {_numbers(rest)}"

    def _rows(self, party: _Party, number: Mapping[str, int]) -> Iterator[Row]:
        alike: dict[Hashable, list[Row]] = {}
        for waiter in party.waiters:
            row = self._row(waiter, party, number)
            main = waiter.tid == waiter.pid or not waiter.tid
            same = (row.status, _NUMBER.sub("", row.name), row.arrows, waiter.id in self._heart)
            alike.setdefault(waiter.id if main else same, []).append(row)
        for rows in alike.values():
            if len(rows) < ALIKE:
                yield from rows
                continue
            some = _numbers([row.tid for row in rows])
            name = known_as(_named(self._nodes[f"{rows[0].pid}/{rows[0].tid}"].label))
            yield rows[0]._replace(name=f"{len(rows)} threads like {clean(name)}: {some}")

    def _row(self, waiter: Node, party: _Party, number: Mapping[str, int]) -> Row:
        edges = self._of(waiter)
        arrows = dict.fromkeys(self._arrow(edge, party.node.id, number) for edge in edges)
        wait = clean(edges[0].text) if edges else ""
        name = clean(f"{known_as(_named(waiter.label))} {waiter.tid}") if waiter.tid else ""
        return Row(waiter.pid, waiter.tid, self._thread_status(waiter), name, wait, tuple(arrows))

    def _arrow(self, edge: Edge, home: str, number: Mapping[str, int]) -> Arrow:
        what = clean(word(edge, self._nodes.get(edge.target)))
        if edge.target == home:
            return Arrow(what, -1, "↺ own threads")
        if edge.target in number:
            place = number[edge.target]
            return Arrow(what, place) if place != number.get(home) else Arrow(what, -1, "↺ others like it")
        return Arrow(what, -1, self._who(edge.target))

    def _who(self, target: str) -> str:
        node = self._nodes.get(target)
        return name_of(node) if node is not None else clean(target)

    # how it stands

    def _of(self, waiter: Node) -> list[Edge]:
        return self._waits.get(waiter.id, [])

    def _thread_status(self, node: Node) -> str:
        if node.id in self._stuck:
            return "dead"
        edges = self._of(node)
        return _HALTED.get(edges[0].kind, "waits") if edges else "runs"

    def _status(self, party: _Party) -> str:
        if self._is_dead(party):
            return "dead"
        states = {self._thread_status(waiter) for waiter in party.waiters}
        if not states:
            return "" if party.node.kind is not NodeKind.PROCESS else "runs"
        return next((state for state in ("stopped", "traced", "frozen", "runs") if state in states), "waits")

    def _is_dead(self, party: _Party) -> bool:
        return bool(party.waiters) and all(waiter.id in self._stuck for waiter in party.waiters)

    def _heart_word(self, party: _Party) -> str:
        members = [waiter.id for waiter in party.waiters if waiter.id in self._heart]
        if any(id in self._cycles for id in members):
            return "cycle"
        return "dead end" if any(id in self._ends for id in members) else ""

    def _banner(self, party: _Party, cycle: int | None) -> str:
        if cycle is None:
            return f"{MARKS['dead']} dead end: nobody can wake it"
        pids = self._pids(cycle)
        if len(pids) == 1:
            count = sum(waiter.id in self._cycles for waiter in party.waiters)
            whom = "it waits for itself" if count == 1 else f"{count} threads of it wait for each other"
            return f"{MARKS['dead']} cycle: {whom}"
        path = [f"PID {pid}" for pid in self._round(pids, party.node.id)]
        return f"{MARKS['dead']} cycle: {' → '.join(path)}"

    def _round(self, pids: set[str], start: str) -> list[str]:
        """The shortest way from `start` back to it through `pids`."""
        goals: dict[str, list[str]] = {pid: [] for pid in pids}
        for source, edges in self._waits.items():
            if source in self._stuck and (pid := source.partition("/")[0]) in pids:
                goals[pid] += [edge.target for edge in edges if edge.target in pids and edge.target != pid]
        came: dict[str, str] = {}
        wave = [start]
        while wave and start not in came:
            after = []
            for pid in wave:
                for goal in goals[pid]:
                    if goal not in came:
                        came[goal] = pid
                        after.append(goal)
            wave = after
        if start not in came:
            return [*sorted(pids), start]
        path = [start]
        while (before := came[path[-1]]) != start:
            path.append(before)
        return [start, *reversed(path[1:]), start]


def _named(label: str) -> str:
    """What stands in brackets after a number: a name or command line."""
    found = _LABEL.fullmatch(label)
    return (found[1] or "") if found else label


def _numbers(numbers: Sequence[int]) -> str:
    more = f" and {len(numbers) - _NAMED} more" if len(numbers) > _NAMED else ""
    return ", ".join(map(str, numbers[:_NAMED])) + more


def _numbered(looks: Mapping[str, Hashable]) -> dict[str, int]:
    known: dict[Hashable, int] = {}
    return {id: known.setdefault(look, len(known)) for id, look in looks.items()}


def _distances(hearts: Iterable[int], goals: Mapping[int, Sequence[int]]) -> dict[int, int]:
    """How many waits lie between a group and the nearest one of the heart."""
    waiters: dict[int, list[int]] = {}
    for source, targets in goals.items():
        for target in targets:
            waiters.setdefault(target, []).append(source)
    distance = dict.fromkeys(hearts, 0)
    wave = list(distance)
    while wave:
        after = [waiter for number in wave for waiter in waiters.get(number, ()) if waiter not in distance]
        for waiter in after:
            distance[waiter] = min(distance.get(target, len(goals)) for target in goals[waiter]) + 1
        wave = list(dict.fromkeys(after))
    return distance


def _walk(
    goals: Mapping[int, Sequence[int]], parties: Mapping[str, _Party], groups: Sequence[Sequence[str]]
) -> list[int]:
    """The groups as they come, each party outside of the tree below the first one that waits for it."""
    tree = [n for n, group in enumerate(groups) if parties[group[0]].node.kind is NodeKind.PROCESS]
    walked: dict[int, None] = {}
    stack = [*reversed(range(len(groups))), *reversed(tree)]
    inside = frozenset(tree)
    while stack:
        number = stack.pop()
        if number not in walked:
            walked[number] = None
            stack += [goal for goal in reversed(goals[number]) if goal not in inside]
    return list(walked)
