"""Wall time of the whole command, as a user runs it, against a straight script that does the same work."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from .figure import Aim, Figure, interleaved, ratio, spread
from .options import Options
from .place import COMMAND, Place

WORKERS = 2


def measure(place: Place, options: Options) -> Iterator[Figure]:
    """Both start an interpreter, use the running server, and end with a verified table."""
    for cvs in options.cvs:
        ours, other = place.database("run_ours"), place.database("run_baseline")
        command = [*COMMAND, "run", "--dsn", ours, "--cvs", str(cvs), "--workers", str(WORKERS)]
        script = [sys.executable, "-m", "tests.bench.baseline_run", other, str(cvs), str(WORKERS)]
        mine, straight = interleaved(
            options.rounds if cvs <= 1000 else options.index_rounds,
            lambda command=command: place.timed(command),  # type: ignore[misc]
            lambda script=script: place.timed(script, TOKENIZERS_PARALLELISM="false"),  # type: ignore[misc]
        )
        for what, aim in (("wall", Aim(1.15, False)), ("CPU", Aim())):
            costs = [[getattr(cost, f"{what.lower()}_s") for cost in column] for column in (mine, straight)]
            ours_words, words = (spread(times, unit=" s") for times in costs)
            yield Figure(f"run, {cvs:,} CVs, {what} time", ours_words, words, ratio(*costs), aim)
