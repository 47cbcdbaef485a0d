"""`search` and `db`: what a load was for, and the embedded server by hand."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import msgspec
from rich.console import Console
from rich.text import Text

from ...core.config import in_force
from ...core.errors import DatabaseError, UsageError
from ..run_opening import with_absolute_paths
from ..text import clean, shortened

PASSAGE = 600  # characters of a hit that are shown
RUN = "cli"  # how these commands call themselves on the server


def search(text: str, limit: int, flags: Mapping[str, Any], *, json: bool) -> None:
    """Prints the chunks nearest to `text`."""
    if not text.strip():
        raise UsageError("there is nothing to search for", hint='Try cvdebug search "python developer".')
    # The table says which embedder made it; with ollama the settings have the address of a server in any case.
    settings = in_force(flags={**with_absolute_paths(flags), "embedder": "ollama"}).settings
    from ...core.search import Means, find  # imported here: the tokenizer and psycopg are heavy

    means = Means(settings.tokenizer, settings.ollama_url or "")
    hits = find(text, dsn=settings.dsn, table=settings.table, means=means, limit=limit)
    if json:
        sys.stdout.write(msgspec.json.encode(hits).decode() + "\n")
        return
    console = Console(highlight=False)
    for number, hit in enumerate(hits, 1):
        head = f"{number}. {clean(hit.source)}, window {hit.ordinal + 1}"
        console.print(Text.assemble((head, "bold"), f"  score {hit.score:.3f}"))
        passage = shortened(clean(hit.text.replace("\n", " ")), PASSAGE)
        console.print(Text("   " + passage, style="dim"))
    if not hits:
        console.print("The table is empty: cvdebug run fills it.")


def url() -> None:
    """Prints the embedded server's URL and keeps the server up."""
    from ...core.database.embedded import EmbeddedServer

    with EmbeddedServer.acquire() as server:
        server.pin()
        sys.stdout.write(server.dsn + "\n")
    sys.stderr.write("The server stays up until: cvdebug db stop\n")


def psql(arguments: list[str]) -> int:
    """Runs psql on the embedded server, which stops with it unless it was pinned; psql's exit code."""
    from ...core.database.embedded import EmbeddedServer

    with EmbeddedServer.acquire() as server:
        return subprocess.run([str(server.psql_path), server.dsn, *arguments], check=False).returncode


def stop() -> None:
    """Stops the embedded server."""
    from ...core.database import embedded

    if not embedded.stop():
        raise DatabaseError("the embedded server is in use by another cvdebug", hint="It stops with the last of them")
    sys.stderr.write("The embedded server is not running any more.\n")
