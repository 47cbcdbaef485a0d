"""What lets an observer see the Python stack of this process where py-spy is missing or refused.

`register` is called by the subject, and by each worker once it runs: after a fork, for the file is each process's
own. The handler is written in C, takes no lock and runs in a deadlock too. On the signal, the thread that gets it
writes its own stack; no other signal or thread is touched. Knows nothing of its observer but its PID.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import os
import re
import signal
from pathlib import Path

# A real-time signal that nobody is known to use; USR1 and USR2 belong to the libraries of users.
SIGNAL = signal.SIGRTMAX - 5
PR_SET_PTRACER = 0x59616D61  # linux/prctl.h
_FILE = re.compile(r"/stacks-\d+\.txt$")


def file_of(pid: int, folder: Path) -> Path:
    """Where a process writes its stacks."""
    return folder / f"stacks-{pid}.txt"


def is_file(path: str) -> bool:
    """Whether a process that has this file open has registered, or was forked by one that had."""
    return _FILE.search(path) is not None


def register(folder: Path, observer_pid: int) -> None:
    """Gets this process ready to be asked. Where `folder` cannot be written to, it can only be traced."""
    allow_tracing(observer_pid)
    with contextlib.suppress(OSError):
        file = file_of(os.getpid(), folder).open("ab", buffering=0)
        faulthandler.register(SIGNAL, file=file, all_threads=False)  # it keeps the file open


def allow_tracing(observer_pid: int) -> None:
    """Lets the observer's py-spy look at this process where Yama allows only ancestors to (ptrace_scope 1)."""
    ctypes.CDLL(None).prctl(PR_SET_PTRACER, ctypes.c_ulong(observer_pid), 0, 0, 0)
