"""Search in a loaded table, with the embedder that made its vectors: the table remembers which one did."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .database import table as tables
from .database.connection import connect
from .database.embedded import EmbeddedServer
from .database.search import Hit, nearest
from .embedding.lexical import Lexical, fit_idf
from .embedding.protocol import Embedder, Remote
from .errors import DatabaseError, InputError
from .pipeline import tokenizer as tokenizers
from .pipeline.convert import convert


class Means(NamedTuple):
    """What a search makes its vector with. `tokenizer` is a setting; `ollama_url` the base URL of an Ollama server, for
    tables that one embedded."""

    tokenizer: str | None
    ollama_url: str


def find(text: str, *, dsn: str | None, table: str, means: Means, limit: int) -> list[Hit]:
    """The `limit` chunks nearest to `text`; `dsn` None means the embedded server.

    Raises DatabaseError when there is no such table, and InputError when it was loaded with another tokenizer or
    embedder: its vectors would mean something else. EmbedderError: the server that embedded it cannot be used.
    """
    name = tables.TableName.parse(table)
    if dsn is not None:
        return _find(dsn, name, text, means, limit)
    with EmbeddedServer.acquire() as server:
        return _find(server.dsn, name, text, means, limit)


def _find(dsn: str, name: tables.TableName, text: str, means: Means, limit: int) -> list[Hit]:
    with connect(dsn, run="search", role="search") as connection:
        marker = tables.describe(connection, name)
        if marker is None or not marker.embedder:
            raise DatabaseError(f"there is no table {name} that cvdebug loaded", hint="Load it first: cvdebug run")
        embedder = _embedder(marker, means)
        if marker.embedder != embedder.fingerprint():
            raise InputError(
                f"{name} was loaded with another tokenizer or embedder, and its vectors mean something else",
                hint=_hint(marker),
            )
        vector = convert(embedder.embed_query(text)[np.newaxis])[0]
        if isinstance(embedder, Remote):
            embedder.close()
        metric = {"cosine": "cosine", "ip": "ip", "l2": "l2"}[marker.metric]
        return nearest(connection, name, vector, limit=limit, metric=metric, storage=marker.storage)  # type: ignore[arg-type]


def _embedder(marker: tables.Marker, means: Means) -> Embedder:
    if marker.served is None:
        own = tokenizers.load(tokenizers.locate(means.tokenizer))
        return Lexical(own, fit_idf(own))
    from .embedding.ollama import identity  # imported here: httpx is heavy
    from .embedding.ollama.client import Client
    from .embedding.ollama.embedder import Ollama

    with Client(means.ollama_url) as client:
        served = identity.find(client, marker.served.model)
        if served is None:
            raise identity.missing(client, marker.served.model)
    return Ollama(means.ollama_url, served)


def _hint(marker: tables.Marker) -> str:
    if marker.served is not None:
        return f"It was embedded with {marker.served.words}: give the server that model again."
    return "Name the tokenizer of that run with --tokenizer FILE."
