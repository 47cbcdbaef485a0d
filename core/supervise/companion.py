"""A program of its own beside the tree, which a scenario needs: it is told once what to do, and ends with the run."""

from __future__ import annotations

import contextlib
import select
import subprocess
import sys

import msgspec


class Companion:
    """One such program. It ends with `close`, and by itself when this process is gone: its standard input is closed.

    `said` is the first line that it says, "" when it says none in time.
    """

    def __init__(self, module: str, order: object, *, ready_s: float) -> None:
        """Starts `module`, gives it `order` as a line of JSON and waits `ready_s` seconds at most for its answer."""
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", module], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        try:
            self.said = self._tell(msgspec.json.encode(order) + b"\n", ready_s)
        except BaseException:
            self.close()
            raise

    def _tell(self, line: bytes, ready_s: float) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(line)
            self._process.stdin.flush()
        ready, _, _ = select.select([self._process.stdout], [], [], ready_s)
        return self._process.stdout.readline().decode(errors="replace").strip() if ready else ""

    def close(self) -> None:
        """Ends it, if it still runs, at once: its own end might wait for a server. May be repeated."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        self._process.kill()
        self._process.wait()
