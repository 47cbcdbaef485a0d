"""The embedder that asks Ollama, against a real server: what it asks again, halves, parts, refuses."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Protocol

import numpy as np
import pytest
from cvdebug.core.embedding.lexical import Lexical, fit_idf
from cvdebug.core.embedding.ollama import identity
from cvdebug.core.embedding.ollama.again import ATTEMPTS
from cvdebug.core.embedding.ollama.client import Client
from cvdebug.core.embedding.ollama.embedder import Ollama
from cvdebug.core.embedding.protocol import Traffic
from cvdebug.core.errors import EmbedderError
from cvdebug.core.pipeline import tokenizer as tokenizers
from cvdebug.scenarios.ollama_orders import Config, Fault, Happened, Kind
from cvdebug.scenarios.ollama_server import OllamaServer

from .ollama import serving

TEXTS = [f"engineer number {number} with python and years of experience" for number in range(8)]
POISON = "something poisonous"


@pytest.fixture(scope="module")
def only() -> Iterator[OllamaServer]:
    with serving() as server:
        yield server


@pytest.fixture
def server(only: OllamaServer) -> OllamaServer:
    """The server of this module, sound again."""
    only.config = Config()
    only.happened = Happened()
    only.set_faults(())
    return only


class Asking:
    """An embedder that does not really pause, with what it said and how long it would have paused."""

    def __init__(self, server: OllamaServer, *, timeout_s: float = 5.0) -> None:
        self.said: list[str] = []
        self.pauses: list[float] = []
        with Client(server.url) as client:
            served = identity.find(client, server.config.model)
        assert served is not None
        self.embedder = Ollama(server.url, served, timeout_s=timeout_s, say=self.said.append, pause=self.pauses.append)


class Ask(Protocol):
    def __call__(self, *, timeout_s: float = 5.0) -> Asking: ...


@pytest.fixture
def asks(server: OllamaServer) -> Iterator[Ask]:
    """Makes such embedders, and closes them."""
    made: list[Asking] = []

    def make(*, timeout_s: float = 5.0) -> Asking:
        made.append(Asking(server, timeout_s=timeout_s))
        return made[-1]

    yield make
    for asking in made:
        asking.embedder.close()


def test_the_vectors_are_those_of_the_offline_embedder(server: OllamaServer, asks: Ask) -> None:
    tokenizer = tokenizers.load()
    answered = asks().embedder.ask(TEXTS)
    expected = Lexical(tokenizer, fit_idf(tokenizer)).embed(TEXTS)
    np.testing.assert_allclose(answered.vectors, expected, atol=1e-6)
    (counted,) = answered.counted
    assert counted.places == tuple(range(8))
    assert counted.tokens == sum(len(tokenizer.encode(text).ids) for text in TEXTS)
    assert (answered.traffic.requests, answered.traffic.again) == (1, 0)
    assert server.happened.untruncated == server.happened.requests == 1


PASSING: list[Kind] = [
    "reset", "reset-midway", "busy", "crashed", "failed", "bad-gateway", "not-json", "zeros", "null", "rows",
    "big-error",
]  # fmt: skip


@pytest.mark.parametrize("kind", PASSING)
def test_what_passes_by_itself_is_asked_again(server: OllamaServer, asks: Ask, kind: Kind) -> None:
    asking = asks()
    server.set_faults((Fault(kind=kind, times=2),))
    answered = asking.embedder.ask(TEXTS)
    assert np.allclose(np.linalg.norm(answered.vectors, axis=1), 1, atol=1e-5)
    assert answered.traffic.again == len(asking.said) == 2
    assert asking.pauses == [0.25, 0.5]
    assert all(len(said) < 400 for said in asking.said)


@pytest.mark.parametrize("kind", ["stall", "stall-midway", "trickle"])
def test_silence_is_asked_again_and_told_with_what_still_answers(server: OllamaServer, asks: Ask, kind: Kind) -> None:
    asking = asks(timeout_s=0.3)
    asking.embedder.ask(TEXTS[:1])
    server.set_faults((Fault(kind=kind, times=1),))
    asking.embedder.ask(TEXTS)
    (said,) = asking.said
    assert "/api/version answers (0.31.2)" in said
    assert "/api/ps answers (loaded: qllama/bge-large-en-v1.5:latest)" in said


@pytest.mark.parametrize(
    ("kind", "sentence", "hint"),
    [
        ("busy", "status 503: server busy", "queue full"),
        ("reset", "broke the connection off", "resume"),
        ("crashed", "status 400: do embedding request", "refuses every text"),
        ("no-embeddings", "does not embed", "--model"),
        ("dimensions", "768 dimensions, and the table has 1,024", "--model"),
        ("html", "a page of HTML: that is not Ollama", "OLLAMA_HOST"),
        ("redirect", r"elsewhere to http://127.0.0.1:9/api/embed \(status 307\)", "OLLAMA_HOST"),
        ("missing", "has no model qllama/bge-large-en-v1.5:latest; it has none at all", "ollama pull qllama/bge"),
    ],
)
def test_what_goes_on_failing_is_a_sentence_with_advice(
    server: OllamaServer, asks: Ask, kind: Kind, sentence: str, hint: str
) -> None:
    asking = asks()
    server.set_faults((Fault(kind=kind),))
    with pytest.raises(EmbedderError, match=sentence) as error:
        asking.embedder.ask(TEXTS)
    assert hint in error.value.hint
    assert error.value.text is None
    assert len(asking.said) < 2 * ATTEMPTS


@pytest.mark.parametrize("kind", ["crashed", "failed", "nan", "input"])
def test_the_one_text_that_is_to_blame_is_found(server: OllamaServer, asks: Ask, kind: Kind) -> None:
    asking = asks()
    server.set_faults((Fault(kind=kind, text=POISON),))
    texts = [*TEXTS[:5], POISON, *TEXTS[5:]]
    with pytest.raises(EmbedderError) as error:
        asking.embedder.ask(texts)
    assert error.value.text == 5


@pytest.mark.parametrize("kind", ["zeros", "null"])
def test_a_vector_that_cannot_be_stored_is_named_by_its_text(server: OllamaServer, asks: Ask, kind: Kind) -> None:
    asking = asks()
    server.set_faults((Fault(kind=kind),))
    with pytest.raises(EmbedderError, match=r"zeros|null in place of a number") as error:
        asking.embedder.ask(TEXTS)
    assert error.value.text == 0


def test_blank_text_is_never_sent(server: OllamaServer, asks: Ask) -> None:
    with pytest.raises(EmbedderError, match="blank text is never sent") as error:
        asks().embedder.ask([TEXTS[0], " \n\t "])
    assert error.value.text == 1
    assert server.happened.requests == 0


def test_a_text_that_is_too_long_is_embedded_in_parts_and_no_word_is_lost(server: OllamaServer, asks: Ask) -> None:
    long = " ".join(TEXTS)
    server.config = Config(context_tokens=40)
    answered = asks().embedder.ask([TEXTS[0], long, TEXTS[1]])
    assert answered.traffic.parted == 1
    whole = {counted.places: counted.tokens for counted in answered.counted}
    tokens = len(tokenizers.load().encode(long, add_special_tokens=False).ids)
    parts = whole[(1,)]
    assert parts is not None
    assert parts > tokens
    assert (parts - tokens) % 2 == 0  # each part has its own two special ones
    server.config = Config()
    intact = asks().embedder.embed([long])[0]
    assert float(answered.vectors[1] @ intact) > 0.9
    assert np.linalg.norm(answered.vectors[1]) == pytest.approx(1, abs=1e-5)


def test_the_probe_tells_whether_accents_are_read(server: OllamaServer, asks: Ask) -> None:
    assert asks().embedder.greet() == pytest.approx(1, abs=1e-5)
    server.config = Config(accents=False)
    assert asks().embedder.greet() < 0.9


def test_each_digest_has_a_fingerprint_of_its_own_and_versions_do_not_matter(server: OllamaServer, asks: Ask) -> None:
    first = asks().embedder.fingerprint()
    server.config = Config(version="0.13.4")
    assert asks().embedder.fingerprint() == first
    server.config = Config(quantisation="F16")
    assert asks().embedder.fingerprint() != first


def test_an_answer_without_counts_has_none(server: OllamaServer, asks: Ask) -> None:
    server.config = Config(counts=False)
    (counted,) = asks().embedder.ask(TEXTS).counted
    assert counted.tokens is None


@pytest.mark.parametrize("name", ["qllama/bge-large-en-v1.5", "QLLAMA/BGE-large-en-v1.5:latest"])
def test_a_model_is_found_by_any_way_to_write_its_name(server: OllamaServer, name: str) -> None:
    with Client(server.url) as client:
        found = identity.find(client, name)
    assert found is not None
    assert (found.digest, found.quantisation) == (server.config.digest, "Q8_0")
    assert (found.dimensions, found.context_tokens) == (1024, 512)


def test_names_of_the_default_registry_are_short_ones() -> None:
    assert identity.canonical("registry.ollama.ai/library/all-minilm") == identity.canonical("all-minilm:latest")


@pytest.mark.parametrize("host", ["..", "a" * 64 + ".invalid", "xn--a"])
def test_a_name_that_cannot_be_looked_up_is_a_sentence(host: str) -> None:
    with Client(f"http://{host}:9") as client, pytest.raises(EmbedderError, match="no host can have such a name"):
        identity.version(client)


def test_the_norms_are_those_that_the_server_gave() -> None:
    seen = Traffic().plus(Traffic(norm_min=16.0, norm_max=17.5)).plus(Traffic(requests=1))
    assert (seen.norm_min, seen.norm_max) == (16.0, 17.5)


class ClosesAfterOne(BaseHTTPRequestHandler):
    """Answers one request on each connection, and takes a second one only to close it, as when its patience ended."""

    protocol_version = "HTTP/1.1"
    answered = False

    def do_GET(self) -> None:
        if self.answered:
            self.close_connection = True
            return
        self.answered = True
        body = b'{"version":"0.31.2"}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


def test_a_kept_connection_that_the_server_closes_is_no_failure() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), ClosesAfterOne) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        with Client(f"http://127.0.0.1:{server.server_address[1]}") as client:
            assert [client.get("/api/version")["version"] for _ in range(3)] == ["0.31.2"] * 3
        server.shutdown()
