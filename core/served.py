"""Which model a server embeds with, as spool and table remember it. Nothing heavy: a front end reads it too."""

from __future__ import annotations

import msgspec


class ServedModel(msgspec.Struct, frozen=True, kw_only=True):
    """`digest` is the server's SHA-256 of the model, in hex: weights, quantisation and parameters, so that vectors of
    two digests must not be mixed. `version` is the server's own."""

    server: str
    version: str
    model: str
    digest: str
    quantisation: str = ""
    dimensions: int = 0  # 0: the server does not say
    context_tokens: int = 0  # the longest input, special tokens included; 0: the server does not say

    @property
    def words(self) -> str:
        """All of it on one line."""
        kind = f", {self.quantisation}" if self.quantisation else ""
        return f"{self.model} (digest {self.digest[:12] or 'not told'}{kind}), {self.server} {self.version}"
