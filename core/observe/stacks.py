"""Python and native stacks of another process, by py-spy.

`--nonblocking` reads the process's memory and disturbs nothing. `--native` stops it for milliseconds, and that can
cut a blocked write short and so destroy data: see `native_is_safe`. Never two dumps of one process at a time, at most
one for each processor, and each ends at its deadline.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sysconfig
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from ..errors import ObserveError
from ..model import Frame, ProcessSnapshot, Stack
from . import permissions
from .proc import MACHINE
from .symbols import readable_name

# futex, read, wait4, waitid: the kernel restarts these after a stop as if nothing had been. (It restarts poll as well,
# but then shows another system call, and what the thread waits for can no longer be read.)
_RESTARTED_CALLS = {"x86_64": frozenset({202, 0, 61, 247}), "aarch64": frozenset({98, 63, 260, 95})}.get(
    MACHINE, frozenset()
)
# write, pwrite64, writev, sendto, sendmsg, pwritev, sendfile, splice, sendmmsg: a stop can cut these short.
_CUT_SHORT = {
    "x86_64": frozenset({1, 18, 20, 44, 46, 296, 40, 275, 307}),
    "aarch64": frozenset({64, 68, 66, 206, 211, 70, 71, 76, 269}),
}.get(MACHINE, frozenset())

# The interpreter and the C library that starts it, in whatever folder.
_INTERPRETER = re.compile(
    r"(.*/)?(libc|libpthread|libpython|ld-linux|ld-musl|python|libpypy|pypy)[-.\d][^/]*|(.*/)?python"
)
_IMPORT_FILES = ("<frozen importlib", "<frozen zipimport")
# What stands at the outer end of a stack without being anybody's code: `python -m`, and the start of a thread.
_STARTS = (
    ("runpy>", ("_run_module_as_main", "_run_module_code", "_run_code", "run_path", "run_module")),
    ("/runpy.py", ("_run_module_as_main", "_run_module_code", "_run_code", "run_path", "run_module")),
    ("/threading.py", ("_bootstrap", "_bootstrap_inner", "run")),
)

# What is said of a process that was gone too soon.
ENDED = "ended before its stacks were read"
_REFUSED_SIGNS = ("permission denied", "operation not permitted", "os error 1)", "os error 13)")
_GONE_SIGNS = ("failed to get process executable name", "no such process", "os error 3)", "os error 2)")

_in_flight: set[int] = set()
_turn = threading.Condition()


class _RawLocal(msgspec.Struct):
    name: str = ""
    repr: str | None = None


class _RawFrame(msgspec.Struct):
    name: str = ""
    filename: str | None = None
    module: str | None = None
    line: int = 0
    locals: list[_RawLocal] | None = None


class _RawThread(msgspec.Struct):
    os_thread_id: int | None = None
    thread_name: str | None = None
    owns_gil: bool = False
    active: bool = True
    frames: list[_RawFrame] = []


# A thread that runs while it is read can change its frames under the reader (one time in ten when it spins).
_INSTALL = "Install it: pip install --force-reinstall py-spy."
_TORN = "Failed to get stack traces"
_TRIES = 3

_DECODER = msgspec.json.Decoder(list[_RawThread])


class Local(msgspec.Struct, frozen=True):
    """A local variable of a frame, as Python writes it; a long text is cut short."""

    name: str
    value: str


def dump(pid: int, *, native: bool, deadline_s: float = 5.0) -> list[Stack]:
    """The stacks of all threads of a process that ran Python, innermost frame first.

    `native` stops the process for a moment: only where `native_is_safe` says so, or where a person asked for it.
    Raises ObserveError when py-spy is missing, refused, too slow, or when the process is no Python or gone.
    """
    option = "--native" if native else "--nonblocking"
    for _ in range(0 if native else _TRIES - 1):
        try:
            return parse_dump(_run(pid, option, deadline_s=deadline_s))
        except ObserveError as error:
            if _TORN not in error.what:
                raise
    return parse_dump(_run(pid, option, deadline_s=deadline_s))


def dump_locals(pid: int, tid: int, *, deadline_s: float = 5.0) -> list[tuple[Frame, tuple[Local, ...]]]:
    """The Python frames of one thread, innermost first, with their local variables. It stops nothing.

    They may hold secrets: only what is asked for by name may be kept. Raises ObserveError like `dump`.
    """
    return parse_locals(_run(pid, "--nonblocking", *["--locals"] * 3, deadline_s=deadline_s), tid)


def _run(pid: int, *options: str, deadline_s: float) -> bytes:
    command = [executable(), "dump", "--json", *options, "--pid", str(pid)]
    with _one_at_a_time(pid):
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=deadline_s,
                env={**os.environ, "RUST_BACKTRACE": "0"},
                start_new_session=True,  # a Ctrl-C in the terminal must not end it while it holds the process
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise ObserveError(
                f"py-spy gave no stack of process {pid} within {deadline_s:g} s",
                hint="A process in an uninterruptible wait (state D) cannot be stopped; try again later.",
            ) from error
        except OSError as error:
            raise ObserveError(f"py-spy cannot be started: {error.strerror}", hint=_INSTALL) from error
    if done.returncode:
        raise _refusal(pid, done.stderr.decode("utf-8", "replace"))
    return done.stdout


def parse_dump(output: bytes) -> list[Stack]:
    """py-spy's JSON as stacks. Raises ObserveError when it is something else."""
    return [_stack(thread) for thread in _decode(output)]


def _stack(thread: _RawThread) -> Stack:
    frames = tuple(_frame(raw) for raw in thread.frames)
    pairs = enumerate(zip(frames, thread.frames, strict=True))
    return Stack(
        tid=thread.os_thread_id or 0,
        name=thread.thread_name or "",
        frames=frames,
        owns_gil=thread.owns_gil,
        on_cpu=thread.active,
        raw={at: raw.name for at, (frame, raw) in pairs if frame.function != raw.name},
    )


def parse_locals(output: bytes, tid: int) -> list[tuple[Frame, tuple[Local, ...]]]:
    """The frames of one thread with their local variables, from py-spy's JSON. Raises ObserveError like the above."""
    return [
        (_frame(raw), tuple(Local(item.name, item.repr or "") for item in raw.locals or ()))
        for thread in _decode(output)
        if thread.os_thread_id == tid
        for raw in thread.frames
    ]


def _decode(output: bytes) -> list[_RawThread]:
    try:
        return _DECODER.decode(output)
    except msgspec.MsgspecError as error:
        raise ObserveError(f"py-spy's answer cannot be read: {error}") from error


def native_is_safe(process: ProcessSnapshot) -> bool:
    """Whether a stop disturbs nothing: every thread sleeps in a call that the kernel restarts, none in write or send.

    A thread whose call cannot be seen counts as unsafe.
    """
    return all(
        thread.state == "S" and thread.syscall is not None and thread.syscall[0] in _RESTARTED_CALLS
        for thread in process.threads
    )


def may_be_stopped(process: ProcessSnapshot) -> bool:
    """Whether a stop loses no data, although it may show: for when a person asks. Nobody is seen in write or send."""
    return all(
        thread.state == "R" or (thread.syscall is not None and thread.syscall[0] not in _CUT_SHORT)
        for thread in process.threads
    )


def _frame(raw: _RawFrame) -> Frame:
    """py-spy gives a module, the path of a shared object, to native frames only; to some none, and then no name."""
    native = raw.module is not None or (raw.name.startswith("0x") and raw.filename in (None, "", "?"))
    return Frame(
        function=readable_name(raw.name) if native else raw.name,
        file="" if native else raw.filename or "",
        module=raw.module or "",
        line=raw.line,
        native=native,
    )


def trimmed(frames: tuple[Frame, ...]) -> tuple[Frame, ...]:
    """The frames that tell what a thread does, innermost first. Keep the whole stack beside them.

    Left out are the interpreter's own native frames outside of the innermost Python frame, the machinery of import,
    and what starts a module or a thread. The innermost Python frame and the native ones inside of it always stay.
    """
    innermost = next((at for at, frame in enumerate(frames) if not frame.native), len(frames))
    rest = [frame for frame in frames[innermost + 1 :] if not _is_machinery(frame)]
    while rest and _is_start(rest[-1]):
        rest.pop()
    return (*frames[: innermost + 1], *rest)


def _is_machinery(frame: Frame) -> bool:
    if frame.native:
        return not frame.module or _INTERPRETER.fullmatch(frame.module) is not None
    return frame.file.startswith(_IMPORT_FILES)


def _is_start(frame: Frame) -> bool:
    function = frame.function.rpartition(".")[2]
    return any(frame.file.endswith(file) and function in functions for file, functions in _STARTS)


@contextmanager
def _one_at_a_time(pid: int) -> Iterator[None]:
    limit = os.cpu_count() or 1
    with _turn:
        _turn.wait_for(lambda: pid not in _in_flight and len(_in_flight) < limit)
        _in_flight.add(pid)
    try:
        yield
    finally:
        with _turn:
            _in_flight.discard(pid)
            _turn.notify_all()


def executable() -> str:
    """The py-spy beside this Python, or on PATH. Raises ObserveError when there is none."""
    beside = Path(sysconfig.get_path("scripts")) / "py-spy"
    if os.access(beside, os.X_OK):
        return str(beside)
    found = shutil.which("py-spy")
    if found is None:
        raise ObserveError(
            "there is no py-spy beside this Python or on PATH, so stacks cannot be read",
            hint=_INSTALL,
        )
    return found


def _refusal(pid: int, stderr: str) -> ObserveError:
    """py-spy's complaint as a sentence with a remedy."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    first = next((line for line in lines if line.startswith(("Error:", "Permission Denied"))), "".join(lines[:1]))
    low = stderr.lower()
    if any(sign in low for sign in _REFUSED_SIGNS):
        hint = permissions.ptrace_hint(pid)
        return ObserveError(f"the kernel refused a look at the stacks of process {pid}", hint=hint)
    if any(sign in low for sign in _GONE_SIGNS):
        return ObserveError(f"process {pid} {ENDED}")
    if "python version" in low:
        return ObserveError(f"process {pid} is no Python that py-spy knows")
    return ObserveError(f"py-spy could not read the stacks of process {pid}: {first.removeprefix('Error:').strip()}")
