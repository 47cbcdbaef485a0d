"""What following a tree costs, beside psutil's own loop and py-spy record, and how it slows a pipeline."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

from cvdebug.core.observe import stacks

from tests.programs import running

from .figure import Aim, Figure, interleaved, ratio, spread
from .options import Options
from .place import COMMAND, Place

EVERY_S = 0.25
# Processes, threads of each, and the part of one core that following them may take.
CROWDS = ((4, 3, 0.03), (100, 10, 0.25))
SLOWER = 1.03
WORKERS = 2


def measure(place: Place, options: Options) -> Iterator[Figure]:
    """Every contestant looks four times a second, its start-up included."""
    for processes, threads, limit in CROWDS:
        yield from crowd(place, options, (processes, threads), limit)
    yield from pipeline(place, options)


def crowd(place: Place, options: Options, size: tuple[int, int], limit: float) -> Iterator[Figure]:
    """A healthy crowd of processes, followed by each in turn."""
    with running("crowd.py", *map(str, size)) as program:
        arguments = [str(program.pid), f"{options.follow_s:g}", f"{EVERY_S:g}"]
        record = [stacks.executable(), "record", "--nonblocking", "--subprocesses", "--rate", f"{1 / EVERY_S:g}"]
        record += ["--format", "raw", "--output", "/dev/null", "--duration", f"{options.follow_s:g}", "--pid"]
        ours, psutil, py_spy = interleaved(
            options.index_rounds,
            lambda: share(place, [sys.executable, "-m", "tests.bench.follower", *arguments]),
            lambda: share(place, [sys.executable, "-m", "tests.bench.baseline_psutil", *arguments]),
            lambda: share(place, [*record, str(program.pid)]),
        )
    name = f"follow {size[0]} processes of {size[1]} threads"
    ours_words = percent(ours)
    yield Figure(f"{name}, to the limit", ours_words, f"{limit:.0%} of a core", max(ours) / limit, Aim(1, False))
    yield Figure(f"{name}, to psutil", ours_words, percent(psutil), ratio(ours, psutil))
    yield Figure(f"{name}, to py-spy record", ours_words, percent(py_spy), ratio(ours, py_spy))


def pipeline(place: Place, options: Options) -> Iterator[Figure]:
    """The straight script of the run benchmark, alone and under `watch`."""
    alone, watched = place.database("alone"), place.database("watched")
    cvs = str(options.cvs[-1])
    script = [sys.executable, "-m", "tests.bench.baseline_run"]
    mine, straight = interleaved(
        options.rounds,
        lambda: place.timed([*COMMAND, "watch", "--", *script, watched, cvs, str(WORKERS)], **QUIET).wall_s,
        lambda: place.timed([*script, alone, cvs, str(WORKERS)], **QUIET).wall_s,
    )
    words = spread(mine, unit=" s"), spread(straight, unit=" s")
    yield Figure("a watched pipeline, wall time", *words, ratio(mine, straight), Aim(SLOWER, False))


QUIET = {"TOKENIZERS_PARALLELISM": "false"}


def share(place: Place, command: Sequence[str]) -> float:
    """The part of one core that a command and its children used."""
    cost = place.timed(command)
    return cost.cpu_s / cost.wall_s


def percent(shares: Sequence[float]) -> str:
    """The median and the extremes of parts of a core."""
    return spread([100 * share for share in shares], "{:.1f}", " %")
