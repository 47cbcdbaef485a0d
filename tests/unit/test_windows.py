"""Windows: every character covered, none over the limit when encoded again, in order, overlapping, whole words."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise

import pytest
from cvdebug.core.pipeline import documents, tokenizer, windows
from cvdebug.core.pipeline.windows import LIMIT, OVERLAP, Window, cut
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

ODD = (
    "a" * 120,  # over WordPiece's longest word: [UNK]
    "e\u0301",
    "\u0301\u0302",
    "字漢",
    "🙂👩\u200d👩\u200d👧",
    "\u200b\u200d\ufeff",
    "\x00\x01\x1c\x7f",
    "\ufffd",
    "[SEP]",
    "[MASK]",
    "[UNK",
    "İSTANBUL",
    "ﬁﷺ",
    "ΣΑΣ",
    "각",
    "don't-stop,now",
    " ",
    "\n\n",
    "\u00a0\u2003",
)
LEAST = 12
"""A limit that any piece of a word fits into when it is encoded by itself."""
WORDS = st.one_of(
    st.sampled_from(ODD),
    st.text(max_size=12),
    st.sampled_from(["engineer ", "unbelievable ", "xylophonist ", "a ", "b."]),
)
TEXTS = st.lists(WORDS, max_size=60).map("".join)


@cache
def _bert() -> Tokenizer:
    return tokenizer.load(None)


@cache
def _bytes() -> Tokenizer:
    """One token a byte, several of them at one character, and a space put before the text."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE(vocab={piece: number for number, piece in enumerate(alphabet)}, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    return made


@cache
def _metaspace() -> Tokenizer:
    """One token a character, compatibility characters taken apart, no word boundaries at all."""
    pieces = [("?", 0.0), *((chr(code), -1.0) for code in range(33, 127)), ("▁", -1.0)]
    made = Tokenizer(models.Unigram(pieces, unk_id=0, byte_fallback=False))
    made.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(" ", "▁")])
    made.decoder = decoders.Metaspace()
    return made


def _check(text: str, found: Sequence[Window], tok: Tokenizer, limit: int) -> None:
    """What holds for the windows of any text and tokenizer."""
    if not found:
        assert not tok.encode(text, add_special_tokens=False).ids
        return
    assert found[0].start_char == 0
    assert found[-1].end_char == len(text)
    for window in found:
        again = tok.encode(text[window.start_char : window.end_char], add_special_tokens=False)
        assert 0 < len(again) == window.tokens <= limit
    for before, after in pairwise(found):
        assert before.start_char < after.start_char <= before.end_char < after.end_char


@settings(deadline=None)
@given(text=TEXTS, limit=st.integers(LEAST, 40), data=st.data())
def test_any_text_with_the_shipped_tokenizer(text: str, limit: int, data: st.DataObject) -> None:
    overlap = data.draw(st.integers(0, limit - 1))
    [found] = cut([text], _bert(), limit=limit, overlap=overlap)
    _check(text, found, _bert(), limit)


@pytest.mark.parametrize(("make", "least"), [(_bytes, 6), (_metaspace, 20)])
@settings(deadline=None)
@given(text=TEXTS, data=st.data())
def test_any_text_with_other_tokenizers(
    make: Callable[[], Tokenizer], least: int, text: str, data: st.DataObject
) -> None:
    """`least` tokens are what one character alone may make."""
    limit = data.draw(st.integers(least, 60))
    overlap = data.draw(st.integers(0, limit - 1))
    [found] = cut([text], make(), limit=limit, overlap=overlap)
    _check(text, found, make(), limit)


@settings(deadline=None)
@given(text=TEXTS.map(lambda text: text * 3), segment=st.integers(1, 200), limit=st.integers(LEAST, 30))
def test_any_text_in_segments(text: str, segment: int, limit: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(windows, "SEGMENT", segment)
        [found] = cut([text], _bert(), limit=limit, overlap=limit // 3)
    _check(text, found, _bert(), limit)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.sampled_from(["engineer", "teacher", "unbelievable", "café", "x.", "[SEP]"]), min_size=1))
def test_segments_change_no_window_of_ordinary_text(words: list[str]) -> None:
    text = " ".join(words * 20)
    whole = cut([text], _bert(), limit=20, overlap=5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(windows, "SEGMENT", 400)
        assert cut([text], _bert(), limit=20, overlap=5) == whole


def test_generated_cvs_are_cut_at_words_with_the_overlap_asked_for() -> None:
    tok = _bert()
    texts = [document.text for document in documents.generated(60, 3)]
    all_found = cut(texts, tok)
    for text, found in zip(texts, all_found, strict=True):
        _check(text, found, tok, LIMIT)
        for before, after in pairwise(found):
            shared = tok.encode(text[after.start_char : before.end_char], add_special_tokens=False)
            assert OVERLAP - 16 <= len(shared) <= OVERLAP
            assert before.tokens > LIMIT - 16
            for border in (after.start_char, before.end_char):
                assert not re.fullmatch(r"\w\w", text[border - 1 : border + 1])
    assert cut(texts[:1], tok)[0] == all_found[0]


@pytest.mark.parametrize(
    "text",
    [
        "a" * 1_000_000,
        "字" * 200_000,
        "🙂" * 200_000,
        "a" + " " * 200_000 + "b " * 600 + "\n" * 100_000,
        "+a" * 200_000,
    ],
    ids=["one word", "Chinese", "emoji", "deserts", "no space"],
)
def test_long_texts_are_encoded_in_segments(text: str) -> None:
    sizes: list[int] = []

    class Watched:
        """The tokenizer, with the size of each batch written down."""

        def __getattr__(self, name: str) -> object:
            return getattr(_bert(), name)

        def encode_batch(self, batch: list[str], *, add_special_tokens: bool) -> object:
            sizes.append(sum(map(len, batch)))
            return _bert().encode_batch(batch, add_special_tokens=add_special_tokens)

    [found] = cut([text], Watched(), limit=LIMIT)  # type: ignore[arg-type]
    assert max(sizes) <= windows.SEGMENT
    assert found[0].start_char == 0
    assert found[-1].end_char == len(text)
    assert all(window.tokens <= LIMIT for window in found)
    for before, after in pairwise(found):
        assert before.start_char < after.start_char <= before.end_char < after.end_char
    for start, end, tokens in (found[0], found[len(found) // 2], found[-1]):
        _check(text[start:end], [Window(0, end - start, tokens)], _bert(), LIMIT)


def test_many_long_texts_share_batches_of_bounded_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "BATCH", 5_000)
    monkeypatch.setattr(windows, "SEGMENT", 2_000)
    texts = ["one two three. " * number for number in (0, 1, 50, 900, 400)]
    for text, found in zip(texts, cut(texts, _bert(), limit=100, overlap=10), strict=True):
        _check(text, found, _bert(), 100)


@pytest.mark.parametrize("text", ["", " \n ", "\u200b\u200d", "\u0301", " " * 200_000])
def test_a_text_without_tokens_has_no_window(text: str) -> None:
    assert cut([text], _bert()) == [[]]


def test_the_last_window_never_lies_within_the_one_before() -> None:
    for tokens in (1, LIMIT - 1, LIMIT, LIMIT + 1, 2 * LIMIT - OVERLAP, 2 * LIMIT - OVERLAP + 1):
        text = "a " * tokens
        [found] = cut([text], _bert())
        step = LIMIT - OVERLAP
        assert len(found) == 1 + max(0, -(-(tokens - LIMIT) // step))
        assert sum(window.tokens for window in found) == tokens + OVERLAP * (len(found) - 1)


def test_an_overlap_as_large_as_the_window_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        cut(["a"], _bert(), limit=10, overlap=10)
