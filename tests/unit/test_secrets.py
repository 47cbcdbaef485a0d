"""Secrets in foreign texts are hidden, whatever surrounds them, and what is none stays."""

from __future__ import annotations

import time

import pytest
from cvdebug.core.secrets import HIDDEN, redact, redact_command
from hypothesis import assume, given
from hypothesis import strategies as st

SECRET = st.text("abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789%!$^+", min_size=6, max_size=40)
FORMS = (
    "postgresql://user:{}@db.example.org:5432/cvs",
    "connect to https://u:{}@example.org/x?y=1 failed",
    "host=db password={} dbname=x",
    "host=db PASSWORD = '{}' dbname=x",
    "python train.py --password={} --epochs 3",
    "python train.py --db-password {} --epochs 3",
    "env PGPASSWORD={} python x.py",
    "--hf-token {}",
    "--api_key={}",
    "AWS_SECRET_ACCESS_KEY={} python x.py",
    'client = Client(token="{}", retries=3)',
    "{{'password': '{}', 'user': 'x'}}",
    "git clone https://{}@example.org/x.git",
    "https://example.org/x?access_token={}&y=1",
    "curl -H 'X-Api-Key: {}'",
    "ALTER ROLE cvs PASSWORD '{}'",
    "passwd: {}",
    "secret={}",
)


@pytest.mark.parametrize("form", FORMS)
@given(SECRET)
def test_a_secret_does_not_get_through(form: str, secret: str) -> None:
    assume(secret not in form.format(""))
    shown = redact(form.format(secret))
    assert secret not in shown
    assert HIDDEN in shown
    assert redact(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "TOKENIZERS_PARALLELISM=true in the live environment",
        "python train.py --tokenizer wordpiece.json --epochs 3 --max-tokens-total 5",
        "postgresql://user@db.example.org:5432/cvs",
        "http://127.0.0.1:11434/api/embed",
        "PID 7: Python line: put at /usr/lib/python3.11/queue.py:133: with self.not_full:",
        "bypass=1 compass=2 passage=3 keyboard=4 key=name",
        "the lock file /home/me/.cache/x.lock",
        "waits for socket 1145462, which PID 26657 did not accept yet at 127.0.0.1:41327",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redact(text) == text
    assert redact_command(text.split()) == tuple(text.split())


@pytest.mark.parametrize(
    "secret",
    [
        "AKIAIOSFODNN7EXAMPLE",
        "ghp_0123456789abcdefghijABCDEFGHIJ",
        "hf_abcdefghijklmnopqrstuvwxyz",
        "sk-proj-abcdefghijklmnopqrstuvwxyz",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl",
        "Bearer abcdefgh12345678",
    ],
)
def test_keys_of_well_known_services_are_hidden_without_a_name(secret: str) -> None:
    shown = redact(f"python call.py {secret} --verbose")
    assert secret.split()[-1] not in shown
    assert shown.endswith("--verbose")


def test_the_words_of_a_command_line_tell_where_a_secret_ends() -> None:
    command = ("x", "--password", "my secret words", "--token=a b c", "PGPASSWORD=d e", "--no-password", "--host", "db")
    assert redact_command(command) == (
        "x", "--password", HIDDEN, f"--token={HIDDEN}", f"PGPASSWORD={HIDDEN}", "--no-password", "--host", "db",
    )  # fmt: skip
    assert redact_command(()) == ()


@given(st.text(), st.lists(st.text()))
def test_nothing_fails_and_nothing_is_hidden_twice(text: str, words: list[str]) -> None:
    assert redact(redact(text)) == redact(text)
    assert len(redact_command(words)) == len(words)


@pytest.mark.parametrize("piece", ["a", "://:", "-", "--password ", "password='", "eyJ", "eyJaaaaaaaa.", "'", "sk-"])
def test_a_long_text_does_not_take_long(piece: str) -> None:
    began = time.monotonic()
    redact(piece * (65536 // len(piece)))
    redact_command([piece * (65536 // len(piece))])
    assert time.monotonic() - began < 5
