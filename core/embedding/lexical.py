"""The offline embedder: which wordpieces a text holds, weighted and projected. No model, no download, no network.

Each text becomes a vector of wordpiece weights, sublinear tf times smoothed idf (Salton & Buckley 1988,
"Term-weighting approaches in automatic text retrieval"), which a random matrix of +1/sqrt(d) and -1/sqrt(d) projects
to d = 1024 dimensions (Achlioptas 2003, "Database-friendly random projections"), then L2-normalised. Such a
projection keeps inner products up to an error of about 1/sqrt(d), so texts with rare pieces in common are near.

What it is not: semantic. It knows no synonyms, no word order and no context: "physician" and "doctor" have
nothing in common. It is a pure function of the text, and needs nothing of the load when a search comes later.

It never uses BLAS, whose threads would start in each worker, and by default never `encode_batch`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..pipeline import generate
from ..pipeline.windows import is_local

if TYPE_CHECKING:
    from tokenizers import Tokenizer

DIMENSIONS = 1024
VERSION = 1
"""Part of the fingerprint: to be raised with any change that makes other vectors."""
PROJECTION_SEED = 0x5EED
REFERENCE_SEED = 10_000
REFERENCE_CVS = 200
"""The idf is fitted on these generated CVs, which are not those of the default corpus."""
FLOOR = 0.1
"""Weight of a piece that is in every CV: full stops and commas must not drown the words, nor vanish."""


def fit_idf(tokenizer: Tokenizer) -> NDArray[np.float32]:
    """Smoothed idf of each piece of the vocabulary, shape (vocabulary,): ln((1 + n) / (1 + df)) + FLOOR.

    Pieces not in the reference CVs get the largest value; special tokens weigh nothing, but for the unknown one, the
    least informative, which weighs FLOOR.
    """
    frequencies = np.zeros(_vocabulary(tokenizer), dtype=np.int64)
    texts = [generate.cv(REFERENCE_SEED, index).text for index in range(REFERENCE_CVS)]
    for ids in _distinct(tokenizer, texts):
        frequencies[ids] += 1
    idf = (np.log((1 + REFERENCE_CVS) / (1 + frequencies)) + FLOOR).astype(np.float32)
    unknown = getattr(tokenizer.model, "unk_token", None)
    for number, token in tokenizer.get_added_tokens_decoder().items():
        if token.special:
            idf[number] = FLOOR if token.content == unknown else 0
    return idf


def _distinct(tokenizer: Tokenizer, texts: list[str]) -> Iterator[list[int]]:
    """The ids of the pieces in each text.

    Where a word's pieces depend on that word alone, each distinct word is encoded once: a fifth of the time.
    """
    if not is_local(tokenizer):
        yield from (list(set(tokenizer.encode(text, add_special_tokens=False).ids)) for text in texts)
        return
    words = list({word: None for text in texts for word in text.split()})
    encoding = tokenizer.encode(words, is_pretokenized=True, add_special_tokens=False)
    pieces: dict[str, set[int]] = {word: set() for word in words}
    for piece, number in zip(encoding.ids, encoding.word_ids, strict=True):
        if number is not None:  # content tokens all belong to a word
            pieces[words[number]].add(piece)
    yield from (list(set().union(*(pieces[word] for word in set(text.split())))) for text in texts)


def _vocabulary(tokenizer: Tokenizer) -> int:
    """One more than the largest id: a vocabulary may have gaps."""
    return max(tokenizer.get_vocab(with_added_tokens=True).values()) + 1


class Lexical:
    """Embeds texts with `tokenizer` and the weights of `fit_idf`; `batch` makes it call `encode_batch`.

    With `batch` it hangs in a child that was forked after a batch call in the parent, which is what one scenario
    shows. A text without any token gets the zero vector.
    """

    name = "lexical"
    dimensions = DIMENSIONS

    def __init__(self, tokenizer: Tokenizer, idf: NDArray[np.float32], *, batch: bool = False) -> None:
        self._tokenizer = tokenizer
        self._idf = np.asarray(idf, dtype=np.float32)
        self._batch = batch
        self._signs = _signs(len(self._idf))

    def fingerprint(self) -> str:
        """SHA-256 in hex over version, projection, weights and tokenizer; `batch` makes the same vectors."""
        digest = sha256(f"lexical {VERSION} {DIMENSIONS} {PROJECTION_SEED}\n".encode())
        digest.update(self._idf.astype("<f4").tobytes())
        digest.update(self._tokenizer.to_str().encode())
        return digest.hexdigest()

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """L2-normalised vectors of shape (len(texts), 1024)."""
        return self.embed_ids(self._encoded(texts))

    def embed_ids(self, encoded: Sequence[list[int]]) -> NDArray[np.float32]:
        """The same for texts that are tokens already: the ids of each, without special tokens."""
        vectors = np.zeros((len(encoded), DIMENSIONS), dtype=np.float32)
        for row, ids in enumerate(encoded):
            if ids:
                vectors[row] = self._vector(ids)
        return vectors

    def embed_query(self, text: str) -> NDArray[np.float32]:
        """The L2-normalised vector of shape (1024,): a query is embedded as every text is."""
        vector: NDArray[np.float32] = self.embed([text])[0]
        return vector

    def _encoded(self, texts: Sequence[str]) -> list[list[int]]:
        if self._batch:
            return [e.ids for e in self._tokenizer.encode_batch(list(texts), add_special_tokens=False)]
        return [self._tokenizer.encode(text, add_special_tokens=False).ids for text in texts]

    def _vector(self, ids: list[int]) -> NDArray[np.float32]:
        unique, counts = np.unique(ids, return_counts=True)
        weights = ((1 + np.log(counts)) * self._idf[unique]).astype(np.float32)
        if not weights.any():  # only special tokens, typed out: their norm must be 1 all the same
            weights[:] = 1
        # A bit b stands for the sign 2b - 1, and the scale 1/sqrt(d) goes with the norm.
        bits = np.unpackbits(self._signs[unique], axis=1)
        vector: NDArray[np.float32] = 2 * np.einsum("i,ij->j", weights, bits, dtype=np.float32) - weights.sum()
        vector /= np.sqrt(np.einsum("i,i->", vector, vector))
        return vector


def _signs(vocabulary: int) -> NDArray[np.uint8]:
    """The projection's signs, one bit each, shape (vocabulary, 128).

    Raw PCG64 output, whose stream for a seed NumPy guarantees across versions, unlike its Generator's methods.
    """
    raw = np.random.PCG64(PROJECTION_SEED).random_raw(vocabulary * DIMENSIONS // 64)
    return raw.astype("<u8").view(np.uint8).reshape(vocabulary, DIMENSIONS // 8)
