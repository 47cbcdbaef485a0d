"""What the server that speaks Ollama's API is told to be and to break, and what it tells of itself. In JSON too."""

from __future__ import annotations

from hashlib import sha256
from typing import Literal

import msgspec

Kind = Literal[
    "stall", "stall-midway", "reset", "reset-midway", "trickle", "busy", "crashed", "failed", "input", "nan",
    "too-long", "missing", "no-embeddings", "zeros", "null", "dimensions", "rows", "html", "bad-gateway", "big-error",
    "redirect", "not-json", "pull",
]  # fmt: skip


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What goes wrong with every `every`-th request to `path`, once `after` of them went well, at most `times` times.

    With `text` only requests that hold it count.
    """

    kind: Kind
    every: int = 1
    after: int = 0
    times: int | None = None
    text: str = ""
    path: str = "/api/embed"


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the server is: `has_model` is False until the model is pulled, `shown_context` is what it says of
    `context_tokens`, `tokens_each` how many it makes of each of our tokens, `counts` whether it counts them, `accents`
    whether it reads accented letters as plain ones, as it should."""

    port: int = 0
    version: str = "0.31.2"
    model: str = "qllama/bge-large-en-v1.5:latest"
    quantisation: str = "Q8_0"
    has_model: bool = True
    context_tokens: int = 512
    shown_context: int = 512
    tokens_each: int = 1
    embedding_length: int = 1024
    capabilities: tuple[str, ...] = ("embedding",)
    counts: bool = True
    accents: bool = True
    faults: tuple[Fault, ...] = ()

    @property
    def digest(self) -> str:
        return sha256(f"{self.model} {self.quantisation}".encode()).hexdigest()


class Happened(msgspec.Struct):
    """What the server saw: embed requests, texts in them, blank ones among these, those under way at once at most, and
    how often each fault struck."""

    requests: int = 0
    texts: int = 0
    blank: int = 0
    untruncated: int = 0
    most_at_once: int = 0
    struck: dict[str, int] = {}
