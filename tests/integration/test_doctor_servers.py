"""The doctor before a real PostgreSQL, and before servers on 127.0.0.1 that answer wrongly, late or not at all."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psycopg
import pytest
from cvdebug.core.doctor import database, ollama
from cvdebug.core.doctor.check import Answer, Machine, Status
from cvdebug.core.errors import CvdebugError, DatabaseError
from cvdebug.core.settings import Settings

from .clusters import Cluster
from .ollama import serving as ollama_serving

# -- PostgreSQL


def on(dsn: str, **settings: Any) -> Machine:
    return Machine(settings=Settings(dsn=dsn, **settings))


def test_a_server_that_has_everything(database_with_vector: str) -> None:
    machine = on(database_with_vector)
    assert database.postgresql(machine).status is Status.OK
    assert "to be created" not in database.pgvector(machine).found
    assert database.table(machine).status is Status.OK


@pytest.fixture
def database_with_vector(database: str) -> str:
    run_sql(database, "CREATE EXTENSION vector")
    return database


def run_sql(dsn: str, statements: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        cursor = connection.execute(statements.encode())
        return cursor.fetchall() if cursor.description else []


def test_looking_leaves_nothing_in_the_database(database_dsn: str) -> None:
    machine = on(database_dsn)
    assert "to be created by the first run" in database.pgvector(machine).found
    assert "the first run makes it" in database.table(machine).found
    seen = run_sql(database_dsn, "SELECT to_regnamespace('cvdebug') IS NULL, count(*) FROM pg_extension")
    assert seen == [(True, 1)]


@pytest.fixture
def database_dsn(database: str) -> str:
    return database


def test_nobody_listens() -> None:
    machine = on("postgresql://somebody:s3kret@127.0.0.1:1/x")
    with pytest.raises(DatabaseError, match="cannot be reached") as caught:
        database.postgresql(machine)
    assert "s3kret" not in str(caught.value)
    for probe in (database.pgvector, database.table):
        assert probe(machine) == Answer(Status.NOTE, "not looked at, as the server cannot be reached")


def test_an_embedded_server_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("CVDEBUG_HOME", str(tmp_path / "file"))
    with pytest.raises(CvdebugError, match="cannot be made"):
        database.postgresql(Machine())


@pytest.fixture
def poor_role(database_dsn: str) -> Iterator[str]:
    """A dsn of a role that may create nothing."""
    role = f"poor_{os.getpid()}"
    run_sql(database_dsn, f"CREATE ROLE {role} LOGIN; REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    yield database_dsn.replace("postgres@", f"{role}@")
    run_sql(database_dsn, f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_a_database_without_pgvector_and_a_role_that_cannot_make_it(poor_role: str) -> None:
    machine = on(poor_role, table="public.cvs")
    with pytest.raises(DatabaseError, match="no extension vector") as caught:
        database.pgvector(machine)
    assert "CREATE EXTENSION vector" in caught.value.hint
    assert database.table(machine).found == "not looked at, as pgvector cannot be used"


def test_a_server_without_pgvector(cluster: Cluster) -> None:
    machine = on(cluster.dsn())
    with cluster.without_pgvector():
        assert database.postgresql(machine).status is Status.OK
        with pytest.raises(DatabaseError, match="The server has no pgvector"):
            database.pgvector(machine)
        assert database.table(machine).found == "not looked at, as pgvector cannot be used"
    assert database.pgvector(machine).status is not Status.FAILED


def test_a_table_of_somebody_else(database_with_vector: str) -> None:
    run_sql(database_with_vector, "CREATE TABLE public.cvs (id int)")
    with pytest.raises(DatabaseError, match="not made by cvdebug"):
        database.table(on(database_with_vector, table="public.cvs"))


def test_a_server_that_lets_only_read(database_with_vector: str) -> None:
    separator = "&" if "?" in database_with_vector else "?"
    dsn = f"{database_with_vector}{separator}options=-c%20default_transaction_read_only%3Don"
    with pytest.raises(DatabaseError, match="may only read"):
        database.postgresql(on(dsn))


# -- Ollama


Reply = Callable[[BaseHTTPRequestHandler], None]


def replying(status: int = 200, body: bytes = b"", **headers: str) -> Reply:
    def reply(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(body)

    return reply


@contextmanager
def serving(paths: dict[str, Reply]) -> Iterator[str]:
    """A real server on 127.0.0.1: its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with suppress(OSError):  # whoever asked has heard enough
                paths.get(self.path, replying(404))(self)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def tags(*names: str) -> Reply:
    return replying(body=json.dumps({"models": [{"name": name, "size": 1} for name in names]}).encode())


def version(number: str) -> Reply:
    return replying(body=json.dumps({"version": number}).encode())


MODEL = "qllama/bge-large-en-v1.5"


def asked(url: str, *, wanted: bool = True, **settings: Any) -> Answer:
    embedder: Any = "ollama" if wanted else "lexical"
    return ollama.ollama(Machine(settings=Settings(embedder=embedder, ollama_url=url, **settings)))


def test_an_ollama_with_the_model() -> None:
    with serving({"/api/version": version("0.30.1"), "/api/tags": tags("other:1b", f"{MODEL}:latest")}) as url:
        answer = asked(url)
    assert answer == Answer(Status.OK, f"Ollama 0.30.1 at {url}; it has the model {MODEL}")


def test_the_server_of_ours_that_speaks_as_ollama_does() -> None:
    with ollama_serving() as server:
        answer = asked(server.url)
    assert answer.status is Status.OK, answer


@pytest.mark.parametrize("paths", [{}, {"/api/version": version("0.30.1"), "/api/tags": tags("other:1b")}])
@pytest.mark.parametrize(("wanted", "status"), [(True, "failed"), (False, "")])
def test_an_ollama_without_the_model_or_no_ollama(paths: dict[str, Reply], wanted: bool, status: str) -> None:
    with serving(paths) as url:
        answer = asked(url, wanted=wanted)
    assert answer.status == (status or ("note" if paths else "warning"))
    assert ("ollama pull" in answer.hint) == bool(paths)


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (replying(body=b"<html><body>It works!</body></html>"), "that is not Ollama"),
        (replying(body=b'{"error": "no"}'), "something else than Ollama answers"),
        (replying(body=b'["0.30.1"]'), "something else than Ollama answers"),
        (replying(body=b"\xff\xfe"), "no JSON"),
        (replying(500), "status 500"),
        (replying(302, Location="http://127.0.0.1:1/"), "sends the request elsewhere"),
        (replying(body=b" " * (17 << 20)), "more than 16,777,216 bytes"),
    ],
)
def test_something_else_answers(reply: Reply, said: str) -> None:
    with serving({"/api/version": reply}) as url:
        answer = asked(url)
    assert answer.status is Status.FAILED
    assert said in answer.found


def test_an_ollama_that_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ollama, "_READ_S", 0.3)
    over = threading.Event()

    def silent(request: BaseHTTPRequestHandler) -> None:
        over.wait(60)

    with serving({"/api/version": silent}) as url:
        answer = asked(url)
        over.set()
    assert answer.status is Status.FAILED
    assert "sent nothing for 0.3 s" in answer.found


def test_no_ollama_is_only_a_note_unless_it_is_wanted_or_named() -> None:
    closed = "http://127.0.0.1:1"
    assert asked(closed).status is Status.FAILED
    environment = {**os.environ, "OLLAMA_HOST": closed}
    named = ollama.ollama(Machine(environment=environment))
    assert named.status is Status.WARNING
    assert "Connection refused" in named.found
    assert ollama.ollama(Machine(environment={**environment, "OLLAMA_HOST": "ftp://x"})).status is Status.WARNING


def test_an_ollama_that_embeds_accents_wrongly() -> None:
    with serving({"/api/version": version("0.20.0"), "/api/tags": tags(f"{MODEL}:latest")}) as url:
        answer = asked(url)
    assert answer.status is Status.WARNING
    assert "accents" in answer.found
