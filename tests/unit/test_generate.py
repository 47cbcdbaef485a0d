"""The built-in generator: pure, varied, and of the lengths that the default corpus promises."""

from __future__ import annotations

import subprocess
import sys
from hashlib import sha256

import pytest
from cvdebug.core.pipeline import documents, tokenizer, windows
from cvdebug.core.pipeline.generate import DEFAULT_CVS, DEFAULT_SEED, cv
from hypothesis import given, settings
from hypothesis import strategies as st

PRINT_DIGEST = """
import sys
from hashlib import sha256
from cvdebug.core.pipeline import documents
digest = sha256()
for document in documents.generated(20, 7):
    digest.update(document.source.encode() + document.text.encode())
assert "tokenizers" not in sys.modules, "the generator must not import tokenizers"
print(digest.hexdigest())
"""


@pytest.fixture(scope="module")
def corpus() -> list[documents.Document]:
    return list(documents.generated(DEFAULT_CVS, DEFAULT_SEED))


def test_the_default_corpus_has_the_promised_size(corpus: list[documents.Document]) -> None:
    found = windows.cut([document.text for document in corpus], tokenizer.load())
    assert 800 <= sum(map(len, found)) <= 1_500
    assert sum(len(of_one) >= 3 for of_one in found) >= len(corpus) / 5


def test_cvs_differ_and_have_sources_of_their_own(corpus: list[documents.Document]) -> None:
    assert len({document.text for document in corpus}) == DEFAULT_CVS
    assert len({document.source for document in corpus}) == DEFAULT_CVS


def test_names_with_accents_are_among_them(corpus: list[documents.Document]) -> None:
    names = " ".join(document.text.partition("\n")[0] for document in corpus)
    assert set("éüñłøç") <= set(names)


def test_cvs_have_their_sections_and_no_open_slot(corpus: list[documents.Document]) -> None:
    for document in corpus:
        for heading in ("PROFILE", "EXPERIENCE", "EDUCATION", "SKILLS", "LANGUAGES"):
            assert f"\n\n{heading}\n" in document.text
        assert not set("{};\0") & set(document.text)
        assert document.text.splitlines()[2].isprintable()


def test_another_process_with_another_hash_seed_writes_the_same() -> None:
    here = sha256(b"".join(d.source.encode() + d.text.encode() for d in documents.generated(20, 7))).hexdigest()
    for hash_seed in ("1", "2"):
        run = subprocess.run(
            [sys.executable, "-P", "-c", PRINT_DIGEST],
            env={"PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        assert run.stdout.strip() == here


@settings(deadline=None)
@given(seed=st.integers(), index=st.integers(min_value=0))
def test_a_cv_depends_on_its_seed_and_index_alone(seed: int, index: int) -> None:
    assert cv(seed, index) == cv(seed, index)
    assert cv(seed, index).text != cv(seed, index + 1).text
    assert cv(seed, index).text != cv(seed + 1, index).text


def test_more_cvs_leave_the_first_ones_as_they_are() -> None:
    assert list(documents.generated(3, 5)) == list(documents.generated(9, 5))[:3]
