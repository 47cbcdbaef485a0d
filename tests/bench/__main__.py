"""Runs the benchmarks that are named, or all of them, and prints their table.

python -m tests.bench [store|index|run|ollama|memory|detect|follow|attach|app ...] [--rows N] [--rounds N] [--cvs N,N]
    [--chunks N,N] [--hangs N] [--follow-s S]
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence

from . import app, attach, detect, follow, index, memory, ollama, run, store
from .figure import Figure, table
from .options import Options
from .place import Place, place

BENCHMARKS: dict[str, Callable[[Place, Options], Iterator[Figure]]] = {
    "store": store.measure,
    "index": index.measure,
    "run": run.measure,
    "ollama": ollama.measure,
    "memory": memory.measure,
    "detect": detect.measure,
    "follow": follow.measure,
    "attach": attach.measure,
    "app": app.measure,
}


def main(arguments: Sequence[str]) -> int:
    """0 when every figure meets its aim, 1 when one misses it."""
    names, options = parse(arguments)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # the server must not outlive us
    figures: list[Figure] = []
    with place() as here:
        for name in names:
            print(f"measuring {name} (load {os.getloadavg()[0]:.1f})", file=sys.stderr, flush=True)
            figures += BENCHMARKS[name](here, options)
    print(table(figures))
    return int(any(figure.aim.met(figure.ratio) is False for figure in figures))


def parse(arguments: Sequence[str]) -> tuple[list[str], Options]:
    """The benchmarks to run and their sizes."""
    defaults = Options()
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Each figure beside its baseline.")
    parser.add_argument("names", nargs="*", choices=[*BENCHMARKS, []], metavar="NAME", help=", ".join(BENCHMARKS))
    for name in ("rows", "insert_rows", "rounds", "index_rounds", "hangs"):
        parser.add_argument("--" + name.replace("_", "-"), type=int, default=getattr(defaults, name), metavar="N")
    parser.add_argument("--follow-s", type=float, default=defaults.follow_s, metavar="S")
    for name in ("cvs", "chunks"):
        parser.add_argument("--" + name, type=_numbers, default=getattr(defaults, name), metavar="N,N")
    found = vars(parser.parse_args(arguments))
    names = found.pop("names") or list(BENCHMARKS)
    return names, Options(**found)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split(","))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
