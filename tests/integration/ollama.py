"""The server of ours that speaks Ollama's API, for tests: in a thread of theirs, or a program of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cvdebug.scenarios.ollama_orders import Config, Fault
from cvdebug.scenarios.ollama_server import OllamaServer


@contextmanager
def serving(*faults: Fault, **config: Any) -> Iterator[OllamaServer]:
    """One that answers from the moment it is given until the block ends."""
    server = OllamaServer(Config(faults=faults, **config))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
        assert not thread.is_alive()


def flags(server: OllamaServer | str) -> tuple[str, ...]:
    """What makes a run embed with it."""
    url = server if isinstance(server, str) else server.url
    return ("--embedder", "ollama", "--ollama-url", url)
