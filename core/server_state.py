"""What the server that embeds says of itself while the run stands still: asked once a silence, in a thread of its own.

Only cvdebug's own run has such a server, and it is one that the run asks anyway. It is not asked again and again: the
answers would be movement, and a server that moves may be at work.
"""

from __future__ import annotations

import threading


class ServerState:
    """Of the Ollama server at `url`; "" for a run without one. Nobody ever waits for it."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._lines: tuple[str, ...] = ()
        self._silence_s = 0.0

    @property
    def lines(self) -> tuple[str, ...]:
        """What it answered in this silence, as evidence."""
        return self._lines

    def ask(self, since_s: float) -> None:
        """Asks, unless it was asked in the silence that began then (seconds, of any clock)."""
        if not self._url or since_s == self._silence_s:
            return
        self._silence_s = since_s
        self._lines = (f"{self._url}: has been asked for /api/version and /api/ps, and has not answered yet",)
        threading.Thread(target=self._ask, args=(since_s,), daemon=True, name="server state").start()

    def _ask(self, since_s: float) -> None:
        from .embedding.ollama.client import Client  # imported here: httpx is heavy

        with Client(self._url) as client:
            state = client.state()
        if self._silence_s == since_s:
            self._lines = (f"{self._url}: {state}; it does not answer /api/embed (curl asks the same)",)
