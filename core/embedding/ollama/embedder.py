"""The embedder that asks an Ollama server, which tokenizes and computes on its own side.

One request at a time, as the server works at one at a time. What may pass by itself is asked again, with growing
pauses. A list that the server refuses again and again is halved until the one text is found that is to blame; a text
that is too long for the model is embedded in parts, never cut off.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from ...errors import EmbedderError
from ...served import ServedModel
from ..protocol import Answered, Counted, Say, Traffic
from . import identity, reply
from .again import ATTEMPTS, insist
from .client import LOAD_S, Client, Deadline, for_texts
from .trouble import Kind, Trouble

DIMENSIONS = 1024
VERSION = 1
"""Part of the fingerprint: to be raised with any change that makes other vectors of the same model."""
KEEP_ALIVE = "10m"
"""How long the model stays loaded after a request: longer than any pause of a run."""
KNOWN_GOOD = "resume"
ACCENTED = "résumé"
QUERY_PREFIX = "Represent this sentence for searching relevant passages: "
"""What the model card of BAAI's English bge models has queries begin with."""


class Ollama:
    """Asks the server at `url` (`address.parse`) for vectors of `served`. `timeout_s`: for each request, None by size.

    A connection is opened at the first question, in the process and thread that asks.
    """

    name = "ollama"
    dimensions = DIMENSIONS

    def __init__(
        self,
        url: str,
        served: ServedModel,
        *,
        timeout_s: float | None = None,
        say: Say = lambda text: None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.url = url
        self.served = served
        self._timeout_s = timeout_s
        self._say = say
        self._pause = pause
        self._client: Client | None = None
        self._traffic = Traffic()

    def opened(self, say: Say) -> Ollama:
        """One with a connection of its own."""
        return Ollama(self.url, self.served, timeout_s=self._timeout_s, say=say, pause=self._pause)

    def close(self) -> None:
        """Gives the connection back; the next question opens another."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def fingerprint(self) -> str:
        """SHA-256 in hex over the model's digest: neither the server's address nor its version is part of it."""
        return sha256(f"ollama {VERSION} {DIMENSIONS} {self.served.digest}\n".encode()).hexdigest()

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """L2-normalised vectors of shape (len(texts), 1024). Raises EmbedderError."""
        return self.ask(texts).vectors

    def embed_query(self, text: str) -> NDArray[np.float32]:
        """The vector of shape (1024,) of a query, which English bge models want to begin with an instruction."""
        name = self.served.model.lower()
        vector: NDArray[np.float32] = self.embed([QUERY_PREFIX + text if "bge" in name and "-en" in name else text])[0]
        return vector

    def ask(self, texts: Sequence[str]) -> Answered:
        """Vectors of shape (len(texts), 1024), and what the server counted.

        Raises EmbedderError, with the place of the text that is to blame where one is.
        """
        for place, text in enumerate(texts):
            if not text.strip():
                raise EmbedderError("it holds nothing that can be seen, and blank text is never sent", text=place)
        self._traffic = Traffic()
        asked = _Asked(np.empty((len(texts), DIMENSIONS), dtype=np.float32), [])
        self._fill(asked, texts, range(len(texts)), ATTEMPTS)
        return Answered(asked.vectors, tuple(asked.counted), self._traffic)

    def greet(self) -> float:
        """Loads the model and looks whether it makes vectors that fit; how alike `resume` and `résumé` are (cosine).

        Raises EmbedderError.
        """
        try:
            deadline = Deadline.of(max(self._timeout_s or 0, LOAD_S))
            first, second = self._insist([KNOWN_GOOD, ACCENTED], ATTEMPTS, deadline).vectors
        except Trouble as trouble:
            raise self._error(trouble) from None
        return float(first @ second / np.sqrt((first @ first) * (second @ second)))

    # halving

    def _fill(self, asked: _Asked, texts: Sequence[str], places: Sequence[int], attempts: int) -> None:
        """The vectors of some of the texts, halved as often as it takes."""
        try:
            answer = self._insist([texts[place] for place in places], attempts)
        except Trouble as trouble:
            self._divide(asked, texts, places, trouble)
            return
        asked.vectors[list(places)] = answer.vectors
        asked.counted.append(Counted(tuple(places), answer.tokens))

    def _divide(self, asked: _Asked, texts: Sequence[str], places: Sequence[int], trouble: Trouble) -> None:
        if trouble.kind is Kind.BAD and trouble.row is not None:
            raise self._error(trouble, text=places[trouble.row])
        if trouble.kind not in (Kind.LONG, Kind.INPUT, Kind.REFUSED):
            raise self._error(trouble)
        if trouble.kind is Kind.REFUSED and not self._takes_another():
            raise self._error(trouble)
        if len(places) == 1:
            if trouble.kind is not Kind.LONG:
                raise self._error(trouble, text=places[0])
            asked.vectors[places[0]], tokens = self._in_parts(texts[places[0]], places[0])
            asked.counted.append(Counted((places[0],), tokens))
            self._traffic = self._traffic._replace(parted=self._traffic.parted + 1)
            return
        middle = len(places) // 2
        for half in (places[:middle], places[middle:]):
            self._fill(asked, texts, half, attempts=2)

    def _takes_another(self) -> bool:
        """Whether the server embeds a text that nothing is wrong with: then one of those it refuses is to blame."""
        try:
            self._insist([KNOWN_GOOD], attempts=2)
        except Trouble:
            return False
        return True

    def _in_parts(self, text: str, place: int) -> tuple[NDArray[np.float32], int | None]:
        """The mean of the vectors of a text's parts by their length, L2-normalised, and the tokens of all parts."""
        total, tokens = np.zeros(DIMENSIONS, dtype=np.float64), 0
        waiting, known = list(reversed(_halves(text))), True
        while waiting:
            part = waiting.pop()
            try:
                answer = self._insist([part], attempts=ATTEMPTS)
            except Trouble as trouble:
                if trouble.kind is not Kind.LONG or len(part.strip()) < 2:
                    raise self._error(trouble, text=place) from None
                waiting.extend(reversed(_halves(part)))
                continue
            total += answer.vectors[0].astype(np.float64) * len(part)
            known, tokens = known and answer.tokens is not None, tokens + (answer.tokens or 0)
        norm = np.sqrt(total @ total)
        if not norm:
            raise EmbedderError("the vectors of its parts add up to nothing", text=place)
        return (total / norm).astype(np.float32), tokens if known else None

    # asking

    def _insist(self, texts: Sequence[str], attempts: int, deadline: Deadline | None = None) -> reply.Answer:
        """Asks up to so many times. Raises Trouble."""

        def before(trouble: Trouble, pause_s: float) -> None:
            self._traffic = self._traffic._replace(again=self._traffic.again + 1)
            self._say(f"Ollama at {self.url} {self._told(trouble)}: asked again in {pause_s:g} s")

        due = deadline or for_texts(len(texts), self._timeout_s)
        return insist(lambda: self._once(texts, due), attempts=attempts, before=before, pause=self._pause)

    def _once(self, texts: Sequence[str], deadline: Deadline) -> reply.Answer:
        if self._client is None:
            self._client = Client(self.url)
        body = {"model": self.served.model, "input": list(texts), "truncate": False, "keep_alive": KEEP_ALIVE}
        began = time.monotonic()
        try:
            data = self._client.post(reply.PATH, body, deadline=deadline)
        finally:
            spent_s = time.monotonic() - began
            self._traffic = self._traffic.plus(Traffic(requests=1, busy_s=spent_s))
        answer = reply.read(data, texts=len(texts), dimensions=DIMENSIONS)
        self._traffic = self._traffic.plus(Traffic(norm_min=answer.norms[0], norm_max=answer.norms[1]))
        return answer

    # words

    def _told(self, trouble: Trouble) -> str:
        """What happened; of a server that fell silent also what of it still answers."""
        if trouble.kind is not Kind.SILENT:
            return trouble.what
        with Client(self.url) as other:
            return f"{trouble.what} ({other.state()})"

    def _error(self, trouble: Trouble, *, text: int | None = None) -> EmbedderError:
        if text is not None:
            return EmbedderError(f"Ollama {trouble.what}", text=text)
        if trouble.kind is Kind.MODEL:
            with Client(self.url) as other:
                return identity.missing(other, self.served.model)
        if trouble.kind is Kind.UNFIT:
            return EmbedderError(f"the model {self.served.model} {trouble.what}", hint=_HINTS[trouble.kind])
        return EmbedderError(f"Ollama at {self.url} {self._told(trouble)}", hint=_HINTS.get(trouble.kind, ""))


_HINTS = {
    Kind.UNFIT: "Name a model of 1,024 dimensions with --model, such as qllama/bge-large-en-v1.5.",
    Kind.CONNECT: "Look whether it runs (ollama ps); cvdebug resume goes on with what was embedded.",
    Kind.LOST: "Look into the server's log; cvdebug resume goes on with what was embedded.",
    Kind.SILENT: "Where the server answers and the model does not, its runner hangs: restart Ollama, then cvdebug "
    "resume. A machine that is only slow needs --embed-timeout.",
    Kind.BUSY: "Others keep its queue full: try again later with cvdebug resume.",
    Kind.REFUSED: "It refuses every text, so look into its log; cvdebug resume goes on with what was embedded.",
    Kind.FOREIGN: "Look at --ollama-url or OLLAMA_HOST, at proxies between, and at the version: Ollama before "
    "0.3.4 may not have /api/embed.",
    Kind.BAD: "Look into the server's log; cvdebug resume goes on with what was embedded.",
}


class _Asked:
    """What has been answered so far."""

    def __init__(self, vectors: NDArray[np.float32], counted: list[Counted]) -> None:
        self.vectors = vectors
        self.counted = counted


def _halves(text: str) -> list[str]:
    """Two parts of about the same length, parted at white space where there is some near; blank ones left out."""
    middle = len(text) // 2
    space = next((at for at in range(middle, len(text)) if text[at].isspace()), middle)
    at = space if 0 < space < len(text) - 1 and space - middle < len(text) // 4 else middle
    return [part for part in (text[:at], text[at:]) if part.strip()]
