"""The guardian: stands between the observer and the subject, and sees to it that nothing outlives them.

    python -I -S guardian.py LIFE_FD PASS_FD[,PASS_FD...] -- COMMAND...

It is the subreaper of everything below it and listens to LIFE_FD, a socket whose other end only the observer holds, and
on which it says the command's PID in a line. At its end-of-file, on SIGTERM, or when the command ends, it kills and
reaps descendants until none is left, and then exits with the command's exit code (128+N after signal N). The usual
parent-death signal does not do: it follows the thread that forked, is lost at each fork and does not reach past a fork
server. No third-party import: it must start in milliseconds and have nothing in it that can break.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time

PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
# What a shell gives for a command that cannot be run, and for one that is not there.
NOT_RUNNABLE, NOT_FOUND = 126, 127


def descendants(root: int) -> list[int]:
    """All living processes below `root`, from one pass over /proc."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        with contextlib.suppress(OSError, IndexError, ValueError):
            with open(f"/proc/{entry}/stat", "rb") as handle:
                parent = int(handle.read().rpartition(b")")[2].split()[1])
            children.setdefault(parent, []).append(int(entry))
    found: list[int] = []
    waiting = list(children.get(root, []))
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting.extend(children.get(pid, []))
    return found


def reap(statuses: dict[int, int]) -> bool:
    """Reaps every child that has ended into `statuses`; False when there is no child left."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return False
        if pid == 0:
            return True
        statuses[pid] = status


def end_everything(statuses: dict[int, int]) -> None:
    """Kills and reaps until nothing is left below this process. An orphan lands here, as on every subreaper."""
    pause_s = 0.001
    while reap(statuses):
        for pid in descendants(os.getpid()):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(pause_s)
        pause_s = min(pause_s * 2, 0.05)


def exit_code(status: int | None) -> int:
    """A wait status as a shell would give it."""
    if status is None:
        return 128 + signal.SIGKILL
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def main(arguments: list[str]) -> int:
    """Runs COMMAND until it ends or the observer does."""
    life, passed, command = int(arguments[0]), [int(fd) for fd in arguments[1].split(",") if fd], arguments[3:]
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    bell_in, bell_out = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(bell_out, warn_on_full_buffer=False)
    asked_to_end: list[int] = []
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, lambda number, frame: asked_to_end.append(number))
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    try:
        subject = subprocess.Popen(command, pass_fds=passed, start_new_session=True)
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
        with contextlib.suppress(OSError):  # the observer is gone already
            os.write(life, b"%d\n" % -(error.errno or 0))
        is_there = "/" in command[0] and os.path.exists(command[0])
        return NOT_FOUND if isinstance(error, FileNotFoundError) and not is_there else NOT_RUNNABLE
    with contextlib.suppress(OSError):  # the observer is gone already
        os.write(life, b"%d\n" % subject.pid)
    for fd in passed:
        os.close(fd)
    statuses: dict[int, int] = {}
    poll = select.poll()
    poll.register(life, select.POLLIN)
    poll.register(bell_in, select.POLLIN)
    while subject.pid not in statuses and not asked_to_end:
        ready = {fd for fd, _ in poll.poll()}
        if life in ready:
            break
        with contextlib.suppress(BlockingIOError):
            os.read(bell_in, 4096)
        reap(statuses)
    end_everything(statuses)
    subject.returncode = 0  # reaped here; keeps Popen's destructor quiet
    return exit_code(statuses.get(subject.pid))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
