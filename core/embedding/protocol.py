"""What the pipeline asks of an embedder. Nothing here knows how one works."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Say = Callable[[str], None]
"""Takes a sentence that the person should read while the work goes on."""


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

    def embed_query(self, text: str) -> NDArray[np.float32]:
        """The vector of shape (dimensions,) to search with, which a model may make in another way."""


class Counted(NamedTuple):
    """Places of texts, and how many tokens the server counted in all of these; None when it did not."""

    places: tuple[int, ...]
    tokens: int | None


class Traffic(NamedTuple):
    """What asking cost: requests, those of them that were asked again, the seconds that they were under way, texts
    that had to be embedded in parts, and the smallest and largest norm of the vectors."""

    requests: int = 0
    again: int = 0
    busy_s: float = 0.0
    parted: int = 0
    norm_min: float = inf
    norm_max: float = 0.0

    def plus(self, other: Traffic) -> Traffic:
        """Both together."""
        return Traffic(
            self.requests + other.requests,
            self.again + other.again,
            self.busy_s + other.busy_s,
            self.parted + other.parted,
            min(self.norm_min, other.norm_min),
            max(self.norm_max, other.norm_max),
        )


class Answered(NamedTuple):
    """Vectors of shape (texts, dimensions), with what the server counted and what it cost."""

    vectors: NDArray[np.float32]
    counted: tuple[Counted, ...]
    traffic: Traffic


@runtime_checkable
class Remote(Embedder, Protocol):
    """An embedder whose work is done by a server. Each worker opens one of its own, after the fork."""

    def opened(self, say: Say) -> Remote:
        """One that shares no connection with this one, and says by `say` what goes wrong on the way."""

    def ask(self, texts: Sequence[str]) -> Answered:
        """As `embed`, with the server's counts. Raises EmbedderError."""

    def close(self) -> None:
        """Gives its connection back; the next question opens another."""
