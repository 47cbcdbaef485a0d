"""What a run does with a server that embeds: meets it before any work, and says afterwards what it counted and cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..embedding.protocol import Traffic
from ..events import Log, PhaseProgress, PhaseStarted
from ..model import Phase
from ..served import ServedModel
from ..settings import Settings
from .content import DIMENSIONS, Content
from .emitter import Emitter

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from ..embedding.ollama.client import Client

ALIKE = 0.98
"""Cosine from which on two vectors are of the same tokens."""
SPECIAL_TOKENS = (0, 1, 2)
"""A text has so many besides its own: BERT's models have two, and some versions do not count them."""
NORM_ERROR = 1e-2
_MB = 1_000_000


class Met(NamedTuple):
    """A server's model, and how alike its vectors of `resume` and `résumé` are (cosine); None: not asked now."""

    served: ServedModel
    alike: float | None


def meet(spool: Content, settings: Settings, emitter: Emitter) -> Met | None:
    """Looks whether the server is there, has the model, and makes vectors that fit; None where no server embeds.

    A run whose vectors are all there does not need the server, and does not ask it.
    Raises EmbedderError.
    """
    if settings.embedder != "ollama":
        return None
    before = spool.manifest.served
    if before is not None and spool.progress()[0] == spool.manifest.chunks:
        return Met(before, None)
    from ..embedding.ollama import identity  # imported here: httpx is heavy, and most runs ask no server
    from ..embedding.ollama.client import Client
    from ..embedding.ollama.embedder import Ollama

    assert settings.ollama_url is not None
    asked = f"asking Ollama at {settings.ollama_url} for {settings.model}"
    emitter.emit(PhaseStarted(phase=Phase.LOAD, detail=asked))
    with Client(settings.ollama_url) as client:
        served = identity.find(client, settings.model) or _pulled(client, settings, emitter)
    identity.require_dimensions(served, DIMENSIONS)
    loads = f"Ollama loads {served.model}, which may take minutes"
    emitter.emit(PhaseStarted(phase=Phase.LOAD, detail=loads))
    embedder = Ollama(
        settings.ollama_url,
        served,
        timeout_s=settings.embed_timeout_s,
        say=lambda text: emitter.emit(Log(text=text, level="warning")),
    )
    try:
        alike = embedder.greet()
    finally:
        embedder.close()
    emitter.emit(Log(text=f"embedding with {served.words}, at {settings.ollama_url}"))
    if before is not None and before.version != served.version:
        text = f"the run began with {served.server} {before.version}, and goes on with {served.version}: same model"
        emitter.emit(Log(text=text, level="warning"))
    return Met(served, alike)


def _pulled(client: Client, settings: Settings, emitter: Emitter) -> ServedModel:
    """The model that the server had not got, once it has."""
    from ..embedding.ollama import identity, pull

    if not settings.pull:
        raise identity.missing(client, settings.model)
    begun = False

    def progress(done: int, total: int, what: str) -> None:
        nonlocal begun
        if not begun:
            detail = f"Ollama downloads {settings.model}"
            emitter.emit(PhaseStarted(phase=Phase.LOAD, total=total // _MB, unit="MB", detail=detail))
            begun = True
        text = f"Ollama downloads {settings.model}: {what}"
        emitter.emit(PhaseProgress(phase=Phase.LOAD, done=done // _MB, total=total // _MB, detail=text))

    pull.pull(client, settings.model, progress)
    served = identity.find(client, settings.model)
    if served is None:
        raise identity.missing(client, settings.model)
    emitter.emit(Log(text=f"Ollama has downloaded {served.model}"))
    return served


def report_accents(met: Met, tokenizer: Tokenizer, emitter: Emitter) -> None:
    """Says whether the server reads accented words as our tokenizer does. Some versions (0.13.5 to 0.24) do not."""
    from ..embedding.ollama.embedder import ACCENTED, KNOWN_GOOD

    if met.alike is None:
        return
    plain, accented = (tokenizer.encode(text, add_special_tokens=False).ids for text in (KNOWN_GOOD, ACCENTED))
    folds = plain == accented
    found = f"accent probe: {KNOWN_GOOD} and {ACCENTED} are alike to {met.alike:.3f}"
    if folds and met.alike < ALIKE:
        emitter.emit(
            Log(
                text=f"{found}, and to our tokenizer they are the same: {met.served.server} {met.served.version} reads "
                "accented words in another way, as 0.13.5 to 0.24 wrongly do; a newer one may not",
                level="warning",
            )
        )
    else:
        emitter.emit(
            Log(text=f"{found}, as our tokenizer has it" if folds else f"{found}; our tokenizer keeps accents")
        )


def report_traffic(traffic: Traffic, elapsed_s: float, emitter: Emitter) -> None:
    """Says how many requests it took, how many were under way at a time, and what was out of the ordinary."""
    if not traffic.requests:
        return
    at_once = traffic.busy_s / elapsed_s if elapsed_s else 0.0
    each_ms = 1000 * traffic.busy_s / traffic.requests
    again = f", {traffic.again:,} of them asked again" if traffic.again else ""
    requests = "1 request" if traffic.requests == 1 else f"{traffic.requests:,} requests"
    text = f"Ollama: {requests}{again}, {each_ms:,.0f} ms each, {at_once:.1f} under way at a time"
    emitter.emit(Log(text=text))
    if traffic.parted:
        text = (
            f"{traffic.parted:,} chunks are longer than the model's context to the server, and were embedded in parts"
        )
        emitter.emit(Log(text=text, level="warning"))
    if traffic.norm_max and max(abs(1 - traffic.norm_min), abs(traffic.norm_max - 1)) > NORM_ERROR:
        norms = f"from {traffic.norm_min:.3g} to {traffic.norm_max:.3g}"
        text = f"the server's vectors have norms {norms}, and are normalised here"
        emitter.emit(Log(text=text, level="warning"))


def report_counts(spool: Content, emitter: Emitter) -> None:
    """Compares what the server counted with our own counts, request by request: what it cut off would be missing.

    `0 truncated` is said only when every chunk was checked.
    """
    first, tokens = spool.asked["first"].astype(np.int64), spool.asked["tokens"].astype(np.int64)
    chunks, known = len(first), first > 0
    groups = np.where(known, first - 1, 0)
    ours = np.bincount(groups[known], weights=spool.counts[known], minlength=chunks).astype(np.int64)
    sizes = np.bincount(groups[known], minlength=chunks)
    fits = np.zeros(chunks, dtype=bool)
    for special in SPECIAL_TOKENS:
        fits |= tokens == ours + special * sizes
    checked = int((known & fits[groups]).sum())
    theirs, own = int(tokens[known].sum()), int(spool.counts.sum(dtype=np.int64))
    counted = f"Ollama counted {theirs:,} tokens, with its special ones, and we {own:,} without"
    if not known.any():
        counted = f"Ollama counted no tokens, and we {own:,}"
    if checked == chunks:
        emitter.emit(Log(text=f"{counted}, in {chunks:,} chunks, all checked: 0 truncated"))
        return
    silent = chunks - int(known.sum())
    why = f"the server counted no tokens for {silent:,}" if silent else "the server tokenizes in another way than we do"
    text = f"{counted}. {checked:,} of {chunks:,} chunks are checked against truncation: {why}"
    emitter.emit(Log(text=text, level="warning"))
