"""Cuts texts into overlapping windows of tokens, by character offsets of the text as it stands.

Works in the subject, with `encode_batch`, and keeps no more of a long text encoded than a segment of it. Never
drops a character, never lets a window grow over the limit when it is encoded again, and never cuts inside a word
that fits into a window.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import NamedTuple

from tokenizers import Encoding, Tokenizer
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

LIMIT = 510
"""Content tokens of a window: BERT's 512 positions less [CLS] and [SEP] (Devlin et al. 2019)."""
OVERLAP = 64
"""Content tokens that a window shares with the one before, at most; a word is never split for it."""
SEGMENT = 1 << 16
"""Characters of one text that are encoded at a time."""
BATCH = 1 << 19
"""Characters that one call of encode_batch gets: some 10 MB of encodings."""


_Run = Generator[str, Encoding, None]
"""Yields the segments of one text and is sent their encodings."""


class Window(NamedTuple):
    """A half-open range of characters, and how many tokens it holds without special tokens."""

    start_char: int
    end_char: int
    tokens: int


def cut(
    texts: Sequence[str], tokenizer: Tokenizer, *, limit: int = LIMIT, overlap: int = OVERLAP
) -> list[list[Window]]:
    """Cut each text into windows of at most `limit` tokens, `overlap` or a little less of them shared.

    Every character of a text that has tokens lies in a window, and both ends of the windows ascend strictly. A
    text without tokens gets no window. A text is encoded SEGMENT characters at a time; where a segment holds
    fewer tokens than a window may (a desert of spaces, one endless word) the window ends with it, without overlap.
    """
    results: list[list[Window]] = [[] for _ in texts]
    cutters = [
        _Cutter(text, tokenizer, limit=limit, overlap=overlap).run(windows)
        for text, windows in zip(texts, results, strict=True)
    ]
    waiting = [(cutter, segment) for cutter in cutters if (segment := next(cutter, None)) is not None]
    while waiting:
        ongoing = []
        for group in _groups(waiting):
            encodings = tokenizer.encode_batch([segment for _, segment in group], add_special_tokens=False)
            for (cutter, _), encoding in zip(group, encodings, strict=True):
                try:
                    ongoing.append((cutter, cutter.send(encoding)))
                except StopIteration:
                    continue
        waiting = ongoing
    return results


def _groups(waiting: Sequence[tuple[_Run, str]]) -> Iterator[list[tuple[_Run, str]]]:
    """Split what waits into batches of about BATCH characters."""
    group: list[tuple[_Run, str]] = []
    size = 0
    for item in waiting:
        if group and size + len(item[1]) > BATCH:
            yield group
            group, size = [], 0
        group.append(item)
        size += len(item[1])
    yield group


class _Segment:
    """One encoded segment of a text: where its tokens begin, and between which of them a window may end."""

    def __init__(self, encoding: Encoding, base: int, end: int) -> None:
        self._words: list[int | None] = encoding.word_ids
        self._offsets: list[tuple[int, int]] = encoding.offsets
        self._base = base
        self.end = end
        self.tokens = len(self._offsets)

    def char(self, token: int) -> int:
        """The character of the text at which a token begins; the segment's end for the token after the last."""
        return self._base + self._offsets[token][0] if token < self.tokens else self.end

    def starts_word(self, token: int) -> bool:
        """Whether a window may begin or end before this token without splitting a word."""
        if not 0 < token < self.tokens:
            return True
        return self.starts_character(token) and self._words[token] != self._words[token - 1]

    def starts_character(self, token: int) -> bool:
        """Whether no character belongs both to this token and to the one before."""
        if not 0 < token < self.tokens:
            return True
        (begin, end), (next_begin, _) = self._offsets[token - 1], self._offsets[token]
        return begin < next_begin >= end

    def cut_before(self, first: int, end: int) -> int:
        """The last token in first+1..end before which to cut: at a word, else at a character, else the next such."""
        for may_cut in (self.starts_word, self.starts_character):
            for token in range(end, first, -1):
                if may_cut(token):
                    return token
        return next(token for token in range(end + 1, self.tokens + 1) if self.starts_character(token))

    def complete(self, text: str) -> int:
        """How many tokens more text cannot change: not those of the last word, unless it fills the segment."""
        if self.end == len(text) or text[self.end - 1] in " \t\r\n":
            return self.tokens
        last = self.tokens - 1
        while last > 0 and not self.starts_word(last):
            last -= 1
        return self.tokens if last <= 0 and self.char(0) == self._base else last


class _Cutter:
    """Cuts one text. `run` yields segments of it and is sent their encodings."""

    def __init__(self, text: str, tokenizer: Tokenizer, *, limit: int, overlap: int) -> None:
        if not 0 <= overlap < limit:
            raise ValueError(f"an overlap of {overlap} tokens does not fit into windows of {limit}")
        self._text, self._tokenizer = text, tokenizer
        self._limit, self._overlap = limit, overlap
        self._local = is_local(tokenizer)
        self._windows: list[Window] = []
        self._start = 0  # the character at which the next window begins

    def run(self, windows: list[Window]) -> _Run:
        """Append the text's windows to `windows`; the last takes the rest of the text, which holds no token."""
        self._windows = windows
        position = 0
        while position < len(self._text):
            end = min(position + SEGMENT, len(self._text))
            encoding = yield self._text[position:end]
            position = self._take(_Segment(encoding, position, end))
        if windows:
            windows[-1] = windows[-1]._replace(end_char=len(self._text))

    def _take(self, segment: _Segment) -> int:
        """Cut the windows that end in this segment; return the character at which the next segment begins."""
        final = segment.end == len(self._text)
        complete = segment.complete(self._text)
        first = 0
        while first < complete:
            end = complete
            if first + self._limit < complete:
                end = segment.cut_before(first, first + self._limit)
            if end >= complete and not final:
                break
            end, tokens = self._fitting(segment, first, end)
            if segment.char(end) > self._covered():
                self._windows.append(Window(self._start, segment.char(end), tokens))
                if end >= complete:
                    break
                first = self._overlapping(segment, first, end)
            else:  # the overlap leaves no room for the next word: go on without it
                first = next(t for t in range(first + 1, complete + 1) if segment.char(t) >= self._covered())
            self._start = segment.char(first)
        return segment.end if final else self._next_segment(segment, first, complete)

    def _next_segment(self, segment: _Segment, first: int, complete: int) -> int:
        """Begin anew with the window that is not full; without any full one, end a window here to get on."""
        if first == 0 and complete > 0:
            end, tokens = self._fitting(segment, 0, complete)
            self._windows.append(Window(self._start, segment.char(end), tokens))
            self._start = segment.char(end)
            return self._start
        return segment.char(first)

    def _covered(self) -> int:
        return self._windows[-1].end_char if self._windows else 0

    def _overlapping(self, segment: _Segment, first: int, end: int) -> int:
        """The first token of the next window: at most `overlap` tokens before this one's end, at a word."""
        token = max(end - self._overlap, first + 1)
        while token < end and not segment.starts_word(token):
            token += 1
        return token

    def _fitting(self, segment: _Segment, first: int, end: int) -> tuple[int, int]:
        """Where the window can end so that it still fits when encoded by itself, and its tokens then.

        Cut at words, BERT's rules make the same tokens again. A part of a word, or another tokenizer's text,
        may make more of them, so it is encoded to see. A single token whose text makes more than the limit (under
        a tiny limit only) stays whole.
        """
        if self._local and segment.starts_word(first) and segment.starts_word(end):
            return end, end - first
        while (tokens := self._count(segment.char(end))) > self._limit:
            shorter = segment.cut_before(first, max(first + 1, end - (tokens - self._limit)))
            if shorter >= end:
                break
            end = shorter
        return end, tokens

    def _count(self, end_char: int) -> int:
        return len(self._tokenizer.encode(self._text[self._start : end_char], add_special_tokens=False))


def is_local(tokenizer: Tokenizer) -> bool:
    """Whether each word's tokens depend on that word alone: BERT's rules treat one character after the other."""
    return (
        isinstance(tokenizer.pre_tokenizer, BertPreTokenizer)
        and isinstance(tokenizer.normalizer, BertNormalizer | None)
        and not any(token.single_word for token in tokenizer.get_added_tokens_decoder().values())
    )
