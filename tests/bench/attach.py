"""How long `cvdebug attach --once` takes, from its start to its answer, on a small tree and on a large one."""

from __future__ import annotations

from collections.abc import Iterator

from cvdebug.core.observe import stacks

from tests.programs import running

from .figure import Aim, Figure, interleaved, ratio, spread
from .options import Options
from .place import COMMAND, Place

# Processes, threads of each, and the limit in seconds.
CROWDS = ((4, 3, 1.0), (100, 10, 3.0))


def measure(place: Place, options: Options) -> Iterator[Figure]:
    """Beside it a shell loop that dumps each process with py-spy, one after the other, and judges nothing."""
    for processes, threads, limit_s in CROWDS:
        with running("crowd.py", str(processes), str(threads)) as program:
            ours, dumps = both(place, options, (program.pid, *program.workers))
        name = f"attach to {processes} processes of {threads} threads"
        words = spread(ours, unit=" s")
        yield Figure(f"{name}, to the limit", words, f"{limit_s:.0f} s", max(ours) / limit_s, Aim(1, False))
        yield Figure(f"{name}, to py-spy dump of each", words, spread(dumps, unit=" s"), ratio(ours, dumps))


def both(place: Place, options: Options, pids: tuple[int, ...]) -> list[list[float]]:
    """Seconds of ours, and of the loop."""
    attach = [*COMMAND, "attach", "--once", "--json", str(pids[0])]
    loop = ["sh", "-c", f'for pid in {" ".join(map(str, pids))}; do "$0" dump --pid $pid; done', stacks.executable()]
    return interleaved(options.index_rounds, lambda: place.timed(attach).wall_s, lambda: place.timed(loop).wall_s)
