"""Asks a process of its own for the text of foreign documents, and waits for none longer than a deadline.

The process is started for the first document that needs it, and anew after one that it did not survive.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

import msgspec

from ..errors import InputError
from ..files import reason
from .document import Kind, Unusable

DEADLINE_S = 30.0
"""How long one document may take: some thousand times what a CV needs."""
DYING_S = 2.0  # between the last word of a process and its end

_LENGTH_BYTES = 8


class Order(msgspec.Struct, frozen=True):
    """A file to read: its path as the system spells it, and its suffix. None larger than `max_bytes` is opened."""

    path: bytes
    suffix: str
    max_bytes: int


class Answer(msgspec.Struct, frozen=True):
    """The text of a document, or why there is none."""

    text: str = ""
    encoding: str = ""
    reason: str = ""
    kind: Kind = "broken"


def write_frame(stream: IO[bytes], data: bytes) -> None:
    """Writes `data` behind its length."""
    stream.write(len(data).to_bytes(_LENGTH_BYTES, "little") + data)
    stream.flush()


def read_frame(read: Callable[[int], bytes]) -> bytes:
    """What `write_frame` wrote; b"" when there is no more. `read` gives the bytes asked for, or all there are."""
    length = int.from_bytes(read(_LENGTH_BYTES), "little")
    data = read(length)
    return data if len(data) == length else b""


class Extraction:
    """Texts of documents. Close it; it is a context manager. `process` is the reader at work, if there is one."""

    def __init__(self, *, deadline_s: float = DEADLINE_S) -> None:
        self._deadline_s = deadline_s
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Extraction:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the process."""
        if self.process is not None:
            self._end(self.process)

    def text(self, path: Path, *, suffix: str, max_bytes: int) -> tuple[str, str]:
        """The text of a file, and the encoding that it seemed to be in ("" where none had to be guessed).

        Raises Unusable; InputError when no process can be started.
        """
        process = self.process or self._start()
        order = Order(path=os.fsencode(path), suffix=suffix, max_bytes=max_bytes)
        try:
            answer = self._ask(process, order)
        except TimeoutError:
            self._end(process)
            raise Unusable("too slow", f"cannot be read within {self._deadline_s:.0f} s") from None
        except (BrokenPipeError, EOFError, msgspec.MsgspecError):
            raise Unusable("broken", f"makes its parser crash {_how(self._end(process, patience_s=DYING_S))}") from None
        if answer.reason:
            raise Unusable(answer.kind, answer.reason)
        return answer.text, answer.encoding

    def _start(self) -> subprocess.Popen[bytes]:
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "cvdebug.core.pipeline.extractor"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
            )
        except OSError as error:
            raise InputError(f"no process can be started to read documents: {reason(error)}") from error
        return self.process

    def _end(self, process: subprocess.Popen[bytes], *, patience_s: float = 0.0) -> int:
        """Ends and forgets the process, if it does not end by itself meanwhile; its exit code."""
        self.process = None
        with process:
            try:
                return process.wait(patience_s)
            except subprocess.TimeoutExpired:
                process.kill()
                return process.wait()

    def _ask(self, process: subprocess.Popen[bytes], order: Order) -> Answer:
        assert process.stdin is not None
        assert process.stdout is not None
        until = time.monotonic() + self._deadline_s
        write_frame(process.stdin, msgspec.msgpack.encode(order))  # short: it never fills the pipe
        descriptor = process.stdout.fileno()
        return msgspec.msgpack.decode(read_frame(lambda size: _exactly(descriptor, size, until)), type=Answer)


def _exactly(descriptor: int, size: int, until: float) -> bytes:
    """`size` bytes. Raises TimeoutError, and EOFError when the other end has gone."""
    data = bytearray()
    while len(data) < size:
        if not select.select([descriptor], [], [], max(0.0, until - time.monotonic()))[0]:
            raise TimeoutError
        piece = os.read(descriptor, min(size - len(data), 1 << 20))
        if not piece:
            raise EOFError
        data += piece
    return bytes(data)


def _how(code: int) -> str:
    try:
        return f"({signal.Signals(-code).name})"
    except ValueError:
        return f"(exit code {code})"
