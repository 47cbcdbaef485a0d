"""Runs somebody's command in this process's place: same terminal, session, process group, descriptors and environment.

Nothing is read from its input and nothing is put between it and its output. What reaches this process and not the
command is passed on: signals that somebody sent here. What the terminal sends (Ctrl-C, Ctrl-Z, a resize) reaches the
whole group anyway. When the command stops, this process stops too, so that a shell sees it; when it is killed, the
command goes on.

This process becomes the subreaper of what the command starts, so that orphans can be found and ended with the rest.
Orphans are reaped when they end, and otherwise left alone: a daemon outlives the command as it would without us.

Only what the start needs is imported here, for the command must not wait for it. Linux only.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import signal
import time
from collections.abc import Mapping, Sequence

from ..errors import CvdebugError

NOT_RUNNABLE, NOT_FOUND, ENDED_FOR_A_HANG = 126, 127, 124
END_DEADLINE_S = 5.0

PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
# include/uapi/linux/wait.h: only children of this very thread. py-spy is started by others, which wait for it
# themselves; orphans come to the main thread.
_WNOTHREAD = 0x20000000
# include/uapi/asm-generic/siginfo.h: the kernel's own, as for a key at the terminal, and a child's news.
_SI_KERNEL = 0x80
# Not to be waited for: what cannot be, what tells of a fault of this process itself, and what Python has ignored.
_OWN = frozenset(
    {
        signal.SIGKILL, signal.SIGSTOP, signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGTRAP,
        signal.SIGABRT, signal.SIGSYS, signal.SIGPIPE, signal.SIGXFSZ,
    }
)  # fmt: skip


class NotStarted(CvdebugError):
    """The command cannot be started; `code` is what a shell would give: 126 or 127."""

    def __init__(self, what: str, *, hint: str, code: int) -> None:
        super().__init__(what, hint=hint)
        self.code = code


class Command:
    """A command that runs from the moment of construction. Made and waited for by the main thread.

    `pid` is the command's. `left` are the PIDs that could not be ended when that was asked for: they belong to another
    user, or do not come back from the disk. Raises NotStarted.
    """

    def __init__(self, arguments: Sequence[str]) -> None:
        waited = {number for number in signal.valid_signals() - _OWN if signal.getsignal(number) != signal.SIG_IGN}
        self._waited = waited | {signal.SIGCHLD}
        before = signal.pthread_sigmask(signal.SIG_BLOCK, self._waited)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # whoever started us may have it ignored: no exit code then
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        try:
            self.pid = os.posix_spawnp(
                arguments[0],
                list(arguments),
                _environment(),
                setsigmask=before,
                setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],  # Python ignores them
            )
        except (OSError, ValueError) as error:
            raise refusal(arguments[0], error) from error
        _let_go_of_streams()
        self._status: int | None = None
        self._stopped = False
        self._to_end = False
        self.left: tuple[int, ...] = ()

    def wait(self) -> int:
        """Waits for the command's end; its exit code as a shell gives it, 124 when `end` was asked for first."""
        while self._status is None:
            if self._to_end:
                return self._end()
            news = signal.sigwaitinfo(self._waited)
            if news.si_signo == signal.SIGCHLD:
                self._reap()
            else:
                self._pass_on(news)
        code = os.waitstatus_to_exitcode(self._status)
        return code if code >= 0 else 128 - code

    def end(self) -> None:
        """Asks for the end of the command with everything below it. Any thread may ask."""
        self._to_end = True
        os.kill(os.getpid(), signal.SIGCHLD)  # wakes `wait`

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED | _WNOTHREAD)
                if pid == 0:
                    return
                if pid != self.pid:
                    continue
                if os.WIFSTOPPED(status):
                    self._stop(os.WSTOPSIG(status))
                else:
                    self._status = status

    def _stop(self, number: int) -> None:
        """Stops as the command did, for the shell to see. Without a terminal nobody would, nor wake us again."""
        if self._to_end or not _has_terminal():
            return
        if signal.SIGCONT in signal.sigpending() or not _is_stopped(self.pid):  # continued in the meantime
            return
        self._stopped = True
        os.kill(os.getpid(), number)  # before it is let in: the terminal may have sent one too, and one is enough
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {number} & self._waited)
        signal.pthread_sigmask(signal.SIG_BLOCK, self._waited)

    def _pass_on(self, news: signal.struct_siginfo) -> None:
        """Gives the command what it has not got: signals of the terminal reach it by themselves."""
        if news.si_code >= _SI_KERNEL or news.si_pid == self.pid:
            return
        if news.si_signo == signal.SIGCONT and self._stopped:  # a shell continues the whole group
            self._stopped = False
            if not _is_stopped(self.pid):
                return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(self.pid, news.si_signo)

    def _end(self) -> int:
        """Kills and reaps until nothing is left, or the deadline. Dead processes answer to nothing but SIGKILL."""
        from .guardian import descendants  # imported here: it takes longer than the rest together

        deadline_s = time.monotonic() + END_DEADLINE_S
        while (left := descendants(os.getpid())) and time.monotonic() < deadline_s:
            for pid in left:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.002)
            self._reap()
        self.left = tuple(left)
        return ENDED_FOR_A_HANG


def require_runnable(name: str) -> None:
    """Raises NotStarted for a command that is not there, or that may not be run."""
    import shutil  # imported here: a command that is started in our place does not wait for it

    if shutil.which(name) is not None:
        return
    is_there = "/" in name and os.path.exists(name)
    number = errno.EACCES if is_there else errno.ENOENT
    raise refusal(name, OSError(number, os.strerror(number)))


def _environment() -> Mapping[str, str]:
    """The environment as it came. Python adds LC_CTYPE when it finds the C locale (PEP 538)."""
    with open("/proc/self/environ", "rb") as file:
        came_with_it = b"LC_CTYPE=" in file.read()
    return os.environ if came_with_it else {name: value for name, value in os.environ.items() if name != "LC_CTYPE"}


def _let_go_of_streams() -> None:
    """Closes this process's copies of input and output, or a reader would wait for our end and not the command's."""
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for stream in (0, 1):
        if stream != null:
            os.dup2(null, stream, inheritable=False)
    if null > 2:
        os.close(null)


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def _is_stopped(pid: int) -> bool:
    with contextlib.suppress(OSError), open(f"/proc/{pid}/stat", "rb") as file:
        return file.read().rpartition(b")")[2].split(None, 1)[0] == b"T"
    return False


def refusal(name: str, error: OSError | ValueError) -> NotStarted:
    """Why a command cannot be started, in a sentence."""
    if not isinstance(error, OSError):
        return NotStarted(f"this is no name of a command: {error}", hint="", code=NOT_RUNNABLE)
    if error.errno != errno.ENOENT:
        why = (error.strerror or str(error)).lower()
        hint = "A script needs a first line such as #!/bin/sh." if error.errno == errno.ENOEXEC else ""
        return NotStarted(f"{name} cannot be run: {why}", hint=hint, code=NOT_RUNNABLE)
    if os.path.exists(name) and "/" in name:
        hint = "Look at its first line, #!..., or at the loader it was built for."
        return NotStarted(f"{name} cannot be run: its interpreter is not there", hint=hint, code=NOT_RUNNABLE)
    return NotStarted(f"{name} was not found", hint="Is it on PATH?" if "/" not in name else "", code=NOT_FOUND)
