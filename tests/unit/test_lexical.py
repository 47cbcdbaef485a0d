"""The offline embedder: a pure function of the text, of norm 1, the same everywhere, and near when words are shared."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from functools import cache
from hashlib import sha256

import numpy as np
import pytest
from cvdebug.core.embedding.lexical import DIMENSIONS, FLOOR, Lexical, _signs, fit_idf
from cvdebug.core.embedding.protocol import Embedder
from cvdebug.core.pipeline import documents, tokenizer
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

TEXT = "Senior nurse in an intensive care unit, with experience in ventilation and wound care"
PRINT_EMBEDDING = f"""
import json, os
from cvdebug.core.embedding.lexical import Lexical, fit_idf
from cvdebug.core.pipeline import tokenizer
loaded = tokenizer.load(None)
before = len(os.listdir("/proc/self/task"))
embedder = Lexical(loaded, fit_idf(loaded))
vector = embedder.embed([{TEXT!r}])[0]
threads = len(os.listdir("/proc/self/task")) - before
print(json.dumps([embedder.fingerprint(), [float(x) for x in vector], threads]))
"""


class Unbatched:
    """A tokenizer whose encode_batch must not be called."""

    def __init__(self, real: Tokenizer) -> None:
        self._real = real

    def __getattr__(self, name: str) -> object:
        assert not name.startswith("encode_batch")
        return getattr(self._real, name)


@cache
def _embedder() -> Lexical:
    loaded = tokenizer.load(None)
    return Lexical(loaded, fit_idf(loaded))


@pytest.fixture
def embedder() -> Lexical:
    return _embedder()


def test_it_keeps_the_protocol(embedder: Lexical) -> None:
    kept: Embedder = embedder
    assert (kept.name, kept.dimensions) == ("lexical", 1024)
    vectors = kept.embed([TEXT, "x"])
    assert vectors.shape == (2, 1024)
    assert vectors.dtype == np.float32
    assert kept.embed([]).shape == (0, 1024)


@settings(deadline=None)
@given(st.lists(st.text(max_size=80), max_size=5))
def test_every_text_with_a_token_has_norm_one(texts: list[str]) -> None:
    loaded = tokenizer.load(None)
    vectors = _embedder().embed(texts)
    for text, vector in zip(texts, vectors, strict=True):
        tokens = len(loaded.encode(text, add_special_tokens=False))
        assert np.linalg.norm(vector) == pytest.approx(1 if tokens else 0, abs=1e-5)


@pytest.mark.parametrize("text", ["字漢🙂", "[UNK]", "[SEP]", "[PAD] [CLS]", "a" * 500, ",", "."])
def test_texts_without_any_known_word_have_norm_one_too(embedder: Lexical, text: str) -> None:
    assert np.linalg.norm(embedder.embed([text])[0]) == pytest.approx(1, abs=1e-5)


def test_a_vector_does_not_depend_on_its_neighbours(embedder: Lexical) -> None:
    alone = embedder.embed([TEXT])[0]
    assert np.array_equal(embedder.embed(["something else", TEXT, TEXT])[1], alone)


def test_shared_words_are_near_and_others_far(embedder: Lexical) -> None:
    query, near, far = embedder.embed(
        ["intensive care nurse", TEXT, "Rewrote the order service in Go and cut response times"]
    )
    assert query @ near > 0.4
    assert abs(query @ far) < 0.15


def test_a_search_among_cvs_finds_the_profession(embedder: Lexical) -> None:
    texts = [document.text for document in documents.generated(60, 1)]
    scores = embedder.embed(texts) @ embedder.embed(["sourdough bread and pastries"])[0]
    assert "Chef" in texts[int(scores.argmax())]


def test_by_default_it_never_calls_encode_batch_and_with_batch_it_does() -> None:
    real = tokenizer.load(None)
    unbatched: Tokenizer = Unbatched(real)  # type: ignore[assignment]
    idf = fit_idf(unbatched)
    vectors = Lexical(unbatched, idf).embed([TEXT, "x"])
    assert np.array_equal(vectors, Lexical(real, idf, batch=True).embed([TEXT, "x"]))
    with pytest.raises(AssertionError):
        Lexical(unbatched, idf, batch=True).embed([TEXT])


def test_the_weights_are_large_for_the_rare_and_small_for_the_frequent() -> None:
    loaded = tokenizer.load(None)
    idf = fit_idf(loaded)
    weight = {piece: float(idf[loaded.token_to_id(piece)]) for piece in (".", "nurse", "[UNK]", "[CLS]", "##q")}
    assert idf.shape == (loaded.get_vocab_size(),)
    assert idf.dtype == np.float32
    assert weight["."] == weight["[UNK]"] == pytest.approx(FLOOR)
    assert weight["."] < weight["nurse"] < weight["##q"] == idf.max()
    assert weight["[CLS]"] == 0


def test_another_process_makes_the_same_vectors_and_starts_no_thread(embedder: Lexical) -> None:
    run = subprocess.run(
        [sys.executable, "-P", "-c", PRINT_EMBEDDING],
        env={**os.environ, "PYTHONHASHSEED": "3"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    fingerprint, vector, threads = json.loads(run.stdout)
    assert fingerprint == embedder.fingerprint()
    assert np.array_equal(np.array(vector, dtype=np.float32), embedder.embed([TEXT])[0])
    assert threads == 0


def test_a_pickled_copy_embeds_the_same(embedder: Lexical) -> None:
    copy = pickle.loads(pickle.dumps(embedder))
    assert copy.fingerprint() == embedder.fingerprint()
    assert np.array_equal(copy.embed([TEXT]), embedder.embed([TEXT]))


def test_the_fingerprint_tells_settings_apart(embedder: Lexical) -> None:
    loaded = tokenizer.load(None)
    idf = fit_idf(loaded)
    assert Lexical(loaded, idf).fingerprint() == Lexical(loaded, idf, batch=True).fingerprint()
    assert Lexical(loaded, idf * 2).fingerprint() != embedder.fingerprint()
    loaded.add_tokens(["pgvector"])
    assert Lexical(loaded, idf).fingerprint() != embedder.fingerprint()


def test_the_signs_are_balanced_and_pinned() -> None:
    """The digest holds the projection still: stored vectors would be worthless with another one."""
    signs = _signs(500)
    assert signs.shape == (500, DIMENSIONS // 8)
    assert abs(np.unpackbits(signs).mean() - 0.5) < 0.01
    assert np.array_equal(_signs(20), signs[:20])
    assert sha256(signs.tobytes()).hexdigest().startswith("2c3059a281c249f1")
