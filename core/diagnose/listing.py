"""What the source of a Python frame says about the place where it stands: which locks are held there, and whether
the thread only sleeps. Pure: text in, answers out; text that is no Python of this version gives none.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

# Calls that wake nobody: what a monitor or a heartbeat does between two sleeps.
_HARMLESS = frozenset(
    {"sleep", "wait", "is_set", "is_alive", "poll", "locked", "qsize", "empty", "full", "any", "all", "items", "values"}
    | {"len", "str", "repr", "int", "float", "bool", "round", "format", "range", "min", "max", "sum", "sorted", "list"}
    | {"time", "monotonic", "perf_counter", "strftime", "localtime", "now", "isoformat", "append", "tuple", "keys"}
    | {"getpid", "get_ident", "active_count", "enumerate", "current_thread", "memory_info", "cpu_percent", "getLogger"}
)
_TALK = frozenset({"print", "debug", "info", "warning", "log", "flush"})
_TESTS = frozenset({"is_set", "wait", "is_alive", "poll", "any", "all"})
_LEAVES = (ast.Break, ast.Return, ast.Raise, ast.Yield, ast.YieldFrom, ast.Await)
_ACTS = (ast.With, ast.AsyncWith, ast.AsyncFor, ast.Delete, ast.Global, ast.Nonlocal, *_LEAVES)
_PLAIN = (ast.Call, ast.Tuple, ast.List, ast.Constant)
# A thousand threads stand at few lines; to look one up is to walk over all of its module.
_ANSWERS = 512
_DEF = re.compile(r"\s*(async\s+)?def\s")
# At the depth of a `def`, but no end of it: the close of its parameters, and comments.
_GOES_ON = re.compile(r"\s*[])}#]")
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


@lru_cache(maxsize=_ANSWERS)
def held(text: str, line: int) -> tuple[tuple[int, str], ...]:
    """(line, expression) of the locks that are held at a line: of the `with` statements it is inside of, and of calls
    of `acquire` before it, in the same function, without a `release` between."""
    function = _function(text, line)
    nodes = list(_own(function)) if function is not None else []
    return tuple(sorted({*_by_with(nodes, line), *_by_acquire(nodes, line)}))


class Idleness(NamedTuple):
    """Code that sleeps and looks, and does nothing else. `endless`: in a loop that only another thread could end, so
    that what called it waits for ever. `talks`: it prints or logs something too."""

    endless: bool
    talks: bool


@lru_cache(maxsize=_ANSWERS)
def idleness(text: str, line: int) -> Idleness | None:
    """What the endless loop around a line does, or else all of its function, or all of the module; None when it can do
    more than sleep and look, or when the text has no call at that line."""
    function = _function(text, line)
    if function is None:
        return None
    nodes = list(_own(function))
    loops = [node for node in nodes if isinstance(node, ast.While) and _spans(node, line) and _is_endless(node)]
    if loops:
        nodes = list(_own(max(loops, key=lambda node: node.lineno)))
    if any(isinstance(node, _ACTS) or _steps_unknown(node, line) for node in nodes):
        return None
    calls = [node for node in nodes if isinstance(node, ast.Call)]
    if not any(_spans(call, line) for call in calls):
        return None  # the text is not what runs
    called = {_called(call) for call in calls}
    return Idleness(bool(loops), not called.isdisjoint(_TALK)) if called <= _HARMLESS | _TALK else None


@lru_cache(maxsize=16)
def _parsed(text: str) -> ast.Module | None:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError, SystemError):  # the last: 3.11, threads
        return None


def _function(text: str, line: int) -> ast.AST | None:
    """The innermost function around a line, or the module. A large module is parsed only where its layout deceives."""
    part = _parsed(_cut_out(text, line))
    found = _innermost(part, line) if part is not None else None
    if found is None and (tree := _parsed(text)) is not None:
        found = _innermost(tree, line) or tree
    return found


def _innermost(tree: ast.Module, line: int) -> ast.AST | None:
    around = [node for node in ast.walk(tree) if isinstance(node, _FUNCTIONS) and _spans(node, line)]
    return max(around, key=lambda node: (node.lineno, node.col_offset), default=None)


def _cut_out(text: str, line: int) -> str:
    """The `def` around a line by its indentation, its lines where they were; nothing when there is none."""
    lines = text.split("\n")
    if not 0 < line <= len(lines):
        return ""
    depth, first = _indent(lines[line - 1]), line - 1
    while not (_DEF.match(lines[first]) and (first == line - 1 or _indent(lines[first]) < depth)):
        first -= 1
        if first < 0:
            return ""
    depth, end = _indent(lines[first]), first + 1
    while end < len(lines) and (_indent(lines[end]) > depth or not lines[end].strip() or _GOES_ON.match(lines[end])):
        end += 1
    block = ["if True:"] if depth else []  # what it is indented in
    return "\n".join([*[""] * (first - len(block)), *block, *lines[first:end], ""])


def _indent(line: str) -> int:
    line = line.expandtabs()
    return len(line) - len(line.lstrip())


def _own(top: ast.AST) -> Iterator[ast.AST]:
    """The nodes below one, without those of functions and classes that are only defined there."""
    for child in ast.iter_child_nodes(top):
        if not isinstance(child, (*_FUNCTIONS, ast.ClassDef)):
            yield child
            yield from _own(child)


def _spans(node: ast.stmt | ast.expr, line: int) -> bool:
    return node.lineno <= line <= _last(node)


def _last(node: ast.stmt | ast.expr) -> int:
    return node.end_lineno or node.lineno


def _by_with(nodes: Iterable[ast.AST], line: int) -> Iterator[tuple[int, str]]:
    for node in nodes:
        # On the line of the header the lock may not be taken yet.
        if isinstance(node, ast.With) and _spans(node, line) and line > _last(node.items[-1].context_expr):
            for item in node.items:
                taken = item.context_expr
                if item.optional_vars is None and isinstance(taken, ast.Name | ast.Attribute | ast.Subscript):
                    yield node.lineno, ast.unparse(taken)


def _by_acquire(nodes: Iterable[ast.AST], line: int) -> Iterator[tuple[int, str]]:
    calls = [
        (node.lineno, node.func.attr, ast.unparse(node.func.value))
        for node in nodes
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.lineno < line
    ]
    for at, method, lock in calls:
        released = any(name == "release" and other == lock and at <= below for below, name, other in calls)
        if method == "acquire" and not released:
            yield at, lock


def _is_endless(loop: ast.While) -> bool:
    """A loop that only another thread could end: `while True`, `while not stop.is_set()`, `while self.running`."""
    for node in ast.walk(loop.test):
        if isinstance(node, ast.Compare | ast.BinOp) or (isinstance(node, ast.Call) and _called(node) not in _TESTS):
            return False
    return not any(isinstance(node, _LEAVES) for node in _own(loop))


def _steps_unknown(node: ast.AST, line: int) -> bool:
    """Whether a loop around the line goes on with what a name stands for: a generator can do anything."""
    return isinstance(node, ast.For) and _spans(node, line) and not isinstance(node.iter, _PLAIN)


def _called(call: ast.Call) -> str:
    function = call.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
