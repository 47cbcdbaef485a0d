"""Python stacks without py-spy: a process of cvdebug's own is asked by a signal, and writes them to a file itself.

See core.lastwords for the other half. A signal cuts a blocked write short, so a process is only asked where
`stacks.native_is_safe` says that nothing is lost; and only one that registered, for anything else would die of it.
"""

from __future__ import annotations

import ctypes
import os
import re
import time
from pathlib import Path

from ..errors import ObserveError
from ..lastwords import SIGNAL, file_of
from ..model import Frame, ProcessSnapshot, Stack
from . import proc
from .kernel import read
from .stacks import native_is_safe

# tgkill: arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h.
_TGKILL_CALL = {"x86_64": 234, "aarch64": 131}.get(proc.MACHINE, -1)
_POLL_S = 0.001
# Python/traceback.c: File "NAME", line N in FUNCTION; "???" for what is not known.
_LINE = re.compile(r'  File (?:"(?P<file>.*)"|\?\?\?), line (?P<line>\d+|\?\?\?) in (?P<function>.*)')


def dump(pid: int, folder: Path, deadline_s: float) -> list[Stack]:
    """The stacks of the threads of a process that run Python, innermost frame first.

    One thread after the other is asked; `deadline_s` is for all of them. Raises ObserveError when the process did not
    register in `folder`, must not be disturbed, is gone or does not answer in time.
    """
    process = proc.snapshot([pid]).get(pid)
    if process is None:
        raise ObserveError(f"process {pid} ended before its stacks were asked for")
    _require_registered(process, file_of(pid, folder))
    if not native_is_safe(process):
        raise ObserveError(
            f"process {pid} is not asked for its stacks: a signal could cut short what one of its threads does",
            hint="It is asked when all of its threads wait for a lock, input or a child.",
        )
    end_s = time.monotonic() + deadline_s
    with file_of(pid, folder).open("rb") as file:
        answers = [(thread.tid, _ask(pid, thread.tid, file.fileno(), end_s)) for thread in process.threads]
    return [Stack(tid=tid, name="", frames=frames) for tid, text in answers if (frames := parse(text))]


def parse(text: bytes) -> tuple[Frame, ...]:
    """The frames that faulthandler wrote of one thread; lines that are no frames are left out."""
    found = (_LINE.fullmatch(line) for line in text.decode("utf-8", "replace").splitlines())
    return tuple(
        Frame(function=match["function"], file=match["file"] or "", line=int(match["line"].replace("???", "0")))
        for match in found
        if match is not None
    )


def _require_registered(process: ProcessSnapshot, file: Path) -> None:
    if not process.signals_caught >> (SIGNAL - 1) & 1 or not file.exists():
        raise ObserveError(f"process {process.pid} has not said that it can be asked for its stacks")


def _ask(pid: int, tid: int, file: int, end_s: float) -> bytes:
    """What the thread wrote. It is through when it took the signal and sleeps again; native threads write nothing."""
    size = os.fstat(file).st_size
    before = proc.parse_switches(_status(pid, tid))
    if ctypes.CDLL(None, use_errno=True).syscall(_TGKILL_CALL, pid, tid, SIGNAL) != 0:
        why = os.strerror(ctypes.get_errno())
        raise ObserveError(f"thread {tid} of process {pid} cannot be asked for its stack: {why.lower()}")
    while not _answered(_status(pid, tid), before):
        if time.monotonic() > end_s:
            raise ObserveError(f"thread {tid} of process {pid} gave no stack in time")
        time.sleep(_POLL_S)
    return os.pread(file, os.fstat(file).st_size - size, size)


def _answered(status: bytes, before: int | None) -> bool:
    if not status:
        return True  # the thread has ended
    return not _is_pending(status) and proc.parse_state(status) == "S" and proc.parse_switches(status) != before


def _is_pending(status: bytes) -> bool:
    _, found, rest = status.partition(b"\nSigPnd:")
    try:
        return bool(found) and bool(int(rest.split(None, 1)[0], 16) >> (SIGNAL - 1) & 1)
    except (ValueError, IndexError):
        return True


def _status(pid: int, tid: int) -> bytes:
    return read(f"/proc/{pid}/task/{tid}/status")
