"""Search in a loaded table, with the embedder that made its vectors."""

from __future__ import annotations

from pathlib import Path

from .database import table as tables
from .database.connection import connect
from .database.embedded import EmbeddedServer
from .database.search import Hit, nearest
from .embedding.lexical import Lexical, fit_idf
from .errors import DatabaseError, InputError
from .pipeline import tokenizer as tokenizers
from .pipeline.convert import convert


def find(text: str, *, dsn: str | None, table: str, tokenizer: Path | None, limit: int) -> list[Hit]:
    """The `limit` chunks nearest to `text`; `dsn` None means the embedded server.

    Raises DatabaseError when there is no such table, and InputError when it was loaded with another tokenizer or
    embedder: its vectors would mean something else.
    """
    name = tables.TableName.parse(table)
    if dsn is not None:
        return _find(dsn, name, text, tokenizer, limit)
    with EmbeddedServer.acquire() as server:
        return _find(server.dsn, name, text, tokenizer, limit)


def _find(dsn: str, name: tables.TableName, text: str, tokenizer: Path | None, limit: int) -> list[Hit]:
    with connect(dsn, run="search", role="search") as connection:
        marker = tables.describe(connection, name)
        if marker is None or not marker.embedder:
            raise DatabaseError(f"there is no table {name} that cvdebug loaded", hint="Load it first: cvdebug run")
        own = tokenizers.load(tokenizer)
        embedder = Lexical(own, fit_idf(own))
        if marker.embedder != embedder.fingerprint():
            raise InputError(
                f"{name} was loaded with another tokenizer or embedder, and its vectors mean something else",
                hint="Name the tokenizer of that run with --tokenizer FILE.",
            )
        vector = convert(embedder.embed([text]))[0]
        metric = {"cosine": "cosine", "ip": "ip", "l2": "l2"}[marker.metric]
        return nearest(connection, name, vector, limit=limit, metric=metric)  # type: ignore[arg-type]
