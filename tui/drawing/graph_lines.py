"""The wait-for graph in text: boxes below each other, arrows beside them, the part that is stuck first. Pure.

Each target has one lane left of the boxes, which all who wait for it join; an arrow's word says what is waited for.
Somebody who has no box (nobody, a timer, a peer elsewhere) stands in round brackets right of the one who waits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size

from ...core.diagnose.outline import MARKS, brief
from ...core.model import Edge, Graph, NodeKind
from .graph_boxes import Box, Row, boxes, name_of

Part = tuple[str, str]

EMPTY = "Nobody has looked closely yet: who waits for whom is drawn after the first thorough look, some seconds on."
_HEAVY, _LIGHT, _ROUND = "┏━┓┃┗┛┫", "┌─┐│└┘┤", "╭─╮│╰╯┤"
_JOINTS = {3: "│", 12: "─", 10: "┌", 9: "└", 6: "┐", 5: "┘", 11: "├", 7: "┤", 14: "┬", 13: "┴", 15: "┼",
           1: "│", 2: "│", 4: "─", 8: "─"}  # fmt: skip
_UP, _DOWN, _LEFT, _RIGHT = 1, 2, 4, 8
_LANE = 2  # columns
_WIDEST = 76  # of a box: longer lines are hard to read
_TAG = 30
_LEAST = 24
_SOME = 8  # fewer cells of a wait say nothing


class Spot(NamedTuple):
    """What a line is about: a jump goes there. `says` is all of it, where a box has no room. TID 0: the process.

    `outside`: the PID is that of a backend, or of another process that is not in the tree.
    """

    pid: int
    tid: int
    says: str
    outside: bool = False


class Line(NamedTuple):
    """A line as texts with their tones (dim bold bad good warn accent), and what it is about, if anything.

    `stop`: a cursor stops here; the other lines about the same belong to its frame.
    """

    parts: tuple[Part, ...]
    spot: Spot | None = None
    stop: bool = False


class Drawing(NamedTuple):
    """`story` is the whole in a sentence."""

    story: str
    lines: tuple[Line, ...]


def graph_lines(graph: Graph, width: int, roles: Mapping[int, str] = {}) -> list[str]:
    """The story and the drawing as plain lines of at most `width` cells where the story is not longer."""
    drawn = draw(graph, width, roles)
    return [drawn.story, "", *("".join(text for text, _ in line.parts).rstrip() for line in drawn.lines)]


def draw(graph: Graph | None, width: int, roles: Mapping[int, str] = {}, *, height: int = 0, hang: str = "") -> Drawing:
    """The drawing, `width` cells wide. With `height` lines to fill, boxes stand apart only where there is room.

    `hang` is what is said of the tree, if it hangs: the waits alone need not show it.
    """
    if graph is None or not graph.nodes:
        return Drawing(EMPTY, ())
    made = boxes(graph, roles)
    rough = sum(len(box.rows) + 2 + bool(box.banner) for box in made)
    apart = not height or rough + len(made) - 1 <= height
    return Drawing(story(graph, made, roles, hang), tuple(_Lines(made, width, apart).made()))


def story(graph: Graph, made: Sequence[Box], roles: Mapping[int, str] = {}, hang: str = "") -> str:
    """The graph in one sentence."""
    if not graph.stuck:
        return _living_story(graph, hang)
    nodes = {node.id: node for node in graph.nodes}
    heart = {id.partition("/")[0] for id in graph.heart}
    rest = len({id.partition("/")[0] for id in graph.stuck} - heart)
    others = f"; {_count(rest, 'other process waits', 'other processes wait')} only for that" if rest else ""
    first = next((box for box in made if box.heart), None)
    if first is None or not graph.heart:
        return f"Nothing can ever wake {_count(len(graph.stuck), 'thread', 'threads')} here."
    who = name_of(nodes[str(first.pid)], roles) if str(first.pid) in nodes else f"PID {first.pid}"
    if first.heart == "cycle":
        words = first.banner.partition("cycle: ")[2]
        if "→" in words:
            return f"A circle of waits: {words}; none of them can be the first to go on{others}."
        return f"{who}: {words.replace(' of it', '')}, and nobody else could wake them{others}."
    like = len(heart) - 1
    more = f", nor {_count(like, 'other', 'others')} like it" if like else ""
    return f"Nobody can ever wake {who}{more}{others}."


def _living_story(graph: Graph, hang: str) -> str:
    nodes = {node.id: node for node in graph.nodes}
    blocked = [edge for edge in graph.edges if _between_sessions(edge, nodes)]
    if blocked:
        session, holder = (nodes[id] for id in (blocked[0].source, blocked[0].target))
        more = f" ({len(blocked) - 1} more like this)" if len(blocked) > 1 else ""
        return f"The database session PID {session.pid} waits for a lock of session PID {holder.pid}{more}."
    if hang:
        return f"No wait here proves it, and yet it hangs. {hang}."
    processes = sum(node.kind is NodeKind.PROCESS for node in graph.nodes)
    lives = _count(processes, "process", "processes")
    return f"Nothing here is dead: {lives}, and all who wait can still be woken."


def _between_sessions(edge: Edge, nodes: Mapping[str, object]) -> bool:
    ends = (nodes.get(edge.source), nodes.get(edge.target))
    return all(getattr(end, "kind", None) is NodeKind.BACKEND for end in ends)


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


class _Place(NamedTuple):
    """A line of the drawing before the lanes are known."""

    box: int  # -1: between boxes
    row: int  # of the box; -1 title, -2 below, -3 banner or gap


class _Lines:
    """Lays out boxes one below the other."""

    def __init__(self, made: Sequence[Box], width: int, apart: bool) -> None:
        self._boxes = made
        self._places = list(_places(made, apart))
        self._title = {place.box: y for y, place in enumerate(self._places) if place.row == -1}
        self._lanes = self._packed(max(1, width // 4 // _LANE))
        self._columns = max(self._lanes.values(), default=-1) + 1
        words = [cell_len(self._word(row)) for box in made for row in box.rows if self._joins(row)]
        self._room = max(words) + 4 if words else 0
        self._grid = self._drawn()
        left = self._columns * _LANE + self._room
        tags = [cell_len(self._tag(row)) for box in made for row in box.rows]
        self._tag_room = min(max(tags, default=0), _TAG, max(0, width - left - _LEAST))
        self._box_width = max(_LEAST, min(self._wanted(), _WIDEST, width - left - self._tag_room))
        self._width = width

    def made(self) -> list[Line]:
        return [self._line(y, place) for y, place in enumerate(self._places)]

    # lanes

    def _spans(self) -> dict[int, tuple[int, int]]:
        """For each box that somebody waits for, the lines between which its lane runs."""
        spans: dict[int, tuple[int, int]] = {}
        for y, place in enumerate(self._places):
            if place.box >= 0 and place.row >= 0:
                for arrow in self._boxes[place.box].rows[place.row].arrows:
                    if arrow.box >= 0:
                        top, end = spans.get(arrow.box, (self._title[arrow.box],) * 2)
                        spans[arrow.box] = min(top, y), max(end, y)
        return spans

    def _packed(self, most: int) -> dict[int, int]:
        """The lane of each target, counted from the boxes: short ones near them, and no more than `most`."""
        taken: list[list[tuple[int, int]]] = []
        lanes = {}
        spans = self._spans()
        for box, (top, end) in sorted(spans.items(), key=lambda item: item[1][1] - item[1][0]):
            free = (n for n, lane in enumerate(taken) if all(end < other[0] or top > other[1] for other in lane))
            number = next(free, len(taken))
            if number >= most:
                continue
            if number == len(taken):
                taken.append([])
            taken[number].append((top, end))
            lanes[box] = number
        return lanes

    def _x(self, box: int) -> int:
        return (self._columns - 1 - self._lanes[box]) * _LANE

    def _joins(self, row: Row) -> list[int]:
        """The boxes that a row is joined with by a lane."""
        return list(dict.fromkeys(arrow.box for arrow in row.arrows if arrow.box in self._lanes))

    def _drawn(self) -> list[dict[int, tuple[int, str]]]:
        """What runs through each column of the lanes, line by line: directions, and the tone."""
        grid: list[dict[int, tuple[int, str]]] = [{} for _ in self._places]

        def put(y: int, x: int, bits: int, tone: str) -> None:
            old, before = grid[y].get(x, (0, "dim"))
            grid[y][x] = old | bits, tone if before == "dim" else before

        end_x = self._columns * _LANE
        for y, place in enumerate(self._places):
            if place.box < 0 or place.row < 0:
                continue
            row = self._boxes[place.box].rows[place.row]
            tone = "bad" if row.status == "dead" else "dim"
            for box in self._joins(row):
                goal, x = self._title[box], self._x(box)
                step = 1 if goal > y else -1
                put(y, x, (_DOWN if step > 0 else _UP) | _RIGHT, tone)
                put(goal, x, (_UP if step > 0 else _DOWN) | _RIGHT, tone)
                for between in range(y + step, goal, step):
                    put(between, x, _UP | _DOWN, tone)
                for line in (y, goal):
                    for column in range(x + 1, end_x):
                        put(line, column, _LEFT | _RIGHT, tone)
        return grid

    def _gutter(self, y: int) -> list[Part]:
        found = self._grid[y]
        return [
            (_JOINTS.get(found[x][0], "┼"), found[x][1]) if x in found else (" ", "")
            for x in range(self._columns * _LANE)
        ]

    # boxes

    def _wanted(self) -> int:
        """The width at which nothing would have to be cut."""
        texts = [cell_len(_head(row)) + cell_len(_wait(row)) + 2 for box in self._boxes for row in box.rows]
        titles = [cell_len(_title(box)) + 2 for box in self._boxes]
        return max([*texts, *titles, *(cell_len(box.more) + 2 for box in self._boxes)], default=0) + 4

    def _line(self, y: int, place: _Place) -> Line:
        gutter = self._gutter(y)
        if place.box < 0:
            return Line((*gutter, (" " * self._room, "")))
        box = self._boxes[place.box]
        spot = Spot(box.pid, 0, _title(box), box.outside) if box.pid else None
        if place.row == -3:
            return Line((*gutter, (" " * self._room, ""), (box.banner, "bad")), spot)
        if place.row >= 0:
            row = box.rows[place.row]
            says = f"{_head(row)}  {row.wait}".strip()
            return Line((*gutter, *self._row(box, row)), Spot(row.pid, row.tid, says, box.outside), stop=True)
        entered = place.row == -1 and place.box in self._lanes
        arrow = ("─" * (self._room - 1) + "▶", gutter[-1][1]) if entered else (" " * self._room, "")
        return Line((*gutter, arrow, *self._edge(box, top=place.row == -1)), spot, stop=place.row == -1)

    def _edge(self, box: Box, *, top: bool) -> list[Part]:
        frame, tone = _frame(box)
        left, right = (frame[0], frame[2]) if top else (frame[4], frame[5])
        text = _title(box) if top else box.more
        inner = self._box_width - 2
        if not text:
            return [(left + frame[1] * inner + right, tone)]
        shown = _cut(text, inner - 4)
        rule = frame[1] * (inner - 3 - cell_len(shown))
        bold = "bad" if box.status == "dead" else "dim" if tone == "dim" else "bold"
        return [(f"{left}{frame[1]} ", tone), (shown, bold if top else tone), (f" {rule}{right}", tone)]

    def _row(self, box: Box, row: Row) -> list[Part]:
        frame, tone = _frame(box)
        own = "bad" if row.status == "dead" else "dim"
        joined = bool(self._joins(row))
        start = f"─ {self._word(row)} ".ljust(self._room, "─") if joined else " " * self._room
        tag = _cut(self._tag(row), max(0, self._tag_room))
        inner = self._box_width - 4
        head = _cut(_head(row), inner)
        room = inner - cell_len(head)
        wait = _cut(f"  {_wait(row)}", room) if row.wait and room >= _SOME else ""
        space = " " * (inner - cell_len(head) - cell_len(wait))
        side = frame[6] if joined else frame[3]
        end = frame[3] if not tag else "├" if frame[3] == "│" else "┣"
        parts = [(start, own), (f"{side} ", tone), (head, own), (wait, "" if own == "bad" else "dim")]
        return [*parts, (f"{space} {end}", tone), (tag, own)]

    def _word(self, row: Row) -> str:
        return "/".join(dict.fromkeys(arrow.word for arrow in row.arrows if arrow.box in self._lanes))[:12]

    def _tag(self, row: Row) -> str:
        """Whom it waits for where no lane leads there."""
        far = [arrow for arrow in row.arrows if arrow.box not in self._lanes]
        if not far:
            return ""
        whom = dict.fromkeys(arrow.who or f"PID {self._boxes[arrow.box].pid}" for arrow in far)
        return f"─ {far[0].word} ─▶ ({', '.join(whom)})"


def _places(made: Sequence[Box], apart: bool) -> list[_Place]:
    found = []
    for number, box in enumerate(made):
        if number and apart:
            found.append(_Place(-1, -3))
        if box.banner:
            found.append(_Place(number, -3))
        found += [_Place(number, -1), *(_Place(number, row) for row in range(len(box.rows))), _Place(number, -2)]
    return found


def _frame(box: Box) -> tuple[str, str]:
    """The lines of a box and their tone."""
    if box.outside:
        return _ROUND, "accent"
    if box.heart:
        return _HEAVY, "bad"
    return _LIGHT, "" if box.status == "dead" else "dim"


def _mark(status: str) -> str:
    return f"{MARKS[status]} {status}" if status else ""


def _title(box: Box) -> str:
    return f"{_mark(box.status)}  {box.title}".strip()


def _head(row: Row) -> str:
    if not row.name:  # what a session waits for: its state stands in the title
        return MARKS.get(row.status, "")
    return f"{_mark(row.status):<9} {row.name}"


def _wait(row: Row) -> str:
    return brief(row.wait)


def _cut(text: str, width: int) -> str:
    """A text of at most `width` cells, with a sign where something is missing."""
    if width <= 0:
        return ""
    return text if cell_len(text) <= width else set_cell_size(text, width - 1).rstrip() + "…"
