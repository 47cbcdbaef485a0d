"""Sends signals to processes that somebody else may have started: by a handle, so that a reused PID is never hit."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Mapping

from ..commands import Kill
from ..events import Signalled
from ..observe import proc


def send(pid: int, start_ticks: int, number: signal.Signals) -> str:
    """Sends a signal to the process with this start time (clock ticks since boot); why not, empty when it arrived."""
    with contextlib.ExitStack() as handles:
        return _send(pid, start_ticks, number, handles)[1]


def answer(command: Kill, starts: Mapping[int, int]) -> Signalled:
    """Signals a process of a tree, start times by PID, and no other; what became of it."""
    trouble = "it is not in the tree, or has ended"
    if starts.get(command.pid) == command.start_ticks:
        trouble = send(command.pid, command.start_ticks, command.signal)
    return Signalled(pid=command.pid, signal=command.signal.name, trouble=trouble)


def kill(processes: Mapping[int, int], *, deadline_s: float) -> dict[int, str]:
    """Kills the processes, start times by PID, and waits until they are gone; by PID why one is not."""
    troubles = {}
    end_s = time.monotonic() + deadline_s
    with contextlib.ExitStack() as handles:
        sent = {pid: _send(pid, ticks, signal.SIGKILL, handles) for pid, ticks in processes.items()}
        for pid, (handle, trouble) in sent.items():
            if trouble:
                troubles[pid] = trouble
            elif not select.select([handle], [], [], max(0.0, end_s - time.monotonic()))[0]:
                troubles[pid] = "it does not end: it is in a call that cannot be interrupted"
    return troubles


def _send(pid: int, start_ticks: int, number: signal.Signals, handles: contextlib.ExitStack) -> tuple[int, str]:
    """A handle of the process, given back with the others, and why the signal did not arrive."""
    if not hasattr(os, "pidfd_open"):
        return -1, "only on Linux a signal can be sent that never hits the wrong process"
    try:
        handle = os.pidfd_open(pid)
        handles.callback(os.close, handle)
        now = proc.snapshot([pid]).get(pid)
        if now is None or now.start_ticks != start_ticks:  # the number can be reused, the handle not
            return -1, "it has ended"
        signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        return -1, "it has ended"
    except PermissionError:
        return -1, "it belongs to another user"
    except OSError as error:
        return -1, f"the system refused it ({error.strerror})"
    return handle, ""
