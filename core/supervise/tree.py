"""Starts a subject below a guardian, and ends and reaps the whole tree, after a killed guardian too."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from .guarded import END_DEADLINE_S, Guarded


class Tree:
    """One subject with everything below it.

    `events_fd` is the read end of the event pipe. The subject inherits its write end under the number that
    `{events}` in `command` is replaced with. `exit_fd` becomes readable when the whole tree is gone.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        stdin: bytes,
        output: IO[bytes],
        environment: Mapping[str, str],
        keep_open: Sequence[int] = (),
    ) -> None:
        """Starts `command`; `keep_open` descriptors live as long as the guardian does (a lock, say)."""
        self.events_fd, events_write = os.pipe()
        line = [word.replace("{events}", str(events_write)) for word in command]
        self._guarded = Guarded(
            line,
            stdin=subprocess.PIPE,
            output=output,
            environment=dict(environment),
            passed=[events_write],
            kept=keep_open,
        )
        os.close(events_write)
        self._guardian = self._guarded.process
        self.exit_fd = os.pidfd_open(self._guardian.pid)
        self.subject_pid = 0  # the subject says it in its first event
        self._send(stdin)

    def _send(self, data: bytes) -> None:
        assert self._guardian.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._guardian.stdin.write(data)
            self._guardian.stdin.close()

    def poll(self) -> int | None:
        """The subject's exit code (128+N by signal N) when the whole tree is gone; None while it lives."""
        code = self._guardian.poll()
        if code is not None and code < 0:  # somebody killed the guardian itself
            self._end_orphans()
        return code

    def end(self) -> None:
        """Ends the whole tree and waits until the last of it is reaped. May be called more than once."""
        self._guarded.end()
        if self._guardian.returncode < 0:
            self._end_orphans()

    def close(self) -> None:
        """Ends the tree and gives the event pipe back."""
        self.end()
        for fd in (self.events_fd, self.exit_fd):
            if fd >= 0:
                os.close(fd)
        self.events_fd = self.exit_fd = -1

    def _end_orphans(self) -> None:
        """Kills what a killed guardian left behind: whoever holds the event pipe, and everything in their sessions."""
        sessions = {self.subject_pid} if self.subject_pid else set()
        deadline = time.monotonic() + END_DEADLINE_S
        while time.monotonic() < deadline:
            sessions |= set(_pipe_writers(self.events_fd))
            left = {pid for session in sessions for pid in [session, *_session_members(session)] if _lives(pid)}
            if not left:
                return
            for pid in left:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.002)


def _pipe_writers(read_end: int) -> list[int]:
    """The other processes that hold the pipe whose read end is `read_end`."""
    if read_end < 0:
        return []
    wanted, found = f"pipe:[{os.fstat(read_end).st_ino}]", []
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            for fd in os.listdir(f"/proc/{entry}/fd"):
                if os.readlink(f"/proc/{entry}/fd/{fd}") == wanted:
                    found.append(int(entry))
                    break
    return found


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except (OSError, IndexError):
        return False


def _session_members(session: int) -> list[int]:
    """The living processes of a session (zombies are somebody else's to reap)."""
    members = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        with contextlib.suppress(OSError, IndexError, ValueError):
            fields = Path(f"/proc/{entry}/stat").read_bytes().rpartition(b")")[2].split()
            if int(fields[3]) == session and fields[0] not in (b"Z", b"X"):
                members.append(int(entry))
    return members
