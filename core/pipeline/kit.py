"""What a worker works with: tokenizer and embedder, inherited over a fork or built anew from the spool."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..embedding.lexical import Lexical
from ..embedding.protocol import Embedder
from ..served import ServedModel
from ..settings import Settings
from ..spool import Spool
from . import tokenizer as tokenizers

if TYPE_CHECKING:
    from tokenizers import Tokenizer

IDF_FILE = "idf.npy"
COUNT_BATCH = 64  # encode_batch keeps about 49 KB a text: small batches bound the memory


class Kit(NamedTuple):
    """A tokenizer and an embedder that uses it."""

    tokenizer: Tokenizer
    embedder: Embedder


def build(spool: Path, settings: Settings) -> Kit:
    """A kit of one's own, from the tokenizer file and the weights that the subject left in the spool."""
    tokenizer = tokenizers.load(tokenizers.locate(settings.tokenizer, spool))
    served = Spool.open(spool).manifest.served
    if served is not None:
        return Kit(tokenizer, ollama(settings, served))
    return Kit(tokenizer, Lexical(tokenizer, np.load(spool / IDF_FILE), batch=settings.tokenize_in_workers))


def ollama(settings: Settings, served: ServedModel) -> Embedder:
    """The embedder that asks the server of `settings` for that model."""
    from ..embedding.ollama.embedder import Ollama  # imported here: httpx is heavy, and most runs ask no server

    assert settings.ollama_url is not None
    return Ollama(settings.ollama_url, served, timeout_s=settings.embed_timeout_s)


def count_tokens(tokenizer: Tokenizer, texts: list[str]) -> list[int]:
    """Content tokens of each text, by `encode_batch`: the call that hangs in a forked child."""
    return [len(encoding.ids) for encoding in tokenizer.encode_batch(texts, add_special_tokens=False)]
