"""What the pipeline asks of an embedder. Nothing here knows how one works."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Embedder(Protocol):
    """Turns texts into vectors. It goes to workers by fork, by pickle or as it is, to threads."""

    @property
    def name(self) -> str:
        """What `--embedder` calls it."""

    @property
    def dimensions(self) -> int:
        """Length of each vector."""

    def fingerprint(self) -> str:
        """Identifies the embedder and all its settings: vectors may be mixed only if it is the same."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of shape (len(texts), dimensions), one a text, in their order."""
