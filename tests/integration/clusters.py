"""A PostgreSQL of one's own, as the embedded server is none: on TCP, with passwords, pg_hba.conf, and no rights given.

It runs from links to the embedded package's programs, so that pgvector can be taken away from it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlencode

import psycopg
from cvdebug.core.database.account import account_for_this_process, bare_environment
from cvdebug.core.database.binaries import for_account

from .driver import until

PASSWORD = "sw0rdfish/@100%"


class Cluster:
    """Use `start` and `stop`. The superuser is `boss`; everybody's password is PASSWORD."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o755)
        self._account = account_for_this_process()
        self._home = folder
        self._data = folder / "data"
        self._programs = _link_programs(for_account(self._account, home=folder), folder)
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        if self._account.foreign:
            os.chown(self._home, self._account.uid, self._account.gid)
        password = self._home / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        self._run("initdb", "-D", self._data, "-U", "boss", "-A", "scram-sha-256", "--pwfile", password,
                  "--encoding=UTF8", "--locale=C", "--no-instructions", "--no-sync")  # fmt: skip
        settings = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off"}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self._process = self._spawn("postgres", "-D", self._data, "-p", str(self.port), *options)
        until(self._answers)

    def _answers(self) -> bool:
        with contextlib.suppress(psycopg.OperationalError), psycopg.connect(self.dsn()):
            return True
        return False

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(30)

    def dsn(
        self, database: str = "postgres", user: str = "boss", password: str = PASSWORD, *, port: int = 0, **more: str
    ) -> str:
        """A URI over TCP."""
        rest = "?" + urlencode(more) if more else ""
        who = f"{quote(user, safe='')}:{quote(password, safe='')}"
        return f"postgresql://{who}@127.0.0.1:{port or self.port}/{quote(database, safe='')}{rest}"

    def sql(self, statements: str, database: str = "postgres") -> None:
        """As the superuser."""
        with psycopg.connect(self.dsn(database), autocommit=True) as connection:
            for statement in statements.split(";\n"):
                connection.execute(statement.encode())

    @contextlib.contextmanager
    def admission(self, *rules: str) -> Iterator[None]:
        """These lines of pg_hba.conf before all others."""
        file = self._data / "pg_hba.conf"
        before = file.read_text()
        try:
            file.write_text("\n".join([*rules, before]))
            self.sql("SELECT pg_reload_conf()")
            yield
        finally:
            file.write_text(before)
            assert self._process is not None
            self._process.send_signal(signal.SIGHUP)

    @contextlib.contextmanager
    def without_pgvector(self) -> Iterator[None]:
        """The extension's files are not installed."""
        (control,) = self._programs.rglob("vector.control")
        hidden = control.with_suffix(".hidden")
        control.rename(hidden)
        try:
            yield
        finally:
            hidden.rename(control)

    def _run(self, program: str, *arguments: str | Path) -> None:
        process = self._spawn(program, *arguments)
        assert process.wait(60) == 0, (self._home / "log").read_text()

    def _spawn(self, program: str, *arguments: str | Path) -> subprocess.Popen[bytes]:
        argv = [self._programs / "bin" / program, *arguments]
        with (self._home / "log").open("ab") as log:
            if self._account.foreign:
                return subprocess.Popen(
                    argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=bare_environment(), cwd="/",
                    user=self._account.uid, group=self._account.gid, extra_groups=[],
                )  # fmt: skip
            return subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=bare_environment(), cwd="/"
            )


def _link_programs(original: Path, folder: Path) -> Path:
    """The programs and the libraries beside their package, as hard links: a symbolic one would lead back."""
    site = original.parent.parent
    for part in (Path(original.parent.name) / original.name, Path(f"{original.parent.name}.libs")):
        shutil.copytree(site / part, folder / "programs" / part, copy_function=_link, symlinks=True)
    return folder / "programs" / original.parent.name / original.name


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
