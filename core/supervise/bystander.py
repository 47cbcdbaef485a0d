"""Starts the scenario's other database session as a program of its own, beside the tree, and ends it with the run."""

from __future__ import annotations

import contextlib
import select
import subprocess
import sys

import msgspec

from ..errors import DatabaseError

_READY_S = 30.0
_END_S = 5.0


class Bystander:
    """One such session. It ends with `close`, and by itself when this process is gone."""

    def __init__(self, *, run: str, dsn: str, table: str, storage: str) -> None:
        """Returns when its transaction is open. DatabaseError when it could not be."""
        order = {"run": run, "dsn": dsn, "table": table, "storage": storage}
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "cvdebug.core.pipeline.bystander"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        try:
            self._send(msgspec.json.encode(order) + b"\n")
            said = self._first_line()
            if said != "ready":
                raise DatabaseError(f"The scenario's other session could not be opened: {said or 'it says nothing'}")
        except BaseException:
            self.close()
            raise

    def _send(self, line: bytes) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(line)
            self._process.stdin.flush()

    def _first_line(self) -> str:
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], _READY_S)
        return self._process.stdout.readline().decode(errors="replace").strip() if ready else ""

    def close(self) -> None:
        """Ends the session, if it still is. May be repeated."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
