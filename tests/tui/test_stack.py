"""The Stack panel: whose stack, how it was read, what is left out, and the keys that read it again."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
from cvdebug.core import events as ev
from cvdebug.core.commands import Dump
from cvdebug.core.model import Frame
from cvdebug.core.seen import ProcessSeen, StackSeen, ThreadSeen
from cvdebug.tui.scene import Selection
from cvdebug.tui.sources import MOST_BYTES, Place, Sources

from . import events
from .events import POOL_THREAD, SUBJECT, WORKER_1, WORKER_2
from .stage import DEADLINE_S, START, Stage, stage
from .test_verdict import HOSTILE

LIBRARY = "/usr/lib/libpython3.11.so.1.0"


def read(*frames: Frame, tid: int = WORKER_1, at: float = START + 2, **more: object) -> ev.StacksRead:
    seen = StackSeen(tid=tid, name="MainThread", frames=frames, raw=more.pop("raw", {}))  # type: ignore[arg-type]
    return msgspec.structs.replace(ev.StacksRead(pid=tid, stacks=(seen,)), at=at, **more)


def look_at(show: Stage, pid: int, tid: int = 0) -> None:
    show.app.main.select(Selection(pid, tid))


def until(what: Callable[[], object]) -> None:
    """Waits for what another thread does."""
    deadline_s = time.monotonic() + DEADLINE_S
    while not what():
        assert time.monotonic() < deadline_s
        time.sleep(0.005)


async def test_the_stack_of_a_process_is_that_of_its_main_thread() -> None:
    async with stage(events.hang(), size="wide", now=START + 10) as show:
        look_at(show, WORKER_1)
        await show.tick()
        for text in ("✗ dead  main thread 4101", "of PID 4101 worker 1", "nobody could wake it", "innermost first",
                     "◦ native  rayon_core::latch::LockLatch::wait", "● python  encode_batch", "tokenizer.py:88",
                     "with native frames"):  # fmt: skip
            assert text in show.text, text
        own = next(line for line in show.lines if "own code" in line)
        assert "encode_batch" in own


async def test_the_age_of_a_stack_is_shown_and_stands_still_with_the_clock() -> None:
    async with stage([*events.hang(), read(Frame(function="f"))], size="wide", now=START + 4.5) as show:
        look_at(show, WORKER_1)
        await show.tick()
        assert ", 2 s ago, Python frames only (--nonblocking)" in show.text
        show.now += 60
        await show.tick()
        assert ", 1 min 02 s ago" in show.text or ", 62 s ago" in show.text


async def test_whom_it_waits_for_can_be_followed() -> None:
    async with stage(events.hang(), size="wide") as show:
        look_at(show, SUBJECT)
        await show.tick()
        assert "could be woken by PID 4102 (worker 2), which is dead itself" in show.text
        await show.press("5", "down", "down", "enter")
        assert show.app.selection == Selection(WORKER_2)


async def test_machinery_and_repeats_are_folded_until_v_shows_everything() -> None:
    frames = (
        *(Frame(function=f"rayon::deep{n}", module="/x/tokenizers.abi3.so", native=True) for n in range(9)),
        Frame(function="count", file="/project/kit.py", line=39),
        *(Frame(function="_PyEval_EvalFrameDefault", module=LIBRARY, native=True) for _ in range(14)),
        *(Frame(function="again", file="/project/kit.py", line=7) for _ in range(50)),
        Frame(function="_bootstrap", file="/usr/lib/python3.11/threading.py", line=1002),
    )
    async with stage([*events.hang(), read(*frames, native=True)], size=(160, 110)) as show:
        look_at(show, WORKER_1)
        await show.press("5", "o")
        await show.tick()
        assert "6 more frames of tokenizers.abi3.so" in show.text
        assert "14 frames of the interpreter (libpython3.11.so.1.0)" in show.text
        assert "47 more calls of the same line" in show.text
        assert "_bootstrap" not in show.text
        await show.press("v")
        assert "6 more frames" not in show.text
        assert "/project/kit.py:39" in show.text
        await show.press("end")
        assert "/usr/lib/python3.11/threading.py:1002" in show.text
        await show.press("v")
        assert "6 more frames of tokenizers.abi3.so" in show.text


async def test_w_shows_native_names_as_the_symbol_table_has_them() -> None:
    async with stage(events.hang(), size="wide") as show:
        look_at(show, WORKER_1)
        await show.press("w")
        assert "10rayon_core5latchNtB5_9LockLatch4wait" in show.text
        await show.press("w")
        assert "rayon_core::latch::LockLatch::wait" in show.text


async def test_d_reads_now_and_capital_d_asks_before() -> None:
    async with stage(events.hang(), size="wide") as show:
        look_at(show, WORKER_2)
        await show.press("d")
        assert show.sent == [Dump(WORKER_2)]
        await show.press("D")
        assert "stops the process for some milliseconds" in show.text
        await show.press("escape")
        assert show.sent == [Dump(WORKER_2)]
        await show.press("D", "enter")
        assert show.sent == [Dump(WORKER_2), Dump(WORKER_2, native=True)]


async def test_what_could_not_be_read_is_said_beside_what_was() -> None:
    async with stage(events.hang(), size="wide") as show:
        look_at(show, WORKER_1)
        await show.feed(ev.StacksRead(pid=WORKER_1, trouble="a thread of it writes", asked=True, at=START + 3))
        assert "not read again: a thread of it writes" in show.text
        assert "encode_batch" in show.text
        (stack,) = (stack for tid, stack in show.app.bridge.state.stacks.items() if tid == WORKER_1)
        itself = ev.StacksRead(pid=WORKER_1, stacks=(stack.stack,), trouble="there is no py-spy", at=START + 3)
        await show.feed(itself)
        assert "written by the process itself" in show.text
        assert "no native frames: there is no py-spy" in show.text
        look_at(show, WORKER_2)
        await show.tick()
        assert "d reads it now" in show.text
        await show.feed(ev.StacksRead(pid=WORKER_2, trouble="permission denied", at=START + 3))
        assert "not read: permission denied" in show.text


async def test_a_thread_that_ran_after_its_stack_was_read_is_marked() -> None:
    async with stage([*events.running(), read(Frame(function="f"))], size="wide", now=START + 3) as show:
        look_at(show, WORKER_1)
        await show.tick()
        ran = ThreadSeen(pid=WORKER_1, tid=WORKER_1, name="MainThread", state="S", status="waits", cpu=0.2)
        await show.feed(ev.TreeSampled(threads=(msgspec.structs.replace(ran, cpu=0.0),), at=START + 4))
        assert "it has moved since" not in show.text
        await show.feed(ev.TreeSampled(threads=(ran,), at=START + 5))
        await show.feed(ev.TreeSampled(threads=(msgspec.structs.replace(ran, cpu=0.0),), at=START + 6))
        assert "it has moved since" in show.text
        await show.feed(read(Frame(function="g"), at=START + 7))
        assert "it has moved since" not in show.text


async def test_several_with_the_same_stack_say_so() -> None:
    frame = Frame(function="count", file="/project/kit.py", line=39)
    events_ = [*events.hang(), read(frame), read(frame, tid=WORKER_2)]
    async with stage(events_, size="wide") as show:
        look_at(show, WORKER_1)
        await show.tick()
        assert "the same stack as 1 other" in show.text


async def test_a_native_thread_has_no_stack_and_says_why() -> None:
    events_ = [*events.hang(), read(Frame(function="wait"), tid=SUBJECT)]
    async with stage(events_, size="wide") as show:
        look_at(show, SUBJECT, POOL_THREAD)
        await show.tick()
        assert "it is a native thread" in show.text


async def test_the_source_line_is_read_from_the_file(tmp_path: Path) -> None:
    file = tmp_path / "kit.py"
    file.write_text("def count():\n    return encode_batch(texts)  # [bold]\n")
    pid = os.getpid()
    seen = ev.TreeSampled(
        key=True, at=START, processes=(ProcessSeen(pid=pid, ppid=1, start_ticks=1),),
        threads=(ThreadSeen(pid=pid, tid=pid, name="MainThread"),),
    )  # fmt: skip
    events_ = [*events.running(), seen, read(Frame(function="count", file=str(file), line=2), tid=pid)]
    async with stage(events_, size="wide") as show:
        look_at(show, pid)
        await show.until(lambda: "return encode_batch(texts)  # [bold]" in show.text)


def test_sources_opens_only_small_regular_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.py")
    (tmp_path / "large.py").write_bytes(b"x\n" * MOST_BYTES)
    (tmp_path / "binary.py").write_bytes(b"\xff\xfe\n\x1b[31m\n")
    sources, pid = Sources(), os.getpid()
    good = Place(pid, str(tmp_path / "binary.py"), 2)
    places = [Place(pid, str(tmp_path / name), 1) for name in ("fifo.py", "large.py", "none.py")]
    places += [Place(pid, "relative.py", 1), Place(pid, str(tmp_path), 1), Place(pid, "/nul\0.py", 1), good]
    for place in places:
        sources.line(place, 1.0)
    until(lambda: sources.line(good, 1.0))
    assert [sources.line(place, 1.0) for place in places[:-1]] == [""] * 6


def test_a_changed_file_is_read_again_for_a_newer_stack(tmp_path: Path) -> None:
    file = tmp_path / "kit.py"
    file.write_text("before\n")
    sources, place = Sources(), Place(os.getpid(), str(file), 1)
    until(lambda: sources.line(place, 1.0) == "before")
    file.write_text("afterwards\n")
    os.utime(file, ns=(1, 1))
    until(lambda: sources.line(place, 2.0) == "afterwards")


async def test_hostile_frames_are_shown_as_texts() -> None:
    frames = (
        Frame(function=HOSTILE * 50, module=HOSTILE, native=True),
        Frame(function=HOSTILE, file=HOSTILE, line=3),
        Frame(function="", file="", line=0),
        *(Frame(function=f"f{n}", file="/x/漢字.py", line=n) for n in range(500)),
    )
    async with stage([*events.hang(), read(*frames, raw={0: HOSTILE * 90})], size="narrow") as show:
        look_at(show, WORKER_1)
        await show.press("5", "v", "w", "end", "home", "v")
        assert "\x1b" not in show.text
        assert "oops" in show.text
