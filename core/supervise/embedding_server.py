"""The scenario's own embedding server, in a program of its own."""

from __future__ import annotations

from typing import Any

from ..errors import EmbedderError
from .companion import Companion

_READY_S = 60.0


class EmbeddingServer(Companion):
    """One such server at `url`."""

    def __init__(self, *faults: dict[str, Any]) -> None:
        """Returns when it listens. `faults` as in `scenarios.ollama_orders.Fault`. Raises EmbedderError."""
        super().__init__("cvdebug.scenarios.ollama_server", {"faults": faults}, ready_s=_READY_S)
        self.url = self.said
        if not self.url.startswith("http://"):
            self.close()
            raise EmbedderError(
                f"the scenario's embedding server could not be started: {self.said or 'it says nothing'}"
            )
