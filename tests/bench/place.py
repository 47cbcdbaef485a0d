"""Where a benchmark works: a temporary folder, an embedded server in it, and databases for each contestant."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import psycopg
from cvdebug.core.database.embedded import EmbeddedServer
from psycopg import sql

COMMAND = (sys.executable, "-P", "-c", "from cvdebug.tui.cli import main; main()")
PROJECT = Path(__file__).resolve().parents[2]
END_S = 10.0
_FOREIGN = ("CVDEBUG_", "PG", "TOKENIZERS_")
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


class Cost(NamedTuple):
    """Of a command: time on the wall, and CPU time of all its processes (the server's not counted)."""

    wall_s: float
    cpu_s: float


class Place:
    """A folder and a server that belong to this run of the benchmarks alone."""

    def __init__(self, folder: Path, server: EmbeddedServer) -> None:
        self.folder = folder
        self._server = server

    def database(self, name: str) -> str:
        """The dsn of an empty database `name`, made anew, with pgvector in it."""
        with psycopg.connect(self._server.dsn, autocommit=True) as connection:
            for verb, more in (("DROP", "IF EXISTS "), ("CREATE", "")):
                connection.execute(sql.SQL(f"{verb} DATABASE {more}{{}}").format(sql.Identifier(name)))
        dsn = self._server.dsn.replace("/cvdebug?", f"/{name}?")
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("CREATE EXTENSION vector")
        return dsn

    def settle(self) -> None:
        """Writes out what is dirty, so that one contestant does not pay for the other's checkpoint."""
        with psycopg.connect(self._server.dsn, autocommit=True) as connection:
            connection.execute("CHECKPOINT")

    def environment(self, **more: str) -> dict[str, str]:
        """What every command runs in: a home of its own, one BLAS thread, nobody's settings."""
        base = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
        return {**base, **_ONE_THREAD, "CVDEBUG_HOME": str(self.folder / "home"), **more}

    @contextmanager
    def started(self, command: Sequence[str], **environment: str) -> Iterator[subprocess.Popen[bytes]]:
        """A command in a session of its own, its standard output a pipe, its narration in a file in the folder.

        When the block ends it is over: a command that still runs, because we are interrupted, is ended with its
        group.
        """
        with (
            (self.folder / "narration").open("ab") as narration,
            subprocess.Popen(
                command, cwd=PROJECT, env=self.environment(**environment), start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=narration,
            ) as process,
        ):  # fmt: skip
            try:
                yield process
                process.wait()
            finally:
                _end(process)

    def timed(self, command: Sequence[str], **environment: str) -> Cost:
        """What a command costs from its start to its end. RuntimeError when it fails."""
        began, earlier = time.perf_counter(), _cpu_s()
        with self.started(command, **environment) as process:
            out, _ = process.communicate()
        cost = Cost(time.perf_counter() - began, _cpu_s() - earlier)
        if process.returncode != 0:
            words = out.decode() + (self.folder / "narration").read_text(errors="replace")
            raise RuntimeError(f"{command[:4]} ended with exit code {process.returncode}: {words[-2000:]}")
        return cost


def _end(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM, on which cvdebug ends its tree; then whatever is left of the group is killed."""
    if process.poll() is not None:
        return
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(END_S)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _cpu_s() -> float:
    """CPU seconds of all children that have ended, and of theirs."""
    times = os.times()
    return times.children_user + times.children_system


@contextmanager
def place() -> Iterator[Place]:
    """A place, gone with its server when the block ends. Its folder may be passed by root's database account."""
    folder = Path(tempfile.mkdtemp(prefix="cvdebug-bench-"))
    folder.chmod(0o755)
    try:
        with EmbeddedServer.acquire(folder / "server") as server:
            yield Place(folder, server)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
