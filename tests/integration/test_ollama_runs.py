"""Whole runs against a server that speaks Ollama's API: the same rows as offline, and each fault with its sentence."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from cvdebug.core import events as ev
from cvdebug.core.database import table as tables
from cvdebug.core.database.connection import connect
from cvdebug.core.model import Certainty, Phase
from cvdebug.scenarios.ollama_orders import Config, Fault, Happened, Kind
from cvdebug.scenarios.ollama_server import OllamaServer

from .driver import Command, Result, until
from .ollama import flags, serving

CVS = ("--cvs", "6", "--batch", "4")


@pytest.fixture(scope="module")
def only() -> Iterator[OllamaServer]:
    with serving() as running:
        yield running


@pytest.fixture
def ollama(only: OllamaServer) -> OllamaServer:
    """The server of this module, sound again."""
    only.config = Config()
    only.happened = Happened()
    only.set_faults(())
    return only


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Command]:
    command = Command(tmp_path / "home")
    yield command
    until(lambda: not command.left())


def embedded(command: Command, ollama: OllamaServer, database: str, *more: str) -> Result:
    return command.events("run", *flags(ollama), *CVS, "--dsn", database, *more)


def rows(database: str, table: str = "cvdebug.chunks") -> list[tuple[str, int, int, str]]:
    """Source, ordinal, tokens and vector of every row."""
    with connect(database, run="tests", role="check") as connection:
        query = f"SELECT source, ordinal, token_count, embedding::text FROM {table} ORDER BY source, ordinal"
        return connection.execute(query.encode()).fetchall()  # type: ignore[return-value]


def is_untouched(database: str) -> bool:
    """Whether nothing was stored: there is no table, as there was none before."""
    with connect(database, run="tests", role="check") as connection:
        return connection.execute("SELECT to_regclass('cvdebug.chunks')").fetchone() == (None,)


def said(result: Result) -> str:
    return "\n".join(event.text for event in result.all(ev.Log))


def test_the_rows_are_those_of_the_offline_run(command: Command, ollama: OllamaServer, database: str) -> None:
    offline = command.events("run", *CVS, "--dsn", database, "--table", "offline.chunks")
    assert offline.code == 0, offline
    result = embedded(command, ollama, database, "--workers", "4")
    assert result.code == 0, result
    ours, theirs = rows(database), rows(database, "offline.chunks")
    assert [row[:3] for row in ours] == [row[:3] for row in theirs]
    vectors = [np.array([np.fromstring(row[3][1:-1], sep=",") for row in each]) for each in (ours, theirs)]
    np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-6)
    happened = ollama.happened
    assert happened.blank == 0
    assert happened.most_at_once <= 2  # of four workers
    assert happened.untruncated == happened.requests
    words = said(result)
    assert f"in {len(ours)} chunks, all checked: 0 truncated" in words
    assert "resume and résumé are alike to 1.000, as our tokenizer has it" in words
    assert "under way at a time" in words
    check_marker(database, ollama)


def check_marker(database: str, ollama: OllamaServer) -> None:
    with connect(database, run="tests", role="check") as connection:
        marker = tables.describe(connection, tables.TableName())
    assert marker is not None
    assert marker.served is not None
    assert (marker.served.version, marker.served.digest) == (ollama.config.version, ollama.config.digest)
    assert (marker.served.model, marker.served.quantisation) == ("qllama/bge-large-en-v1.5:latest", "Q8_0")


PASSING: list[Kind] = [
    "reset", "reset-midway", "busy", "crashed", "failed", "bad-gateway", "not-json", "zeros", "null", "rows",
    "big-error", "stall", "stall-midway", "trickle",
]  # fmt: skip


def completes(command: Command, ollama: OllamaServer, database: str) -> None:
    """Batches of one text, so that a twentieth of the requests is some of them."""
    more = ("--cvs", "24", "--batch", "1", "--embed-timeout", "1", "--index", "none", "--start-method", "thread")
    result = embedded(command, ollama, database, *more)
    assert result.code == 0, result
    found = [row[:2] for row in rows(database)]
    assert len(set(found)) == len(found) == result.one(ev.Embedded).computed > 40
    assert ollama.happened.struck


def test_with_every_passing_fault_now_and_then_every_chunk_is_stored_once(
    command: Command, ollama: OllamaServer, database: str
) -> None:
    ollama.set_faults(tuple(Fault(kind=kind, after=3 * number, times=1) for number, kind in enumerate(PASSING[:11])))
    completes(command, ollama, database)
    assert set(ollama.happened.struck) == set(PASSING[:11])


@pytest.mark.slow
@pytest.mark.parametrize("kind", PASSING)
def test_a_twentieth_of_the_requests_may_fail(
    command: Command, ollama: OllamaServer, database: str, kind: Kind
) -> None:
    ollama.set_faults((Fault(kind=kind, every=20),))
    completes(command, ollama, database)


LASTING = [
    (Fault(kind="zeros", after=1), r"chunk \d+ \(cv-0000\d, window \d+\) cannot be embedded: .* nothing but zeros"),
    (Fault(kind="stall", after=1), r"sent nothing for 1 s \(/api/version answers"),
    (Fault(kind="stall-midway", after=1), r"sent nothing for 1 s \(/api/version answers"),
    (Fault(kind="trickle", after=1), r"end of its answer after 1\.5 s"),
    (Fault(kind="reset", after=1), "broke the connection off"),
    (Fault(kind="reset-midway", after=1), "broke the connection off"),
    (Fault(kind="crashed", after=1), r"status 400: do embedding request.*It refuses every text"),
    (Fault(kind="failed", after=1), r"status 500: llama runner process.*It refuses every text"),
    (Fault(kind="input", after=1), r"chunk \d+ .* status 400: invalid input type"),
    (Fault(kind="nan", after=1), r"chunk \d+ .* status 400: embedding contains NaN"),
    (Fault(kind="too-long", after=1), r"chunk \d+ .* exceeds the context length"),
    (Fault(kind="missing", after=1), "has no model qllama/bge-large.*ollama pull"),
    (Fault(kind="no-embeddings"), "does not embed"),
    (Fault(kind="null", after=1), r"chunk \d+ .* null in place of a number"),
    (Fault(kind="dimensions"), "768 dimensions, and the table has 1,024"),
    (Fault(kind="rows", after=1), r"gave \d+ vectors for \d+ texts"),
    (Fault(kind="bad-gateway", after=1), "status 502: a page of HTML"),
    (Fault(kind="html", path="/api/version"), "a page of HTML: that is not Ollama"),
    (Fault(kind="not-json", after=1), "no JSON"),
    (Fault(kind="big-error", after=1), r"cannot embed x{100,200}…"),
    (Fault(kind="redirect", after=1), r"sends the request elsewhere.*not followed"),
]


def fails(command: Command, ollama: OllamaServer, database: str, fault: Fault, sentence: str) -> None:
    """In a sentence, with exit code 1 and nothing stored; and what was embedded is taken up when all is well again."""
    ollama.set_faults((fault,))
    result = embedded(command, ollama, database, "--embed-timeout", "1")
    assert result.code == 1, result
    end = result.one(ev.RunFinished)
    assert len(end.what) < 600
    assert re.search(sentence, f"{end.what}. {end.hint}", re.DOTALL), end
    assert "Traceback" not in result.out + result.err
    assert is_untouched(database)


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (Fault(kind="busy"), "status 503: server busy"),
        (Fault(kind="html", after=1), "a page of HTML: that is not Ollama"),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else "",
)
def test_a_fault_is_a_sentence_and_nothing_is_stored(
    command: Command, ollama: OllamaServer, database: str, fault: Fault, sentence: str
) -> None:
    fails(command, ollama, database, fault, sentence)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "sentence"), LASTING, ids=lambda value: value.kind if isinstance(value, Fault) else ""
)
def test_each_other_fault_is_a_sentence_and_nothing_is_stored(
    command: Command, ollama: OllamaServer, database: str, fault: Fault, sentence: str
) -> None:
    fails(command, ollama, database, fault, sentence)


def test_a_run_is_taken_up_with_the_same_model_and_with_no_other(
    command: Command, ollama: OllamaServer, database: str
) -> None:
    ollama.set_faults((Fault(kind="html", after=5),))
    assert embedded(command, ollama, database).code == 1
    ollama.set_faults(())
    ollama.config = Config(quantisation="F16")
    refused = command.events("resume", "--dsn", database)
    assert refused.code == 1, refused
    assert "the vectors of two digests cannot be mixed" in refused.one(ev.RunFinished).what
    ollama.config = Config(version="0.31.3")
    result = command.events("resume", "--dsn", database)
    assert result.code == 0, result
    assert result.one(ev.Embedded).kept > 0
    assert "began with Ollama 0.31.2, and goes on with 0.31.3" in said(result)
    assert "0 truncated" in said(result)


@pytest.mark.slow
def test_a_missing_model_is_named_with_the_command_and_pulled_when_asked(
    command: Command, ollama: OllamaServer, database: str
) -> None:
    ollama.config = Config(has_model=False)
    refused = embedded(command, ollama, database)
    assert refused.code == 1, refused
    end = refused.one(ev.RunFinished)
    assert "has no model qllama/bge-large-en-v1.5; it has none at all" in end.what
    assert end.hint.startswith("Get it with: ollama pull qllama/bge-large-en-v1.5, or add --pull")
    ollama.set_faults((Fault(kind="pull", path="pull", times=1),))
    refused = embedded(command, ollama, database, "--pull")
    assert "cannot pull qllama/bge-large-en-v1.5: pull model manifest" in refused.one(ev.RunFinished).what
    result = embedded(command, ollama, database, "--pull")
    assert result.code == 0, result
    pulling = [event for event in result.all(ev.PhaseStarted) if event.unit == "MB"]
    assert [event.phase for event in pulling] == [Phase.LOAD]
    assert any(event.total == 340 for event in result.all(ev.PhaseProgress))


def test_nobody_there_is_a_sentence(command: Command, database: str) -> None:
    result = command.events("run", *flags("127.0.0.1:9"), *CVS, "--dsn", database)
    assert result.code == 1
    end = result.one(ev.RunFinished)
    assert "Ollama at http://127.0.0.1:9 cannot be reached" in end.what
    assert "ollama serve" in end.hint


@pytest.mark.slow
def test_what_cannot_be_checked_is_not_called_untruncated(
    command: Command, ollama: OllamaServer, database: str
) -> None:
    ollama.config = Config(counts=False, accents=False)
    result = embedded(command, ollama, database)
    assert result.code == 0, result
    words = said(result)
    assert "0 truncated" not in words
    assert "Ollama counted no tokens, and we" in words
    assert "0 of 15 chunks are checked against truncation: the server counted no tokens for 15" in words
    assert "reads accented words in another way" in words


@pytest.mark.slow
@pytest.mark.parametrize(
    ("config", "limit"), [(Config(tokens_each=2), 242), (Config(context_tokens=300, shown_context=300), 298)]
)
def test_windows_are_cut_so_that_the_model_takes_them(
    command: Command, ollama: OllamaServer, database: str, config: Config, limit: int
) -> None:
    ollama.config = config
    result = embedded(command, ollama, database)
    assert result.code == 0, result
    words = said(result)
    assert f"windows of {limit} tokens: the model takes" in words
    assert "embedded in parts" not in words
    assert max(row[2] for row in rows(database)) <= limit


@pytest.mark.slow
def test_chunks_that_are_too_long_for_the_server_are_embedded_in_parts(
    command: Command, ollama: OllamaServer, database: str
) -> None:
    ollama.config = Config(context_tokens=300)
    result = embedded(command, ollama, database, "--start-method", "spawn")
    assert result.code == 0, result
    assert "longer than the model's context to the server, and were embedded in parts" in said(result)
    assert len(rows(database)) == result.one(ev.Embedded).computed


@pytest.mark.slow
def test_a_search_asks_the_server_that_embedded(command: Command, ollama: OllamaServer, database: str) -> None:
    assert embedded(command, ollama, database).code == 0
    found = command.run("search", "python", "--dsn", database, "--ollama-url", ollama.url, "--json")
    assert found.code == 0, found
    assert '"source":"cv-' in found.out
    ollama.config = Config(quantisation="F16")
    refused = command.run("search", "python", "--dsn", database, "--ollama-url", ollama.url)
    assert refused.code == 1
    assert "give the server that model again" in refused.err


@pytest.mark.slow
def test_a_run_whose_vectors_are_all_there_needs_no_server(command: Command, database: str) -> None:
    with serving() as server:
        hung = embedded(command, server, database, "--parallelism", "on", "--cvs", "40")
    assert hung.code == 3, hung
    result = command.events("resume", "--dsn", database)
    assert result.code == 0, result
    assert result.one(ev.Embedded).computed == 0
    assert "no sample search, as queries cannot be embedded" in said(result)
    assert result.one(ev.Verified).rows == result.one(ev.Embedded).kept > 0


def stalled(command: Command, database: str) -> Result:
    return command.events("run", "embedder-stall", "--cvs", "40", "--batch", "4", "--dsn", database)


def test_a_server_whose_model_is_silent_is_named_with_what_still_answers(command: Command, database: str) -> None:
    result = stalled(command, database)
    assert result.code == 3, result
    verdict = result.one(ev.VerdictReached)
    assert (verdict.slug, verdict.certainty) == ("remote-no-reply", Certainty.LIKELY)
    evidence = "\n".join(verdict.evidence)
    assert "/api/version answers (0.31.2)" in evidence
    assert "/api/ps answers (loaded: qllama/bge-large-en-v1.5:latest)" in evidence
    assert "it does not answer /api/embed" in evidence
    assert result.one(ev.Stuck).phase is Phase.EMBED
    assert is_untouched(database)


@pytest.mark.slow
def test_a_stalled_run_is_taken_up_when_its_server_is_restarted(command: Command, database: str) -> None:
    assert stalled(command, database).code == 3
    result = command.events("resume", "--dsn", database)
    assert result.code == 0, result
    assert result.one(ev.Embedded).kept > 0
    assert len(rows(database)) == result.one(ev.Embedded).kept + result.one(ev.Embedded).computed
