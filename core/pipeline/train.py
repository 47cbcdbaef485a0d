"""Makes the shipped tokenizer: `python -m cvdebug.core.pipeline.train [FILE]` writes `wordpiece.json` anew.

The library's own trainer breaks ties in an order that changes from run to run, and starts the native thread pool.
So the vocabulary is learned here, in plain Python: pairs of pieces are merged, the most frequent first (Sennrich
et al. 2016, "Neural Machine Translation of Rare Words with Subword Units"), ties by spelling. The same
sources give the same file, byte for byte. Nothing of a run imports this module.
"""

from __future__ import annotations

import json
import string
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from heapq import heapify, heappop, heappush
from itertools import pairwise
from pathlib import Path

from tokenizers import Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import WordPiece

from . import generate
from .tokenizer import SHIPPED
from .words import COMMON, ENDINGS

SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
VOCABULARY = 8_000
CORPUS_SEED = 20_000
CORPUS_CVS = 1_000
LEAST_COUNT = 2
"""A pair seen less often is not worth a piece."""
COMMON_COUNT = 12
"""How often each word of the list of common English words is counted."""

PUNCTUATION = "–—‘’‚“”„†•…‹›€™«»¡¿§©®°±²³·µ¶£¥¢×÷"
OTHER_LETTERS = "æðøþßđħıłŋœŧəαβγδεζηθικλμνξοπρστυφχψωабвгдежзийклмнопрстуфхцчшщъыьэюя"
ALPHABET = sorted({*string.ascii_lowercase, *string.digits, *OTHER_LETTERS})
"""Characters that may start or continue a word; the normalizer lowercases and strips accents before."""

Word = tuple[str, ...]
Pair = tuple[str, str]


def train() -> Tokenizer:
    """Learn the vocabulary and put it into a tokenizer with BERT's uncased rules."""
    tokenizer = _tokenizer({"[UNK]": 0})
    pieces = [*SPECIALS, *_learned(_counts(tokenizer))]
    return _tokenizer({piece: number for number, piece in enumerate(pieces)})


def _tokenizer(vocabulary: dict[str, int]) -> Tokenizer:
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    if "[CLS]" in vocabulary:
        special = [(name, vocabulary[name]) for name in ("[CLS]", "[SEP]")]
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=special
        )
        tokenizer.add_special_tokens(list(SPECIALS))
    return tokenizer


def _counts(tokenizer: Tokenizer) -> Counter[str]:
    """Words of the generated CVs and of the list of common words, as the tokenizer's rules make them."""
    counts: Counter[str] = Counter()
    for index in range(CORPUS_CVS):
        for line in generate.cv(CORPUS_SEED, index).text.splitlines():
            text = tokenizer.normalizer.normalize_str(line)
            counts.update(word for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(text))
    for word in COMMON:
        counts[word] += COMMON_COUNT
    return counts


def _learned(counts: Mapping[str, int]) -> list[str]:
    """Characters, endings, then merged pieces in the order in which they were learned, VOCABULARY in all."""
    start = [*sorted({*string.punctuation, *PUNCTUATION}), *ALPHABET, *("##" + c for c in ALPHABET)]
    start += ["##" + ending for ending in ENDINGS if len(ending) > 1]
    pieces = dict.fromkeys(start)
    for piece in _merges(counts, alphabet=frozenset(ALPHABET)):
        if len(pieces) == VOCABULARY - len(SPECIALS):
            break
        pieces[piece] = None
    return list(pieces)


def _merges(counts: Mapping[str, int], *, alphabet: frozenset[str]) -> Iterator[str]:
    """Merge the most frequent pair of pieces again and again; only the words that hold it are touched."""
    known = sorted(word for word in counts if alphabet.issuperset(word))
    words = [_split(word) for word in known]
    weights = [counts[word] for word in known]
    totals: Counter[Pair] = Counter()
    holders: defaultdict[Pair, set[int]] = defaultdict(set)
    for number, word in enumerate(words):
        _count_pairs(word, weights[number], totals)
        for pair in _pairs(word):
            holders[pair].add(number)
    queue = [(-total, pair) for pair, total in totals.items()]
    heapify(queue)
    while queue:
        total, best = heappop(queue)
        if totals[best] != -total or -total < LEAST_COUNT:
            continue  # outdated: the pair was queued again with its new total
        yield _joined(best)
        changed: set[Pair] = set()
        for number in holders.pop(best):
            _count_pairs(words[number], -weights[number], totals)
            changed.update(_pairs(words[number]))
            words[number] = _merged(words[number], best)
            _count_pairs(words[number], weights[number], totals)
            for pair in _pairs(words[number]):
                changed.add(pair)
                holders[pair].add(number)
        for pair in changed:
            heappush(queue, (-totals[pair], pair))


def _split(word: str) -> Word:
    return (word[0], *("##" + character for character in word[1:]))


def _pairs(word: Word) -> Iterable[Pair]:
    return pairwise(word)


def _count_pairs(word: Word, weight: int, totals: Counter[Pair]) -> None:
    for pair in _pairs(word):
        totals[pair] += weight


def _joined(pair: Pair) -> str:
    return pair[0] + pair[1].removeprefix("##")


def _merged(word: Word, pair: Pair) -> Word:
    """The word with each occurrence of the pair joined, from left to right."""
    merged: list[str] = []
    for piece in word:
        if merged and (merged[-1], piece) == pair:
            merged[-1] = _joined(pair)
        else:
            merged.append(piece)
    return tuple(merged)


def serialised(tokenizer: Tokenizer) -> str:
    """The file's text: one line, non-ASCII as it is."""
    return json.dumps(json.loads(tokenizer.to_str()), ensure_ascii=False, separators=(",", ":")) + "\n"


def main() -> None:
    """Write the file named on the command line, or the shipped one."""
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else SHIPPED
    target.write_text(serialised(train()), encoding="utf-8")


if __name__ == "__main__":
    main()
