"""Chunks a second of a run that embeds through a server which speaks Ollama's API, against the offline run.

The server embeds with the offline embedder too, so that what is measured is the way there and back.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from cvdebug.core import events as ev

from .figure import Aim, Figure, interleaved, ratio, spread
from .options import Options
from .place import COMMAND, PROJECT, Place

WORKERS = 2
SERVER = (sys.executable, "-P", "-m", "cvdebug.scenarios.ollama_server")


def measure(place: Place, options: Options) -> Iterator[Figure]:
    """Batches of the default size; the embed phase alone, and everything from start to end."""
    for cvs in options.cvs:
        with serving() as url:
            dsn = place.database("ollama")
            common = [*COMMAND, "run", "--json", "--dsn", dsn, "--cvs", str(cvs), "--workers", str(WORKERS)]
            ours, offline = interleaved(
                options.rounds if cvs <= 1000 else options.index_rounds,
                lambda command=[*common, "--embedder", "ollama", "--ollama-url", url]: rates(place, command),  # type: ignore[misc]
                lambda command=common: rates(place, command),  # type: ignore[misc]
            )
        for number, what in enumerate(("whole run", "embed phase")):
            columns = [[rate[number] for rate in column] for column in (ours, offline)]
            ours_words, words = (spread(column, "{:,.0f}", " chunks/s") for column in columns)
            yield Figure(f"ollama, {cvs:,} CVs, {what}", ours_words, words, ratio(*columns), Aim(0.9, True))


@contextmanager
def serving() -> Iterator[str]:
    """The server of ours, at this URL until the block ends."""
    with subprocess.Popen(SERVER, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"{}\n")
        process.stdin.flush()
        try:
            yield process.stdout.readline().decode().strip()
        finally:
            process.stdin.close()


def rates(place: Place, command: list[str]) -> tuple[float, float]:
    """Chunks a second of the run from its start to its end, and of its embed phase."""
    with place.started(command) as process:
        out, _ = process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"the run ended with exit code {process.returncode}: {out.decode()[-2000:]}")
    events = [ev.decode(line) for line in out.splitlines()]
    chunks = next(event.computed for event in events if isinstance(event, ev.Embedded))
    elapsed_s = next(event.elapsed_s for event in events if isinstance(event, ev.RunFinished))
    first, last = (
        next(event.at for event in events if isinstance(event, kind) and event.phase == "embed")
        for kind in (ev.PhaseStarted, ev.PhaseFinished)
    )
    return chunks / elapsed_s, chunks / (last - first)
