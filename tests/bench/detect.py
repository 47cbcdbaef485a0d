"""How soon a real hang is proven: from the subject's last event before it to the verdict, over many runs."""

from __future__ import annotations

from collections.abc import Iterator

from cvdebug.core import events as ev

from .figure import Aim, Figure, spread
from .options import Options
from .place import COMMAND, Place

LIMIT_S = 0.5
HANG = 3


def measure(place: Place, options: Options) -> Iterator[Figure]:
    """The last word of a subject that hangs is the start of cleanup: it then gives each worker its first batch."""
    dsn = place.database("detect")
    delays, codes = zip(*(hang(place, dsn) for _ in range(options.hangs)), strict=True)
    yield Figure(
        f"detect, slowest of {options.hangs}, to the limit", spread(delays, unit=" s"), f"{LIMIT_S:g} s",
        max(delays) / LIMIT_S, Aim(1, False),
    )  # fmt: skip
    right = codes.count(HANG)
    yield Figure("detect, runs that exit 3", str(right), str(options.hangs), right / options.hangs, Aim(1, True))


def hang(place: Place, dsn: str) -> tuple[float, int]:
    """Seconds from the onset to the proven verdict of one run, infinite when there was none; its exit code."""
    command = [*COMMAND, "run", "--dsn", dsn, "--cvs", "60", "--parallelism", "on", "--json"]
    with place.started(command) as process:
        out, _ = process.communicate()
    events = [ev.decode(line) for line in out.splitlines()]
    onset = max((event.at for event in events if event.source == "subject"), default=0.0)
    proven = (event.at for event in events if isinstance(event, ev.VerdictReached) and event.certainty == "proven")
    return max(proven, default=float("inf")) - onset, process.returncode
