"""Stacks by py-spy: read, demangled, refused with a reason, and without disturbing anybody."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from cvdebug.core.errors import ObserveError
from cvdebug.core.model import Frame, ProcessSnapshot
from cvdebug.core.observe import proc, stacks
from cvdebug.core.observe.symbols import readable_name
from hypothesis import given
from hypothesis import strategies as st

from tests.programs import running, until


def process(pid: int) -> ProcessSnapshot:
    return proc.snapshot([pid])[pid]


def asleep(pid: int) -> bool:
    return process(pid).threads[0].syscall is not None and process(pid).state == "S"


@pytest.mark.parametrize(
    ("symbol", "name"),
    [
        (
            "_RNvMs3_NtCsjpdOAJTRuNw_10rayon_core5latchNtB5_9LockLatch14wait_and_reset",
            "<rayon_core::latch::LockLatch>::wait_and_reset",
        ),
        (
            "_ZN10rayon_core5latch9LockLatch14wait_and_reset17h0123456789abcdefE",
            "rayon_core::latch::LockLatch::wait_and_reset::h0123456789abcdef",
        ),
        (
            "_ZNSt18condition_variable4waitERSt11unique_lockISt5mutexE",
            "std::condition_variable::wait(std::unique_lock<std::mutex>&)",
        ),
        ("_ZZN3foo3barEvENKUlvE_clEv", "foo::bar()::{lambda()#1}::operator()() const"),
        ("_ZN3foo3barEv.cold", "foo::bar() [clone .cold]"),
        ("_Z" + "P" * 5000, "_Z" + "P" * 5000),
        ("_Z1f" + "S_" * 50, "_Z1f" + "S_" * 50),
        ("_Z1f\0v", "_Z1f\0v"),
        ("PyThread_acquire_lock_timed", "PyThread_acquire_lock_timed"),
        ("_Read", "_Read"),
        ("0x7fb6840a3f16", "0x7fb6840a3f16"),
        ("", ""),
    ],
)
def test_names_of_rust_and_cxx_are_readable(symbol: str, name: str) -> None:
    assert readable_name(symbol) == name


@given(st.sampled_from(["_R", "_RNv", "_Z", "_ZN", "_Z1f", ""]), st.text(max_size=40))
def test_no_symbol_raises(prefix: str, rest: str) -> None:
    assert isinstance(readable_name(prefix + rest), str)


@given(st.text(alphabet="_ZNSTIELXDpPKRCabcdefilmtvwxyz0123456789.", max_size=300))
def test_no_symbol_harms(rest: str) -> None:
    assert readable_name("_Z" + rest)


def test_a_frame_without_a_name_is_native() -> None:
    (stack,) = stacks.parse_dump(b'[{"frames": [{"name": "0x7f8e22ab8838", "filename": "?"}]}]')
    assert stack.frames[0].native


INTERPRETER = Frame(function="_PyEval", module="/usr/lib/libpython3.11.so.1.0", native=True)
STATIC = Frame(function="_start", module="/opt/bin/python3.13", native=True)
LIBC = Frame(function="0x7f", module="/lib/libc.so.6", native=True)
FOREIGN = Frame(function="run", module="/x/callback.abi3.so", native=True)
PYTHON_LIBRARY = Frame(function="pythonize", module="/x/python_calls.abi3.so", native=True)
IMPORT = Frame(function="_find_and_load", file="<frozen importlib._bootstrap>", line=1027)
MODULE = Frame(function="<module>", file="/app/main.py", line=1)
WORK = Frame(function="work", file="/app/work.py", line=7)
RUNPY = (
    Frame(function="_run_code", file="<frozen runpy>", line=88),
    Frame(function="_run_module_as_main", file="/usr/lib/python3.10/runpy.py", line=196),
)
BOOTSTRAP = (
    Frame(function="Thread.run", file="/usr/lib/python3.11/threading.py", line=982),
    Frame(function="Thread._bootstrap_inner", file="/usr/lib/python3.11/threading.py", line=1045),
    Frame(function="_bootstrap", file="/usr/lib/python3.10/threading.py", line=973),
)


@pytest.mark.parametrize(
    ("frames", "kept"),
    [
        ((), ()),
        ((WORK,), (WORK,)),
        ((LIBC, INTERPRETER, WORK, INTERPRETER, MODULE, STATIC, LIBC), (LIBC, INTERPRETER, WORK, MODULE)),
        ((WORK, INTERPRETER, FOREIGN, PYTHON_LIBRARY, MODULE), (WORK, FOREIGN, PYTHON_LIBRARY, MODULE)),
        ((WORK, IMPORT, IMPORT, MODULE), (WORK, MODULE)),
        ((LIBC, IMPORT, IMPORT, MODULE), (LIBC, IMPORT, MODULE)),
        ((WORK, *RUNPY), (WORK,)),
        ((WORK, MODULE, *RUNPY, LIBC), (WORK, MODULE)),
        ((WORK, *BOOTSTRAP), (WORK,)),
        ((BOOTSTRAP[0], WORK, *BOOTSTRAP), (BOOTSTRAP[0], WORK)),
        (BOOTSTRAP, BOOTSTRAP[:1]),
        ((LIBC, FOREIGN), (LIBC, FOREIGN)),
    ],
)
def test_a_trimmed_stack_keeps_what_tells(frames: tuple[Frame, ...], kept: tuple[Frame, ...]) -> None:
    assert stacks.trimmed(frames) == kept


@given(st.binary(max_size=200) | st.builds(msgspec.json.encode, st.lists(st.dictionaries(st.text(), st.integers()))))
def test_an_answer_is_read_or_refused_with_a_reason(answer: bytes) -> None:
    with suppress(ObserveError):
        assert isinstance(stacks.parse_dump(answer), list)


@pytest.mark.parametrize("native", [False, True])
def test_a_stack_is_innermost_first_and_tells_native_frames(native: bool) -> None:
    with running("lock_fork.py", "fork", "held") as program:
        (child,) = program.workers
        until(lambda: asleep(child))
        (stack,) = stacks.dump(child, native=native)
        assert stack.tid == child
        python = [frame for frame in stack.frames if not frame.native]
        assert [frame.function for frame in python] == ["take", "child", "<module>"]
        assert python[0].file.endswith("lock_fork.py")
        assert python[0].line > 0
        assert stack.frames[0].native is native
        assert all(frame.module for frame in stack.frames if frame.native)


def test_nonblocking_dumps_disturb_nothing() -> None:
    with running("waits.py", "lock") as program:
        (child,) = program.workers
        until(lambda: asleep(child))
        before = process(child)
        for _ in range(5):
            stacks.dump(child, native=False)
        assert process(child).threads == before.threads


def test_a_blocked_write_is_unsafe_for_native_and_survives_everything_else() -> None:
    size = 800_000
    program = f"import os; print(os.write(1, bytes({size})), file=__import__('sys').stderr)"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        until(lambda: asleep(child.pid) and child.poll() is None and not stacks.native_is_safe(process(child.pid)))
        for _ in range(5):
            stacks.dump(child.pid, native=False)
        written, reported = child.communicate()
        assert len(written) == int(reported) == size


def test_native_is_safe_only_where_every_wait_is_restarted() -> None:
    with running("waits.py", "read") as program:
        (child,) = program.workers
        until(lambda: asleep(child))
        seen = process(child)
        assert stacks.native_is_safe(seen)
        hidden = msgspec.structs.replace(seen.threads[0], syscall=None)
        assert not stacks.native_is_safe(msgspec.structs.replace(seen, threads=(*seen.threads, hidden)))


def test_two_dumps_of_one_process_take_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A py-spy that fails when a second one runs beside it on the same PID."""
    script = tmp_path / "py-spy"
    script.write_text('#!/bin/sh\nmkdir "$0.$5" || exit 1\nsleep 0.05\nrmdir "$0.$5"\necho "[]"\n')
    script.chmod(0o755)
    monkeypatch.setattr(stacks, "executable", lambda: str(script))
    results: list[object] = []
    threads = [
        threading.Thread(target=lambda: results.append(stacks.dump(os.getpid(), native=False))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [[], [], [], []]


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("exec sleep 60", "no stack of process"),
        ("echo 'Permission Denied: Try running again with elevated permissions' >&2; exit 1", "the kernel refused"),
        ("echo 'Error: Failed to get process executable name. Check' >&2; exit 1", "ended before"),
        ("echo 'Error: Failed to find python version from target process' >&2; exit 1", "no Python"),
        ("echo 'thread main panicked' >&2; echo 'Error: odd' >&2; exit 1", ": odd"),
        ("echo '{'", "cannot be read"),
    ],
)
def test_a_failure_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, said: str) -> None:
    executable = tmp_path / "py-spy"
    executable.write_text(f"#!/bin/sh\n{script}\n")
    executable.chmod(0o755)
    monkeypatch.setattr(stacks, "executable", lambda: str(executable))
    with pytest.raises(ObserveError, match=said):
        stacks.dump(os.getpid(), native=False, deadline_s=0.5)


def test_a_missing_py_spy_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ObserveError, match="pip install --force-reinstall py-spy"):
        stacks.dump(os.getpid(), native=False)


def test_a_process_that_is_gone_is_said_to_be() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    with pytest.raises(ObserveError, match="ended"):
        stacks.dump(child.pid, native=True)
