"""The shipped tokenizer: made anew it is the same, and foreign files are loaded or refused in a sentence."""

from __future__ import annotations

import json
import string
from hashlib import sha256
from pathlib import Path

import pytest
from cvdebug.core.errors import InputError
from cvdebug.core.pipeline import train
from cvdebug.core.pipeline.tokenizer import SHIPPED, fingerprint, load
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers


@pytest.fixture(scope="module")
def shipped() -> Tokenizer:
    return load(None)


def _saved(tokenizer: Tokenizer, path: Path) -> Path:
    tokenizer.save(str(path))
    return path


@pytest.mark.slow
def test_training_again_gives_the_shipped_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["train", str(tmp_path / "again.json")])
    train.main()
    assert (tmp_path / "again.json").read_bytes() == SHIPPED.read_bytes()


def test_the_file_is_small_and_on_one_line() -> None:
    assert SHIPPED.stat().st_size < 400_000
    assert SHIPPED.read_text(encoding="utf-8").count("\n") == 1


def test_it_is_an_uncased_bert_tokenizer(shipped: Tokenizer) -> None:
    assert shipped.encode("Dvořák, Ärztin").tokens[0] == "[CLS]"
    assert shipped.encode("x").tokens[-1] == "[SEP]"
    assert shipped.encode("Engineer").ids == shipped.encode("ENGINEER").ids == shipped.encode("éngíneer").ids
    assert [shipped.token_to_id(name) for name in train.SPECIALS] == [0, 1, 2, 3, 4]
    assert shipped.decode(shipped.encode("an unbelievable journey").ids) == "an unbelievable journey"
    assert shipped.get_vocab_size() <= train.VOCABULARY


@settings(deadline=None)
@given(st.text(alphabet=string.printable + "éüñłøßæœðþçšğışÅ", max_size=60))
def test_printable_ascii_and_latin_letters_are_never_unknown(text: str) -> None:
    assert "[UNK]" not in load(None).encode(text, add_special_tokens=False).tokens or "[UNK]" in text


def test_common_english_does_not_shatter(shipped: Tokenizer) -> None:
    text = "The weather was better than we had expected, and the children wanted to walk along the river before dinner."
    words = text.replace(",", " ,").replace(".", " .").split()
    assert len(shipped.encode(text, add_special_tokens=False)) <= 1.2 * len(words)


def test_truncation_and_padding_of_a_file_are_switched_off(tmp_path: Path) -> None:
    changed = load(None)
    changed.enable_truncation(8)
    changed.enable_padding(length=16)
    loaded = load(_saved(changed, tmp_path / "tokenizer.json"))
    assert len(loaded.encode("a b " * 100, add_special_tokens=False)) == 200
    assert len(loaded.encode("a", add_special_tokens=False)) == 1


def test_another_model_is_taken(tmp_path: Path) -> None:
    words = Tokenizer(models.WordLevel({"a": 0, "b": 1, "?": 2}, unk_token="?"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    assert load(_saved(words, tmp_path / "t.json")).encode("a b c").ids == [0, 1, 2]


def test_files_that_are_no_tokenizer_are_refused_in_a_sentence(tmp_path: Path) -> None:
    without_unknown = Tokenizer(models.WordPiece({"a": 0, "b": 1}, unk_token="[UNK]"))
    cases = {
        "missing.json": None,
        "empty.json": b"",
        "no.json": b"{}",
        "array.json": b"[1, 2]",
        "binary.json": b"\xff\xfe\x00",
        "model.json": json.dumps({**json.loads(SHIPPED.read_bytes()), "model": {"type": "Magic"}}).encode(),
        "unknown.json": without_unknown.to_str().encode(),
        "nothing.json": Tokenizer(models.BPE()).to_str().encode(),
    }
    for name, content in cases.items():
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError) as caught:
            load(tmp_path / name)
        assert name in caught.value.what
        assert caught.value.hint
    with pytest.raises(InputError, match="cannot be read"):
        load(tmp_path)


def test_the_fingerprint_is_the_digest_of_the_file(tmp_path: Path) -> None:
    assert fingerprint(None) == sha256(SHIPPED.read_bytes()).hexdigest() == fingerprint(SHIPPED)
    with pytest.raises(InputError, match="does not exist"):
        fingerprint(tmp_path / "none.json")
