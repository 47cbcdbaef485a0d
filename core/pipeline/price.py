"""Measures what a strategy costs here: starts one worker by it and counts tokens of this corpus for up to a second.

    python -P -m cvdebug.core.pipeline.price RESULT_FD  < spec.json

Writes one Price as a JSON line to RESULT_FD. It writes nothing to the spool.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
import time
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any

import msgspec

from ..events import Price
from ..model import Strategy
from . import kit as kits
from .content import Content
from .spec import SubjectSpec

SAMPLE_S = 1.0
DEADLINE_S = 10.0


def count_for_a_while(answers: Connection, spec: SubjectSpec) -> None:
    """Says "ready", counts batches of the corpus until the sample is over, and answers (texts, seconds)."""
    spool = Content.open(Path(spec.spool))
    kit = kits.build(spool.path, spec.settings)
    answers.send("ready")
    counted, began, chunks = 0, time.perf_counter(), spool.manifest.chunks
    while (elapsed_s := time.perf_counter() - began) < SAMPLE_S and counted < chunks:
        batch = range(counted, min(counted + kits.COUNT_BATCH, chunks))
        counted += len(kits.count_tokens(kit.tokenizer, spool.texts(batch)))
    answers.send((counted, max(elapsed_s, time.perf_counter() - began)))
    spool.close()


def measure(spec: SubjectSpec) -> Price:
    """The price of `spec.strategy`: seconds until a worker is ready, and the chunks that it counts a second."""
    assert spec.strategy is not None
    ours, theirs = Pipe()
    began = time.perf_counter()
    runner: Any
    if spec.strategy is Strategy.THREAD or spec.strategy is Strategy.RELEASE:
        runner = threading.Thread(target=count_for_a_while, args=(theirs, spec), daemon=True)
    else:
        context: Any = multiprocessing.get_context(spec.settings.start_method)
        runner = context.Process(target=count_for_a_while, args=(theirs, spec), daemon=True)
    runner.start()
    if not ours.poll(DEADLINE_S):
        return Price(strategy=spec.strategy)
    ours.recv()
    startup_s = time.perf_counter() - began
    if not ours.poll(DEADLINE_S):
        return Price(strategy=spec.strategy)
    counted, elapsed_s = ours.recv()
    return Price(strategy=spec.strategy, startup_s=startup_s, chunks_per_s=counted / elapsed_s)


def main() -> int:
    """Measures and answers."""
    result = int(sys.argv[1])
    spec = msgspec.json.decode(sys.stdin.buffer.read(), type=SubjectSpec)
    os.write(result, msgspec.json.encode(measure(spec)) + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
