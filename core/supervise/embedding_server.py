"""Starts the scenario's own embedding server as a program of its own, beside the tree, and ends it with the run."""

from __future__ import annotations

import contextlib
import select
import subprocess
import sys
from typing import Any

import msgspec

from ..errors import EmbedderError

_READY_S = 60.0
_END_S = 5.0


class EmbeddingServer:
    """One such server at `url`. It ends with `close`, and by itself when this process is gone."""

    def __init__(self, *faults: dict[str, Any]) -> None:
        """Returns when it listens. `faults` as in `scenarios.ollama_orders.Fault`. Raises EmbedderError."""
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "cvdebug.scenarios.ollama_server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        try:
            self.url = self._begin(msgspec.json.encode({"faults": faults}) + b"\n")
        except BaseException:
            self.close()
            raise

    def _begin(self, order: bytes) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(order)
            self._process.stdin.flush()
        ready, _, _ = select.select([self._process.stdout], [], [], _READY_S)
        said = self._process.stdout.readline().decode(errors="replace").strip() if ready else ""
        if not said.startswith("http://"):
            raise EmbedderError(f"the scenario's embedding server could not be started: {said or 'it says nothing'}")
        return said

    def close(self) -> None:
        """Ends the server, if it still is. May be repeated."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
