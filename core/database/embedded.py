"""The embedded PostgreSQL: started by the first cvdebug that wants it, stopped with the last.

Users are counted by shares of a file lock, which a kill -9 gives back by itself; whether the server lives is told by
a lock that its own processes hold. So no list of PIDs can go stale. Must never be started below the guardian,
and never trusts what postmaster.pid says: ready means that a connection succeeded.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import platform
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import psutil
import psycopg

from ..errors import DatabaseError
from . import locks
from .account import Account, account_for_this_process, bare_environment
from .binaries import COPYING, for_account, installed
from .connection import connect, translate
from .layout import DATABASE, Layout, prepare
from .settings import server_settings

_CPU = Path("/proc/cpuinfo")
_READY_S = 30.0
# Crash recovery replays at most max_wal_size and says meanwhile that it is starting up.
_RECOVERY_S = 300.0
_STOP_S = 60.0
_LOCK_S = 120.0
_POLL_S = 0.02
_START_ATTEMPTS = 3
# Where initdb says why it failed; what it says last is what it removes.
_REASONS = ("FATAL:", "PANIC:", "error:", "could not")
_LOG_MAX_BYTES = 1_000_000


class EmbeddedServer:
    """One user's share of the embedded server. Use `acquire`, and `release` or a `with` block.

    `dsn` is a libpq URI over a unix socket in a private folder, without a password.
    """

    def __init__(self, layout: Layout, account: Account) -> None:
        self._layout = layout
        self._account = account
        self._share: int | None = None

    @classmethod
    def acquire(cls, home: Path | None = None) -> EmbeddedServer:
        """Starts the server or joins the one that runs. `home` overrides CVDEBUG_HOME/postgres and the default.

        Raises DatabaseError when it cannot be started; the server's own words are in it.
        """
        _require_avx2()
        account = account_for_this_process()
        server = cls(prepare(home, account), account)
        try:
            server._join()
        except BaseException:
            server.release()
            raise
        return server

    def __enter__(self) -> EmbeddedServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    @property
    def dsn(self) -> str:
        return self._layout.dsn()

    @property
    def home(self) -> Path:
        return self._layout.home

    @property
    def psql_path(self) -> Path:
        """The psql that came with the server."""
        return installed() / "bin" / "psql"

    def pin(self) -> None:
        """Keeps the server up when its last user has gone, until `stop`."""
        self._layout.pinned.touch(mode=0o600)

    def release(self) -> None:
        """Gives the share back, and stops the server when nobody else has one and it is not pinned. May be repeated."""
        if self._share is None:
            return
        with _starting(self._layout, "stop the server"):
            share, self._share = self._share, None
            locks.unshare(share)
            if not self._layout.pinned.exists():
                _stop_if_unused(self._layout, self._account)

    def _join(self) -> None:
        with _starting(self._layout, "start the server"):
            self._share = locks.share(self._layout.users_lock)
            _remove_leftovers(self._layout)
            _ensure_running(self._layout, self._account)


def stop(home: Path | None = None) -> bool:
    """Unpins the server and stops it. False when somebody still uses it: it then stops with the last of them."""
    account = account_for_this_process()
    layout = prepare(home, account)
    with _starting(layout, "stop the server"):
        layout.pinned.unlink(missing_ok=True)
        return _stop_if_unused(layout, account)


def _starting(layout: Layout, purpose: str) -> contextlib.AbstractContextManager[None]:
    return locks.exclusive(layout.start_lock, deadline_s=_LOCK_S, purpose=purpose)


def _require_avx2() -> None:
    """pgvector's library is built for AVX2: on an older processor its first use kills the server with SIGILL."""
    if platform.machine() != "x86_64":
        return
    with contextlib.suppress(OSError):
        if " avx2" not in _CPU.read_text():
            raise DatabaseError(
                "The embedded pgvector needs a processor with AVX2, and this one has none",
                hint="Pass --dsn to use a PostgreSQL with pgvector of yours",
            )


# -- making the data folder


def _remove_leftovers(layout: Layout) -> None:
    """Removes what a killed cvdebug left half-made, unless an initdb that outlived it still works there."""
    for folder in layout.home.glob(f"{COPYING}*"):
        shutil.rmtree(folder, ignore_errors=True)
    for folder in layout.home.glob("initdb-*"):
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if locks.try_exclusive(fd):
                shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(fd)


def _initialise(layout: Layout, account: Account, programs: Path) -> None:
    """initdb in a folder of its own, renamed when done, so that a data folder is there whole or not at all.

    initdb inherits a lock on the folder: if this process is killed, the next one sees whether initdb goes on.
    """
    folder = Path(tempfile.mkdtemp(prefix="initdb-", dir=layout.home))
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_SH)
        if account.foreign:
            os.fchown(fd, account.uid, account.gid)
        _initdb(folder, account, programs, keep_fd=fd)
        folder.rename(layout.data)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    finally:
        os.close(fd)


def _initdb(folder: Path, account: Account, programs: Path, *, keep_fd: int) -> None:
    argv = [
        str(programs / "bin" / "initdb"), "-D", str(folder), "-U", "postgres", "-A", "trust",
        "--encoding=UTF8", "--locale=C", "--no-instructions",
    ]  # fmt: skip
    process = _spawn(argv, account, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, keep_fd=keep_fd)
    try:
        output = _output(process)
    except BaseException:
        # The children of initdb are in its session, and an interrupt must not leave them behind.
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise
    if process.returncode != 0:
        lines = [line.strip() for line in output.decode(errors="replace").splitlines() if line.strip()]
        words = [line for line in lines if any(sign in line for sign in _REASONS)] or lines
        raise DatabaseError(
            f"initdb failed with exit code {process.returncode} ({' / '.join(words[-2:])})",
            hint="Check the free space, or set CVDEBUG_HOME to another folder",
        )


def _output(process: subprocess.Popen[bytes]) -> bytes:
    """What it writes until its end. Waited for in short turns: an interrupt reaches a thread only between them."""
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.communicate(timeout=_POLL_S)[0]


# -- starting


def _ensure_running(layout: Layout, account: Account) -> None:
    """Joins a server that lives, and starts one otherwise. The start lock is held."""
    if _joined(layout):
        return
    programs = for_account(account, home=layout.home)
    if not (layout.data / "PG_VERSION").exists():
        _initialise(layout, account, programs)
    for attempt in range(1, _START_ATTEMPTS + 1):
        _clear_stale_pid_files(layout, account)
        _launch(layout, account, programs)
        if _joined(layout):
            return
        if attempt == _START_ATTEMPTS:
            raise DatabaseError(
                f"The embedded PostgreSQL did not start ({_last_words(layout)})",
                hint=f"See {layout.log}; without data of value, remove {layout.data} and try again",
            )


def _joined(layout: Layout) -> bool:
    """Waits while a process of the server lives: True as soon as it answers, False when none lives (any more)."""
    now = time.monotonic()
    ready_by, recovered_by = now + _READY_S, now + _RECOVERY_S
    while locks.is_held(layout.server_lock):
        answer = _answer(layout)
        if answer is None:
            return True
        if time.monotonic() > (recovered_by if "starting up" in answer else ready_by):
            raise DatabaseError(
                f"The embedded PostgreSQL lives but does not answer ({answer})",
                hint=f"See {layout.log}",
            )
        time.sleep(_POLL_S)
    return False


def _answer(layout: Layout) -> str | None:
    """None when a connection succeeded and the database is there, else what was said."""
    try:
        with connect(layout.dsn("postgres"), run="server", role="ready", autocommit=True) as connection:
            # Looked for each time: a kill may have come between the first start and this statement.
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone():
                connection.execute(f"CREATE DATABASE {DATABASE}")
    except DatabaseError as error:
        return error.what
    except psycopg.Error as error:
        return translate(error).what
    return None


def _launch(layout: Layout, account: Account, programs: Path) -> None:
    """Starts the postmaster as nobody's child, in a session of its own; it inherits the server lock and the log."""
    argv = [str(programs / "bin" / "postgres"), "-D", str(layout.data), *server_settings(layout.run)]
    # The shell ends at once, so that init or the next subreaper adopts the postmaster.
    detach = ["/bin/sh", "-c", '"$@" </dev/null &', "sh", *argv]
    lock = locks.share(layout.server_lock)
    try:
        with _open_log(layout) as log:
            _spawn(detach, account, stdout=log, stderr=log, keep_fd=lock).wait()
    finally:
        os.close(lock)  # not unlocked: the share now belongs to the server


@contextlib.contextmanager
def _open_log(layout: Layout) -> Iterator[int]:
    """The server's log, begun anew when it has grown."""
    fd = os.open(layout.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        if os.fstat(fd).st_size > _LOG_MAX_BYTES:
            os.truncate(fd, 0)
        yield fd
    finally:
        os.close(fd)


def _spawn(argv: list[str], account: Account, *, stdout: int, stderr: int, keep_fd: int) -> subprocess.Popen[bytes]:
    """A program of PostgreSQL: own session, as the account, no descriptor of ours but `keep_fd`."""
    if account.foreign:
        return subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, env=bare_environment(), cwd="/",
            start_new_session=True, pass_fds=(keep_fd,), umask=0o077,
            user=account.uid, group=account.gid, extra_groups=[],
        )  # fmt: skip
    return subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, env=bare_environment(), cwd="/",
        start_new_session=True, pass_fds=(keep_fd,), umask=0o077,
    )  # fmt: skip


def _last_words(layout: Layout) -> str:
    with contextlib.suppress(OSError):
        lines = layout.log.read_text(errors="replace").strip().splitlines()
        return " / ".join(lines[-3:])
    return "it wrote no log"


# -- stopping


def _stop_if_unused(layout: Layout, account: Account) -> bool:
    """Stops the server unless somebody holds a share. The start lock is held."""
    users = locks.open_lock(layout.users_lock)
    try:
        if not locks.try_exclusive(users):
            return False
        _stop(layout, account)
        return True
    finally:
        os.close(users)


def _stop(layout: Layout, account: Account) -> None:
    """Fast shutdown, then immediate; returns when no process of the server lives any more."""
    for how in (signal.SIGINT, signal.SIGQUIT):
        told = False
        deadline = time.monotonic() + _STOP_S
        while time.monotonic() < deadline:
            if not locks.is_held(layout.server_lock):
                return
            # A server that has only just been started may not have written its PID yet.
            if not told and (postmaster := _postmaster(layout, account)):
                with contextlib.suppress(psutil.NoSuchProcess):
                    postmaster.send_signal(how)
                told = True
            time.sleep(_POLL_S)
    raise DatabaseError("The embedded PostgreSQL did not stop", hint=f"See {layout.log}")


def _postmaster(layout: Layout, account: Account) -> psutil.Process | None:
    """The process named in postmaster.pid, if it is of our account and serves the data folder.

    A PID is soon used again, and root must not signal whatever a file of another account names.
    """
    try:
        pid = int((layout.data / "postmaster.pid").read_text().split("\n", 1)[0])
        process = psutil.Process(pid)
        ours = process.uids().real == account.uid and os.path.samefile(_served_by(process), layout.data)
    except (OSError, ValueError, psutil.Error):
        return None
    return process if ours else None


def _served_by(process: psutil.Process) -> str:
    """The data folder of a postmaster: its working folder. That of another account is hidden from a root without the
    right to trace, as in a container, and then its command line says it."""
    try:
        return str(process.cwd())
    except psutil.AccessDenied:
        words: list[str] = process.cmdline()
        return words[words.index("-D") + 1] if "-D" in words[:-1] else ""


def _clear_stale_pid_files(layout: Layout, account: Account) -> None:
    """Removes what a killed server left: PostgreSQL refuses to start when its old PID now belongs to another process.

    Safe only because the server lock is free, which means that none of the processes that we started lives.
    """
    if stranger := _postmaster(layout, account):
        raise DatabaseError(
            f"Process {stranger.pid} serves {layout.data}, and it was not started by cvdebug",
            hint="Stop it with pg_ctl, or set CVDEBUG_HOME to another folder",
        )
    (layout.data / "postmaster.pid").unlink(missing_ok=True)
    (layout.run / ".s.PGSQL.5432.lock").unlink(missing_ok=True)
