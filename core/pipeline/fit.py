"""How long windows may be so that the model of a server takes them, which may tokenize in another way than we do."""

from __future__ import annotations

import numpy as np

from ..embedding.protocol import Remote
from ..errors import EmbedderError
from ..events import Log
from ..served import ServedModel
from .content import Content
from .emitter import Emitter
from .kit import Kit
from .windows import LIMIT, OVERLAP

SAMPLES, SAMPLE_CHARS = 16, 300
"""So many beginnings of documents are counted on both sides; short enough for any model and script."""
SPECIAL_TOKENS = 2
MARGIN = 1.05
"""Some windows hold more of what the server splits finer than the samples do. What is still too long is parted."""
SHORTEST = 2 * OVERLAP


def window_limit(spool: Content, kit: Kit, served: ServedModel | None, emitter: Emitter) -> int:
    """Content tokens of a window, by our tokenizer: LIMIT, or fewer where the server's counts say so.

    Raises EmbedderError when the server cannot be asked.
    """
    if served is None or not isinstance(kit.embedder, Remote):
        return LIMIT
    room = min(LIMIT, (served.context_tokens or LIMIT + SPECIAL_TOKENS) - SPECIAL_TOKENS)
    ratio = _ratio(_samples(spool), kit, kit.embedder)
    limit = max(min(room, SHORTEST), room if ratio <= 1 else int(room / (ratio * MARGIN)))
    if limit < LIMIT:
        why = f"the model takes {room + SPECIAL_TOKENS} tokens"
        if ratio > 1:
            why += f", and makes {ratio:.2f} times as many of these texts as our tokenizer: --tokenizer names its own"
        emitter.emit(Log(text=f"windows of {limit} tokens: {why}"))
    return limit


def _samples(spool: Content) -> list[str]:
    total = spool.manifest.documents
    chosen = dict.fromkeys(int(index) for index in np.linspace(0, total - 1, min(total, SAMPLES)))
    texts = (spool.document(index).strip()[:SAMPLE_CHARS] for index in chosen)
    return [text for text in texts if text.strip()]


def _ratio(texts: list[str], kit: Kit, embedder: Remote) -> float:
    """How many tokens the server makes for each of ours; 1 where it does not say."""
    if not texts:
        return 1.0
    ours = sum(len(kit.tokenizer.encode(text, add_special_tokens=False).ids) for text in texts)
    try:
        counted = embedder.ask(texts).counted
    except EmbedderError as error:
        if error.text is None:
            raise
        return 1.0  # its chunk will be named, when it is its turn
    finally:
        embedder.close()
    theirs = [each.tokens for each in counted]
    if not ours or None in theirs:
        return 1.0
    total = sum(tokens or 0 for tokens in theirs)
    if total in (ours, ours + len(texts), ours + SPECIAL_TOKENS * len(texts)):
        return 1.0
    return max(0.0, total - SPECIAL_TOKENS * len(texts)) / ours
