"""Where the Ollama server is: the grammar of OLLAMA_HOST, and what is refused."""

from __future__ import annotations

import pytest
from cvdebug.core.embedding.ollama.address import VARIABLE, is_loopback, parse
from cvdebug.core.errors import UsageError
from cvdebug.core.settings import resolve


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("", "http://127.0.0.1:11434"),
        ("h", "http://h:11434"),
        ("http://h", "http://h:80"),
        ("https://h", "https://h:443"),
        ("HTTPS://h/", "https://h:443"),
        ("h:8080", "http://h:8080"),
        ("http://h:8080", "http://h:8080"),
        (":8080", "http://127.0.0.1:8080"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("0.0.0.0:8080", "http://127.0.0.1:8080"),
        ("http://0.0.0.0", "http://127.0.0.1:80"),
        ("[::]", "http://[::1]:11434"),
        ("::1", "http://[::1]:11434"),
        ("[::1]:8080", "http://[::1]:8080"),
        ("https://h/ollama/", "https://h:443/ollama"),
        ("h/a%20b c", "http://h:11434/a%20b%20c"),
        ("  'h:1'  ", "http://h:1"),
        ('"h"', "http://h:11434"),
    ],
)
def test_an_address_is_read_as_ollama_reads_it(text: str, url: str) -> None:
    assert parse(text, where="--ollama-url") == url


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("ftp://h", "scheme 'ftp'"),
        ("http://anna:hunter2@h", "a user or a password"),
        ("h:70000", "port '70000'"),
        ("h:0", "port '0'"),
        ("h:x", "port 'x'"),
        ("a b", "host 'a b'"),
        ("http://h?x", "host 'h"),
    ],
)
def test_what_is_no_address_is_refused_without_its_password(text: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence) as error:
        parse(text, where="--ollama-url")
    assert "hunter2" not in str(error.value)
    assert "--ollama-url" in str(error.value)


def test_a_bad_port_in_the_variable_is_the_default_as_for_ollama_itself() -> None:
    assert parse("h:70000", where=VARIABLE) == "http://h:11434"
    assert parse("http://h:x", where=VARIABLE) == "http://h:80"


@pytest.mark.parametrize(
    ("url", "local"),
    [("http://127.0.0.1:1", True), ("http://[::1]:1", True), ("http://localhost:1", True), ("http://h:1", False)],
)
def test_what_is_this_machine(url: str, *, local: bool) -> None:
    assert is_loopback(url) is local


def test_flags_come_before_variables_before_ollama_host_before_this_machine() -> None:
    flags = {"embedder": "ollama"}
    everything = {"OLLAMA_HOST": "three", "CVDEBUG_OLLAMA_URL": "two"}
    resolved = resolve(flags={**flags, "ollama_url": "one"}, environment=everything)
    assert (resolved.settings.ollama_url, resolved.origins["ollama_url"]) == ("http://one:11434", "--ollama-url")
    assert resolve(flags=flags, environment=everything).settings.ollama_url == "http://two:11434"
    resolved = resolve(flags=flags, environment={"OLLAMA_HOST": "three"})
    assert (resolved.settings.ollama_url, resolved.origins["ollama_url"]) == ("http://three:11434", "OLLAMA_HOST")
    assert resolve(flags=flags, environment={"OLLAMA_HOST": ""}).settings.ollama_url == "http://127.0.0.1:11434"
    assert resolve(flags=flags, environment={}).settings.ollama_url == "http://127.0.0.1:11434"


def test_without_ollama_the_variable_is_not_looked_at() -> None:
    assert resolve(flags={}, environment={"OLLAMA_HOST": "ftp://x"}).settings.ollama_url is None


def test_what_is_only_for_ollama_says_so() -> None:
    with pytest.raises(UsageError, match=r"--model is for the embedder ollama\. Add --embedder ollama"):
        resolve(flags={"model": "x"}, environment={})
