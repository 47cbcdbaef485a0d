"""The Stack panel in lines: a thread, what it waits for, and its calls. Pure: what is seen goes in, lines come out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from rich.cells import cell_len

from ...core.model import Frame, WaitKind
from ...core.seen import ProcessSeen, ThreadSeen
from ...core.state import AFTER_READ_S, RunState, StackState
from ..scene import Scene, Selection
from ..text import clean, seconds
from .lines import Line, Part, entry, heading, plain
from .targets import Target, of_thread, targets
from .thread_words import TONES, called, marked, status

# The text of a frame's source line, "" where it is not known; the float says when the stack was read.
Source = Callable[[Frame], str]

NATIVE, PYTHON = "◦ native", "● python"
LIBRARIES = ("/lib/python3.", "/lib64/python3.", "/site-packages/", "/dist-packages/", "<frozen")
MOST_WAKERS = 3
# Of so many frames in a row that are alike, the first are shown and the others counted.
ALIKE, ALIKE_SHOWN = 5, 3
_PLACE_CELLS = 28
_LEAD = len(PYTHON) + 2
_IN = ("  ", "")
# Reasons why a thread lives that its status says already.
_TOLD_BY_STATUS = ("it runs", "it has ended")
_KEYS = "v whole stack · w raw names · d read now · D native too"


class View(NamedTuple):
    """How a person wants the calls shown: all of them, and native names as the symbol table has them."""

    full: bool = False
    raw: bool = False


class Head(NamedTuple):
    """What stands above the calls; equal ones give equal lines."""

    process: ProcessSeen | None
    thread: ThreadSeen | None
    name: str  # of the thread
    about: tuple[tuple[str, str, tuple[Target, ...]], ...]  # lines below the name: text, tone, where they lead
    read: tuple[tuple[str, str], ...]  # when and how the stack was read, and what was missing


class Call(NamedTuple):
    """A frame with its place in the stack (0 is the innermost), or a number of them that are left out."""

    at: int
    frame: Frame
    left_out: int = 0
    why: str = ""


def shown_thread(scene: Scene) -> tuple[int, int]:
    """PID and TID of the thread whose stack is meant: the selected one, else the first culprit, else the subject's."""
    state = scene.state
    if scene.selection.pid:
        pid, tid = scene.selection
        return pid, tid or pid
    for verdict in state.verdicts.values():
        for culprit in verdict.culprits[:1]:
            return culprit.pid, culprit.tid
    return state.subject_pid, state.subject_pid


def head(scene: Scene) -> Head:
    """What there is to say of the thread that is shown."""
    state, (pid, tid) = scene.state, shown_thread(scene)
    process, thread, stack = state.processes.get(pid), state.threads.get(tid), state.stacks.get(tid)
    about = tuple(_about(thread, state)) if thread else ()
    if stack is not None:
        about += tuple(_alike(tid, stack, state))
    mates = (other for other in state.threads.values() if other.pid == pid)
    name = called(thread, mates, process) if thread else ""
    return Head(process, thread, name, about, tuple(_read(pid, thread, stack, scene)) if process else ())


def head_lines(said: Head, width: int) -> Iterator[Line]:
    """The lines above the calls."""
    if said.process is None:
        yield from entry("The stack of the process or thread that is selected stands here.", width, tone="dim")
        return
    yield _name(said.process, said.thread, said.name)
    for text, tone, found in said.about:
        yield from entry(text, width, lead=_IN, tone=tone, targets=found)
    for text, tone in said.read:
        yield from entry(text, width, lead=_IN, tone=tone)


def calls(stack: StackState | None, view: View, width: int, source: Source) -> Iterator[Line]:
    """The calls of a stack, innermost first."""
    frames = stack.stack.frames if stack else ()
    if stack is None or not frames:
        yield from entry(_KEYS, width, tone="dim")
        return
    yield heading("Calls, innermost first", "all" if view.full else "trimmed")
    shown = list(_all(frames) if view.full else trimmed(frames))
    names = {call.at: _function(call, stack, view) for call in shown}
    own = next((at for at, frame in enumerate(frames) if is_own(frame)), -1)
    column = max(map(cell_len, names.values()), default=0)
    for call in shown:
        if call.left_out:
            yield plain((f"{'…':>2}{' ' * (_LEAD - 2)}{call.left_out} {call.why}", "dim"))
        elif view.full:
            yield from _whole(call, names[call.at], own, width)
        else:
            yield _short(call, names[call.at], own, column, width)
        if not call.left_out and not call.frame.native and (text := source(call.frame)):
            yield plain((" " * (_LEAD + 2), ""), (text, "" if call.at == own else "dim"))
    yield from entry(_KEYS, width, tone="dim")


def trimmed(frames: Sequence[Frame]) -> Iterator[Call]:
    """The frames that tell what the thread does; what is left out between them is counted."""
    from ...core.observe.stacks import trimmed as telling  # imported here: the first frame needs no eyes

    kept = {id(frame) for frame in telling(tuple(frames))}
    numbered = [Call(at, frame) for at, frame in enumerate(frames)]
    for is_kept, group in groupby(numbered, key=lambda call: id(call.frame) in kept):
        run = list(group)
        if is_kept:
            yield from _without_repeats(run)
        else:
            yield Call(run[0].at, run[0].frame, len(run), _machinery(run))


def is_own(frame: Frame) -> bool:
    """Whether a frame is the program's own Python, and no library's."""
    return not frame.native and bool(frame.file) and not any(part in frame.file for part in LIBRARIES)


def _all(frames: Sequence[Frame]) -> Iterator[Call]:
    return (Call(at, frame) for at, frame in enumerate(frames))


def _without_repeats(run: Sequence[Call]) -> Iterator[Call]:
    """Long rows of one library's native frames, or of one line that calls itself, are shown by their first ones."""
    for _, group in groupby(run, key=lambda call: _sameness(call.frame)):
        alike = list(group)
        most = ALIKE_SHOWN if len(alike) >= ALIKE else len(alike)
        yield from alike[:most]
        if rest := alike[most:]:
            frame = rest[0].frame
            why = f"more frames of {_library(frame)}" if frame.native else "more calls of the same line"
            yield Call(rest[0].at, frame, len(rest), why)


def _sameness(frame: Frame) -> object:
    return (frame.module,) if frame.native else (frame.function, frame.file, frame.line)


def _machinery(run: Sequence[Call]) -> str:
    native = [call.frame for call in run if call.frame.native]
    many = "frame" if len(run) == 1 else "frames"
    if len(native) == len(run):
        return f"{many} of the interpreter ({_library(native[0])})"
    return f"{many} of the interpreter, import and start-up"


def _library(frame: Frame) -> str:
    return frame.module.rpartition("/")[2] or "an unknown library"


def _function(call: Call, stack: StackState, view: View) -> str:
    raw = stack.stack.raw.get(call.at) if view.raw else None
    return clean(raw or call.frame.function)


def _symbol(frame: Frame, *, own: bool) -> Part:
    return f"{NATIVE if frame.native else PYTHON}  ", "accent" if own else "dim" if frame.native else ""


def _short(call: Call, name: str, own: int, column: int, width: int) -> Line:
    """A call in one line; of long names the end is kept, which says more."""
    frame, is_mine = call.frame, call.at == own
    where = _fitted(_library(frame) if frame.native else _file(frame, whole=False), _PLACE_CELLS)
    mine = "  ◀ own code" if is_mine else ""
    room = max(8, width - _LEAD - cell_len(where) - 2 - cell_len(mine))
    shown = _fitted(name, room)
    gap = " " * (max(0, min(column, room) - cell_len(shown)) + 2)
    return plain(
        _symbol(frame, own=is_mine), (shown + gap, "bold" if is_mine else ""), (where, "dim"), (mine, "accent")
    )


def _whole(call: Call, name: str, own: int, width: int) -> Iterator[Line]:
    """A call with its whole name and path, wrapped."""
    frame, is_mine = call.frame, call.at == own
    where = frame.module or "an unknown library" if frame.native else _file(frame, whole=True)
    mine = "  ◀ own code" if is_mine else ""
    yield from entry(
        name, width, lead=_symbol(frame, own=is_mine), tone="bold" if is_mine else "", rest=(where + mine, "dim")
    )


def _file(frame: Frame, *, whole: bool) -> str:
    path = frame.file or frame.module
    return f"{path if whole else path.rpartition('/')[2]}{f':{frame.line}' if frame.line else ''}"


def _fitted(text: str, room: int) -> str:
    """The end of a text that is too wide."""
    text = clean(text)
    if cell_len(text) <= room:
        return text
    kept = text[-room:]
    while cell_len(kept) > room - 1:
        kept = kept[1:]
    return f"…{kept}"


def _name(process: ProcessSeen, thread: ThreadSeen | None, name: str) -> Line:
    """Who it is, with state in symbol and word."""
    known = status(process, thread)
    mark = (f"{marked(known)}  " if known else "", TONES.get(known, "dim"))
    who = f"PID {process.pid}{f' {process.role}' if process.role else ''}"
    if thread is None:
        return plain(mark, (f"main thread of {who}", "bold"))
    return plain(mark, (f"{name} {thread.tid}", "bold"), (f"  of {who}", ""))


def _about(thread: ThreadSeen, state: RunState) -> Iterator[tuple[str, str, tuple[Target, ...]]]:
    """What a thread waits for and who could wake it, each with where it leads."""
    from ...core.diagnose.outline import brief  # imported here: the first frame needs no eyes

    if thread.wait and thread.kind is not WaitKind.RUNNING:
        here = (Selection(thread.pid), Selection(thread.pid, thread.tid))
        yield brief(thread.wait), "", tuple(found for found in targets(thread.wait, state) if found not in here)
    for waker in thread.wakers[:MOST_WAKERS]:
        process = state.processes.get(waker.pid)
        role = f" ({process.role})" if process and process.role else ""
        name = f"thread {waker.tid} of PID {waker.pid}" if waker.tid else f"PID {waker.pid}"
        dead = ", which is dead itself" if (process and process.dead) else ""
        yield f"could be woken by {name}{role}{dead}", "", of_thread(waker.pid, waker.tid or waker.pid, state)
    if len(thread.wakers) > MOST_WAKERS:
        yield f"or by {len(thread.wakers) - MOST_WAKERS} more", "dim", ()
    if thread.why and thread.why not in (thread.wait, *_TOLD_BY_STATUS) and not thread.wakers:
        yield thread.why, "bad" if thread.dead else "dim", ()


def _alike(tid: int, stack: StackState, state: RunState) -> Iterator[tuple[str, str, tuple[Target, ...]]]:
    """Who else stands at the same place."""
    frames = stack.stack.frames
    others = [other for other, its in state.stacks.items() if other != tid and frames and its.stack.frames == frames]
    if others:
        found = tuple(target for other in others for target in of_thread(state.stacks[other].pid, other, state))
        yield f"the same stack as {len(others)} other{'s' if len(others) > 1 else ''}", "dim", found


def _read(pid: int, thread: ThreadSeen | None, stack: StackState | None, scene: Scene) -> Iterator[tuple[str, str]]:
    """When and how the stack was read, and what stood in the way."""
    process = scene.state.processes[pid]
    trouble = scene.state.no_stacks.get(pid) or process.no_stack
    if stack is not None:
        age_s = max(0.0, scene.now - stack.at)
        ago = seconds(float(int(age_s))) if age_s >= 10 else f"{int(age_s)} s"
        how = "with native frames" if stack.native else "Python frames only (--nonblocking)"
        how = "Python frames only, written by the process itself" if stack.trouble else how
        yield f"read {time.strftime('%H:%M:%S', time.localtime(stack.at))}, {ago} ago, {how}", "dim"
        if has_moved(thread, stack, scene.now):
            yield "! it has moved since: d reads it again", "warn"
    elif any(other.pid == pid for other in scene.state.stacks.values()):
        yield "no Python frame: it is a native thread, and its calls cannot be read", "dim"
    elif not trouble:
        yield "its stack has not been read yet: d reads it now", "dim"
    if stack is not None and stack.trouble:
        yield f"! no native frames: {stack.trouble}", "warn"
    elif trouble:
        yield f"! {'not read again' if stack else 'not read'}: {trouble}", "warn"


def has_moved(thread: ThreadSeen | None, stack: StackState, now: float) -> bool:
    """Whether a thread ran since its stack was read, as far as samples show."""
    runs = thread is not None and (thread.state == "R" or thread.cpu > 0) and not thread.dead
    return stack.moved or (runs and now - stack.at >= AFTER_READ_S)
