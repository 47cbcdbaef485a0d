"""Starts what runs below a guardian: a subject, or the short measurement of a strategy's price."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import msgspec

from .events import Price
from .model import Strategy
from .pipeline.spec import SubjectSpec
from .settings import Parallelism
from .supervise.tree import Tree

VARIABLE = "TOKENIZERS_PARALLELISM"
_VALUES: dict[Parallelism, str | None] = {"on": "true", "off": "false", "unset": None}
# Workers are the parallelism here: a BLAS pool in each would only fight for the same cores.
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_NOT_PASSED_ON = ("CVDEBUG_DSN",)  # it may hold a password, and the subject has it from its specification
PRICE_DEADLINE_S = 25.0


def environment(parallelism: Parallelism, base: Mapping[str, str] | None = None) -> dict[str, str]:
    """The subject's environment: the caller's, with the toggle set, or removed."""
    result = dict(os.environ if base is None else base)
    for name in (VARIABLE, *_NOT_PASSED_ON):
        result.pop(name, None)
    value = _VALUES[parallelism]
    if value is not None:
        result[VARIABLE] = value
    for name in _ONE_THREAD:
        result.setdefault(name, "1")
    result["PYTHONUNBUFFERED"] = "1"  # what the subject prints is shown when it is printed
    return result


def start_subject(spec: SubjectSpec, output: IO[bytes], *, keep_open: tuple[int, ...] = ()) -> Tree:
    """A subject below a guardian. `keep_open`: descriptors that live as long as the tree does."""
    return _start("cvdebug.core.pipeline.subject", spec, output, keep_open)


def _start(module: str, spec: SubjectSpec, output: IO[bytes], keep_open: tuple[int, ...]) -> Tree:
    return Tree(
        [sys.executable, "-P", "-m", module, "{events}"],
        stdin=msgspec.json.encode(spec),
        output=output,
        environment=environment(spec.settings.parallelism),
        keep_open=keep_open,
    )


def measure_price(spec: SubjectSpec, wake_fd: int) -> Price:
    """The price of `spec.strategy`, by a short sample; unmeasured when that fails or `wake_fd` becomes readable."""
    assert spec.strategy is not None
    with Path(os.devnull).open("wb") as nowhere:
        tree = _start("cvdebug.core.pipeline.price", spec, nowhere, ())
        try:
            return _read_price(tree.events_fd, spec.strategy, wake_fd)
        finally:
            tree.close()


def _read_price(fd: int, strategy: Strategy, wake_fd: int) -> Price:
    data, deadline = b"", time.monotonic() + PRICE_DEADLINE_S
    while not data.endswith(b"\n"):
        ready, _, _ = select.select([fd, wake_fd], [], [], max(0.0, deadline - time.monotonic()))
        piece = os.read(fd, 4096) if fd in ready and wake_fd not in ready else b""
        if not piece:
            return Price(strategy=strategy)
        data += piece
    with contextlib.suppress(msgspec.MsgspecError):
        return msgspec.json.decode(data, type=Price)
    return Price(strategy=strategy)
