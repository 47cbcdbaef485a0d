"""Has the server download a model, and says how far it is."""

from __future__ import annotations

from collections.abc import Callable

from ...errors import EmbedderError
from .client import Client, Deadline
from .trouble import Trouble, excerpt

LINE_S = 300.0
"""Between two lines of the server: it checks the whole model at the end, which takes its time on a slow disk."""

Progress = Callable[[int, int, str], None]
"""Bytes that are there, bytes in all (0: not known yet), and what the server does, in its own words."""


def pull(client: Client, model: str, progress: Progress) -> None:
    """Returns when the model is there. Raises EmbedderError when the server cannot get it."""
    hint = f"Try it by hand: ollama pull {model}. What has been downloaded is kept."
    sizes: dict[str, tuple[int, int]] = {}
    last = ""
    try:
        for line in client.lines("/api/pull", {"model": model, "stream": True}, deadline=Deadline.of(LINE_S)):
            if "error" in line:
                raise EmbedderError(f"Ollama cannot pull {model}: {excerpt(str(line['error']))}", hint=hint)
            last = excerpt(str(line.get("status", "")))
            total, completed = line.get("total"), line.get("completed", 0)
            if isinstance(total, int) and isinstance(completed, int):
                sizes[str(line.get("digest", ""))] = (completed, total)
            progress(sum(done for done, _ in sizes.values()), sum(size for _, size in sizes.values()), last)
    except Trouble as trouble:
        raise EmbedderError(f"Ollama at {client.url} {trouble.what} while it pulled {model}", hint=hint) from None
    if last != "success":
        raise EmbedderError(f"Ollama at {client.url} stopped pulling {model} at {last!r}", hint=hint)
