"""The embedded server and fresh databases for tests that need a real PostgreSQL."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from cvdebug.core.database.connection import connect
from cvdebug.core.database.embedded import EmbeddedServer

from .clusters import Cluster
from .watching import MARK, marked

_numbers = itertools.count()


@pytest.fixture(scope="session")
def open_folder() -> Iterator[Path]:
    """A temporary folder that root's system account may pass, which pytest's own (0700) does not let it."""
    folder = Path(tempfile.mkdtemp(prefix="cvdebug-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def server(open_folder: Path) -> Iterator[EmbeddedServer]:
    """One embedded server for a worker's whole session."""
    with EmbeddedServer.acquire(open_folder / f"server-{os.getpid()}") as running:
        yield running


@pytest.fixture
def database(server: EmbeddedServer) -> Iterator[str]:
    """The dsn of a database of the test's own."""
    name = f"test_{next(_numbers)}"
    with connect(server.dsn, run="tests", role="fixture", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        yield server.dsn.replace("/cvdebug?", f"/{name}?")
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def cluster(open_folder: Path) -> Iterator[Cluster]:
    """A server of somebody else's: over TCP, with passwords, without any right given."""
    running = Cluster(open_folder / f"cluster-{os.getpid()}")
    try:
        running.start()
        yield running
    finally:
        running.stop()


@pytest.fixture
def mark(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[str]:
    """Whatever is started carries it; nothing that does lives when the test is over."""
    value = f"{request.node.name}-{os.getpid()}"
    monkeypatch.setenv(MARK, value)
    yield value
    for pid in marked(value):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
