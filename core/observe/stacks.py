"""Python and native stacks of another process, by py-spy.

`--nonblocking` reads the process's memory and disturbs nothing. `--native` stops it for milliseconds, and that can
cut a blocked write short and so destroy data: see `native_is_safe`. Never two dumps of one process at a time, at most
one for each processor, and each ends at its deadline.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from rust_demangler import demangle

from ..errors import ObserveError
from ..model import Frame, ProcessSnapshot, Stack
from .kernel import read
from .proc import MACHINE

# futex, read, poll, ppoll, wait4, waitid: the kernel restarts these after a stop as if nothing had been.
_RESTARTED_CALLS = {
    "x86_64": frozenset({202, 0, 7, 271, 61, 247}),
    "aarch64": frozenset({98, 63, 73, 260, 95}),
}.get(MACHINE, frozenset())

_REFUSED_SIGNS = ("permission denied", "operation not permitted", "os error 1)", "os error 13)")
_GONE_SIGNS = ("failed to get process executable name", "no such process", "os error 3)", "os error 2)")

_in_flight: set[int] = set()
_turn = threading.Condition()


class _RawFrame(msgspec.Struct):
    name: str = ""
    filename: str | None = None
    module: str | None = None
    line: int = 0


class _RawThread(msgspec.Struct):
    os_thread_id: int | None = None
    thread_name: str | None = None
    owns_gil: bool = False
    frames: list[_RawFrame] = []


_DECODER = msgspec.json.Decoder(list[_RawThread])


def dump(pid: int, *, native: bool, deadline_s: float = 5.0) -> list[Stack]:
    """The stacks of all threads of a process that ran Python, innermost frame first.

    `native` stops the process for a moment: only where `native_is_safe` says so, or where a person asked for it.
    Raises ObserveError when py-spy is missing, refused, too slow, or when the process is no Python or gone.
    """
    mode = "--native" if native else "--nonblocking"
    command = [executable(), "dump", "--json", mode, "--pid", str(pid)]
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
            raise ObserveError(f"py-spy cannot be started: {error.strerror}") from error
    if done.returncode:
        raise _refusal(pid, done.stderr.decode("utf-8", "replace"))
    return parse_dump(done.stdout)


def parse_dump(output: bytes) -> list[Stack]:
    """py-spy's JSON as stacks. Raises ObserveError when it is something else."""
    try:
        threads = _DECODER.decode(output)
    except msgspec.MsgspecError as error:
        raise ObserveError(f"py-spy's answer cannot be read: {error}") from error
    return [
        Stack(
            tid=thread.os_thread_id or 0,
            name=thread.thread_name or "",
            frames=tuple(_frame(raw) for raw in thread.frames),
            owns_gil=thread.owns_gil,
        )
        for thread in threads
    ]


def native_is_safe(process: ProcessSnapshot) -> bool:
    """Whether a stop disturbs nothing: every thread sleeps in a call that the kernel restarts, none in write or send.

    A thread whose call cannot be seen counts as unsafe.
    """
    return all(
        thread.state == "S" and thread.syscall is not None and thread.syscall[0] in _RESTARTED_CALLS
        for thread in process.threads
    )


def readable_name(symbol: str) -> str:
    """A Rust symbol as it was written, in the legacy and the v0 form; anything else as it stands."""
    if not symbol.startswith(("_R", "_ZN")):
        return symbol
    try:
        name = str(demangle(symbol))
    except Exception:  # noqa: BLE001  the package raises whatever its parser trips over, and symbols are foreign data
        return symbol
    return name or symbol


def _frame(raw: _RawFrame) -> Frame:
    """py-spy gives a module, the path of a shared object, to native frames only."""
    native = raw.module is not None
    return Frame(
        function=readable_name(raw.name) if native else raw.name,
        file="" if native else raw.filename or "",
        module=raw.module or "",
        line=raw.line,
        native=native,
    )


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
            hint="Install it: pip install py-spy.",
        )
    return found


def _refusal(pid: int, stderr: str) -> ObserveError:
    """py-spy's complaint as a sentence with a remedy."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    first = next((line for line in lines if line.startswith(("Error:", "Permission Denied"))), "".join(lines[:1]))
    low = stderr.lower()
    if any(sign in low for sign in _REFUSED_SIGNS):
        return ObserveError(f"the kernel refused a look at the stacks of process {pid}", hint=_ptrace_hint())
    if any(sign in low for sign in _GONE_SIGNS):
        return ObserveError(f"process {pid} ended before its stacks were read")
    if "python version" in low:
        return ObserveError(f"process {pid} is no Python that py-spy knows")
    return ObserveError(f"py-spy could not read the stacks of process {pid}: {first.removeprefix('Error:').strip()}")


def _ptrace_hint() -> str:
    scope = read("/proc/sys/kernel/yama/ptrace_scope").strip()
    if scope not in (b"", b"0"):
        return "Yama forbids it: sudo sysctl kernel.yama.ptrace_scope=0, or run cvdebug as root."
    return "In a container start it with --cap-add SYS_PTRACE; elsewhere be the same user, or root."
