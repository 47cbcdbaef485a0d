"""What a row of the process tree says, column by column, as texts with tones. Pure; foreign text is cleaned here."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size

from ...core.seen import ProcessSeen, ThreadSeen
from ..scene import Selection
from ..text import clean, counted, size
from .thread_words import called
from .tree_rows import IDLE, Bundle, Sort, TreeKey, TreeRow, View, merged, process_status, status

Part = tuple[str, str]

# As in core.diagnose.outline, which is not imported here: it is heavy, and this is drawn in the first frame.
MARKS = {"dead": "✗", "runs": "▶", "waits": "○", "ended": "·", "stopped": "‖", "traced": "‖", "frozen": "‖",
         "unknown": "?"}  # fmt: skip
TONES = {"dead": "bad", "runs": "good", "stopped": "warn", "traced": "warn", "frozen": "warn", "ended": "dim",
         "unknown": "dim"}  # fmt: skip
FOLLOWED = "⚑ followed"
FOLDED_MARK = 2  # cells of the mark that opens and closes a row

_STATE, _CPU, _RSS = 9, 5, 8
# From these widths on there is room for the CPU, the memory, and who could wake a thread beside what it waits for.
_WITH_CPU, _WITH_RSS, _WITH_WAKER = 64, 84, 120
_NAMED = 3
_SORT_WORDS = {"cpu": "CPU", "rss": "memory", "pid": "PID", "state": "state"}
_LEAD = re.compile(r"waits (?:in (?:poll|select|epoll) )?(?:for|on) ")
_ASIDE = re.compile(r",? \(|, wh(?:ose|ich) |, mapped by |, with a timeout$")


class Columns(NamedTuple):
    """Widths in cells; 0 for a column that is not there. Only `wait` and `waker` take what is left."""

    name: int
    number: int
    cpu: int
    rss: int
    wait: int
    waker: int


class Look(NamedTuple):
    """What is needed to say what a row says."""

    processes: Mapping[int, ProcessSeen]
    threads: Mapping[int, ThreadSeen]
    mine: Mapping[int, Sequence[ThreadSeen]]
    view: View
    followed: TreeKey | None


def columns(width: int, digits: int = 5) -> Columns:
    """The columns for so many cells; PIDs have up to so many digits."""
    name = min(40, max(17, width // 4 + 2))
    number = max(len("PID/TID"), digits + 1)
    cpu = _CPU if width >= _WITH_CPU else 0
    rss = _RSS if width >= _WITH_RSS else 0
    rest = max(0, width - sum(there + 1 for there in (name, _STATE, number, cpu, rss) if there))
    waker = rest * 2 // 5 if width >= _WITH_WAKER else 0
    return Columns(name, number, cpu, rss, rest - waker - (1 if waker else 0), waker)


def header(at: Columns, sort: Sort) -> list[Part]:
    """The names of the columns; the one by which siblings are sorted has an arrow."""

    def named(text: str, by: Sort, width: int) -> Part:
        shown = f"{text}▼" if by == sort else text
        return ((fit(shown, width) if by == "state" else _right(shown, width)) + " ", "bold" if by == sort else "dim")

    order = "Process or thread" if sort == "tree" else f"Sorted by {_SORT_WORDS[sort]}"
    parts = [(fit(order, at.name) + " ", "dim"), named("State", "state", _STATE), named("PID", "pid", at.number)]
    parts += [named("CPU", "cpu", at.cpu)] if at.cpu else []
    parts += [named("Memory", "rss", at.rss)] if at.rss else []
    parts.append((fit("Waits for" if at.waker else "Waits for ← could wake it", at.wait), "dim"))
    return [*parts, (" " + fit("Could wake it", at.waker), "dim")] if at.waker else parts


def cells(row: TreeRow, look: Look, at: Columns) -> list[Part]:
    """A row, column by column."""
    state, name, number, cpu, rss = _facts(row, look)
    tone = TONES.get(state, "")
    parts = [*_name(row, name, state, look, at), (f" {fit(f'{MARKS[state]} {state}', _STATE)} ", tone or "dim")]
    parts.append((_right(number, at.number) + " ", "dim"))
    if at.cpu:
        parts.append((_right(f"{cpu:.0%}", at.cpu) + " ", "" if cpu >= IDLE else "dim"))
    if at.rss:
        parts.append((_right(size(rss) if rss else "", at.rss) + " ", "dim"))
    return [*parts, *_rest(row, state, look, at)]


def mark_at(row: TreeRow, at: Columns) -> int:
    """The cell at which the mark of a fold stands; it is two cells wide."""
    return cell_len(_guides(row, at))


def fit(text: str, width: int) -> str:
    """Exactly `width` cells: cut with an ellipsis, or filled with blanks. Control characters are taken out."""
    shown = clean(text[: 4 * width + 4])  # a cell holds few characters; the rest need not be looked at
    if len(shown) < len(text) or cell_len(shown) > width:
        return set_cell_size(set_cell_size(shown, max(0, width - 1)).rstrip() + "…", width)
    return set_cell_size(shown, width)


def waits_for(thread: ThreadSeen) -> str:
    """What a thread waits for, in few words; of one that runs, where."""
    if status(thread) == "runs":
        return thread.place
    if not (lead := _LEAD.match(thread.wait)):
        return "" if thread.wait in ("", "runs") else _short(thread.wait)
    sources = list(dict.fromkeys(_short(source) for source in thread.wait[lead.end() :].split(" or ")))
    more = f" or {len(sources) - 1} more" if len(sources) > 1 else ""
    return sources[0] + more + (", with a timeout" if thread.timed else "")


def could_wake(thread: ThreadSeen, processes: Mapping[int, ProcessSeen]) -> str:
    """Who could wake a thread: threads, roles or PIDs; nobody at all for one that is dead without any."""
    state = status(thread)
    if state in ("runs", "ended"):
        return ""
    others = [_called(waker.pid, processes) for waker in thread.wakers if waker.pid != thread.pid]
    own = [waker.tid for waker in thread.wakers if waker.pid == thread.pid]
    mates = [f"thread {own[0]}" if len(own) == 1 and own[0] else "its own threads"] if own else []
    names = list(dict.fromkeys([*others, *mates]))  # others first: they are farther away
    if not names:
        alive = thread.why.partition(", wh")[0].removesuffix(" could wake it")
        return "nobody" if state == "dead" else "a timeout" if thread.timed else alive
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def title(process: ProcessSeen) -> str:
    """The role of a process, or its program with what that runs."""
    if process.role:
        return process.role
    if not process.command or not process.command[0].strip():
        return "(no command line)"
    program = process.command[0][:4096].rpartition("/")[2] or process.command[0]
    after = process.command[1:3]
    if _runs_module(after):
        return f"{program} -m {after[1]}"
    script = after[0][:4096].rpartition("/")[2] if after and not after[0].startswith("-") else ""
    return f"{program} {script}".rstrip()


def _runs_module(after: Sequence[str]) -> bool:
    return len(after) == 2 and after[0] == "-m"


def _facts(row: TreeRow, look: Look) -> tuple[str, str, str, float, int]:
    """State, name, PID or TID, part of a core, bytes."""
    key = row.key
    if isinstance(key, Selection) and not key.tid:
        process, mine = look.processes[key.pid], look.mine.get(key.pid, ())
        return process_status(process, mine), title(process), str(key.pid), process.cpu, process.rss_bytes
    members = [look.threads[tid] for tid in row.tids if tid in look.threads]
    if not members:
        return "ended", "thread", "", 0.0, 0
    first, cpu = members[0], sum(thread.cpu for thread in members)
    if isinstance(key, Bundle):
        return status(first), f"{len(members)} threads {first.name.rstrip('0123456789_-#')}", "", cpu, 0
    name = called(first, look.mine.get(key.pid, ()), look.processes.get(key.pid))
    return status(first), name, f"/{first.tid}", cpu, 0


def _guides(row: TreeRow, at: Columns) -> str:
    """The branches before a row; of very deep ones only the last."""
    most = at.name // 2
    return row.guides if len(row.guides) <= most else "…" + row.guides[-most + 1 :]


def _name(row: TreeRow, name: str, state: str, look: Look, at: Columns) -> list[Part]:
    guides = _guides(row, at)
    mark = {"open": "▾", "closed": "▸", "": "─" if row.guides else " "}[row.fold] + ("»" if row.hit else " ")
    flag = "⚑ " if row.key == look.followed else ""
    is_process = isinstance(row.key, Selection) and not row.key.tid
    tone = "bad" if state == "dead" else "mark" if row.hit else "bold" if is_process else ""
    if look.view.words and not row.hit and state != "dead":
        tone = "dim"
    room = at.name - cell_len(guides) - cell_len(mark)
    return [(guides + mark, "dim"), (fit(flag + name, room), tone)]


def _rest(row: TreeRow, state: str, look: Look, at: Columns) -> list[Part]:
    """What stands to the right of the numbers."""
    lead: list[Part] = [(f"{FOLLOWED}  ", "accent")] if row.key == look.followed else []
    room = max(0, at.wait - sum(cell_len(text) for text, _ in lead))
    key = row.key
    is_process = isinstance(key, Selection) and not key.tid
    if is_process and row.fold == "closed":
        return [*lead, *_folded(row, look, room + at.waker)]
    mine = look.mine.get(key.pid, ())
    if is_process and not (merged(mine) and mine):
        return [*lead, (fit(_command(look.processes[key.pid]), room + at.waker + bool(at.waker)), "dim")]
    thread = mine[0] if is_process else look.threads.get(row.tids[0]) if row.tids else None
    if thread is None:
        return lead
    wait, waker = waits_for(thread), could_wake(thread, look.processes)
    tone = "" if state == "dead" else "dim"
    if at.waker:
        only = "only dead: " if state == "dead" and thread.wakers else ""
        return [*lead, (fit(wait, room) + " ", tone), (fit(only + waker, at.waker), tone)]
    waker = "" if waker and waker in wait else waker
    if wait and waker and cell_len(wait) + cell_len(waker) + 3 > room:
        wait = wait.removeprefix("data on ").removeprefix("a private ")
    return [*lead, (fit(f"{wait} ← {waker}" if wait and waker else wait or waker, room), tone)]


def _folded(row: TreeRow, look: Look, room: int) -> list[Part]:
    """What is hidden below a process, its dead first."""
    below = [look.processes[pid] for pid in row.below if pid in look.processes]
    hidden = [thread for pid in (row.key.pid, *row.below) for thread in look.mine.get(pid, ())]
    dead = sum(process.dead for process in below)
    if dead:
        return [(fit(f"✗ {dead} of {len(below)} dead below", room), "bad")]
    if dead := sum(status(thread) == "dead" for thread in hidden):
        return [(fit(f"✗ {dead} of {len(hidden)} threads dead", room), "bad")]
    words = [counted(len(below), "process")] if below else []
    return [(fit(", ".join([*words, counted(len(hidden), "thread")]) + " below", room), "dim")]


def _short(text: str) -> str:
    return _ASIDE.split(text, maxsplit=1)[0]


def _called(pid: int, processes: Mapping[int, ProcessSeen]) -> str:
    process = processes.get(pid)
    return process.role if process is not None and process.role else f"PID {pid}"


def _command(process: ProcessSeen) -> str:
    """The command line, its program without the folder."""
    if not process.command:
        return ""
    program = process.command[0][:4096]
    return " ".join((program.rpartition("/")[2] or program, *process.command[1:64]))


def _right(text: str, width: int) -> str:
    return " " * max(0, width - cell_len(text)) + text
