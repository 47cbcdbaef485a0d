"""The app on a pty: how soon it shows something, how soon a key answers, what it costs, how soon it is gone.

Times are from the start of the process, as a person has them. Nothing is emulated: the bytes are read and searched.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.programs import running
from tests.tui.raw import Raw

from .figure import Aim, Figure, interleaved, ratio, spread
from .options import Options
from .place import Place

CVDEBUG = (sys.executable, "-P", "-m", "cvdebug.tui")
MINIMAL = (sys.executable, "-m", "tests.bench.minimal_app")
SIZES = ((120, 40), (160, 50))
ROUNDS, RUNS, QUITS = 12, 2, 6
FIRST_S, MINIMAL_LIMIT, KEY_S, CPU_LIMIT, CROWD_LIMIT, QUIT_S = 0.4, 2.0, 0.1, 0.08, 0.3, 0.5
CROWD = (100, 10)  # processes, threads of each
KEYS, KEY_EVERY_S = 60, 0.15
SETTLE_S, IDLE_S = 10.0, 8.0
RUN_S = 300.0
HUNG = ("--cvs", "40", "--parallelism", "on")
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def measure(place: Place, options: Options) -> Iterator[Figure]:
    """Each on a terminal of its own."""
    yield from first_frame(place)
    yield from crowded(place)
    yield from costs(place)
    yield from quitting(place)


@contextmanager
def shown(place: Place, command: Sequence[str], size: tuple[int, int] = SIZES[0]) -> Iterator[Raw]:
    """A command on a terminal of this size; killed at the end, if it is still there."""
    environment = {**place.environment(), "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    with Raw(command, environment, size=size) as raw:
        yield raw


# the first frame


def first_frame(place: Place) -> Iterator[Figure]:
    """The words that are drawn by hand, and the whole screen, beside the least of apps."""
    dsn = place.database("app")
    ours, minimal = interleaved(
        ROUNDS,
        lambda: first(place, [*CVDEBUG, "run", "--dsn", dsn], (b"starting", b"cleanup")),
        lambda: first(place, MINIMAL, (b"the least of apps",)),
    )
    words, whole = ([times[number] for times in ours] for number in (0, 1))
    least = [times[0] for times in minimal]
    limit = Aim(1, False)
    yield Figure(
        "app, first words", spread(words, unit=" s"), f"{FIRST_S} s", statistics.median(words) / FIRST_S, limit
    )
    yield Figure(
        "app, whole screen, to a minimal one",
        spread(whole, unit=" s"),
        spread(least, unit=" s"),
        ratio(whole, least),
        Aim(MINIMAL_LIMIT, False),
    )


def first(place: Place, command: Sequence[str], words: Sequence[bytes]) -> list[float]:
    """Seconds from the start of the command to each of the words."""
    with shown(place, command) as raw:
        times = [raw.expect(word) - raw.began_s for word in words]
        raw.send(b"q")
        raw.ended()
    return times


# a crowd


def crowded(place: Place) -> Iterator[Figure]:
    """A key that moves the cursor, while a crowd is followed and changes; and what all of that costs."""
    with running("crowd.py", *map(str, CROWD)) as program, shown(place, [*CVDEBUG, "attach", str(program.pid)]) as raw:
        raw.expect(f"{CROWD[0] * CROWD[1]:,}".encode())
        raw.send(b"3")  # to the processes
        # More down than up: a key at the top would change nothing, and what is seen next is another tick.
        times = [press(raw, b"\x1b[B" if number % 30 < 20 else b"\x1b[A") for number in range(KEYS)]
        share = cpu_share(raw, IDLE_S)
        raw.send(b"q")
        raw.ended()
    for name, value in (
        ("median", statistics.median(times)),
        ("p95", sorted(times)[int(0.95 * KEYS)]),
        ("max", max(times)),
    ):
        aim = Aim() if name == "median" else Aim(1, False)
        yield Figure(f"app, a key among 1,000 threads, {name}", f"{1000 * value:.0f} ms", "100 ms", value / KEY_S, aim)
    yield _cost("app, CPU among 1,000 threads", [share], CROWD_LIMIT)


def press(raw: Raw, key: bytes) -> float:
    """Seconds from a key to the first bytes after it. Those may be of a tick, two of which come a second: the times
    are at most a little too good."""
    wait(raw, KEY_EVERY_S)
    before = len(raw.output)
    pressed_s = raw.send(key)
    return raw.until(lambda: len(raw.output) > before) - pressed_s


# costs


def costs(place: Place) -> Iterator[Figure]:
    """CPU of the observer with all its threads: the subject, the server and py-spy are not counted."""
    for size in SIZES:
        columns = f"{size[0]}x{size[1]}"
        starts, shares = zip(*(default_run(place, size) for _ in range(RUNS)), strict=True)
        yield _cost(f"app, CPU on a default run, {columns}", shares)
        yield Figure(
            f"app, CPU before the run's first word, {columns}",
            spread(starts, unit=" s"),
            "1 s",
            statistics.median(starts),
        )
        share, bytes_per_s = held_hang(place, size)
        yield _cost(f"app, CPU on a hang that is held, {columns}", [share])
        yield Figure(
            f"app, bytes drawn a second on a hang that is held, {columns}",
            f"{bytes_per_s:,.0f}",
            f"{size[0] * size[1]:,} cells",
            bytes_per_s / (size[0] * size[1]),
        )


def default_run(place: Place, size: tuple[int, int]) -> tuple[float, float]:
    """The CPU seconds that starting takes, mostly to import; and the part of a core from the subject's first word to
    the end of the run."""
    with shown(place, [*CVDEBUG, "run", "--dsn", place.database("app")], size) as raw:
        raw.expect(b"subject PID")
        start_s = cpu_s(raw.process.pid)
        share = cpu_share(raw, RUN_S, b"completed")
        raw.send(b"q")
        raw.ended()
    return start_s, share


def held_hang(place: Place, size: tuple[int, int]) -> tuple[float, float]:
    """CPU, and bytes to the terminal a second, when nothing moves any more."""
    with shown(place, [*CVDEBUG, "run", "--dsn", place.database("app"), *HUNG], size) as raw:
        raw.expect(b"proven deadlock")
        wait(raw, SETTLE_S)
        before = len(raw.output)
        share = cpu_share(raw, IDLE_S)
        drawn = len(raw.output) - before
        raw.send(b"q")
        raw.ended()
    return share, drawn / IDLE_S


def cpu_share(raw: Raw, most_s: float, word: bytes = b"") -> float:
    """The part of one core that the command uses, for so long, or until the word comes: then it must come."""
    used_s, began_s = cpu_s(raw.process.pid), time.monotonic()
    if word:
        raw.expect(word, deadline_s=most_s)
    else:
        wait(raw, most_s)
    return (cpu_s(raw.process.pid) - used_s) / (time.monotonic() - began_s)


def wait(raw: Raw, span_s: float) -> None:
    """Reads for so long."""
    end_s = time.monotonic() + span_s
    raw.until(lambda: time.monotonic() > end_s, deadline_s=span_s + 1)


def _cost(name: str, shares: Sequence[float], limit: float = CPU_LIMIT) -> Figure:
    words = spread([100 * share for share in shares], "{:.1f}", " %")
    return Figure(name, words, f"{limit:.0%} of a core", statistics.median(shares) / limit, Aim(1, False))


def cpu_s(pid: int) -> float:
    """CPU seconds of a process with all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    return sum(map(int, fields[11:13])) / _TICKS_PER_S


# quitting


def quitting(place: Place) -> Iterator[Figure]:
    """From q to the end of the process, with a worker that is blocked for ever; with the embedded server too."""
    times = []
    for _ in range(QUITS):
        with shown(place, [*CVDEBUG, "run", *HUNG]) as raw:
            raw.expect(b"proven deadlock")
            pressed_s = raw.send(b"q")
            raw.until(lambda: raw.process.poll() is not None)
            times.append(time.monotonic() - pressed_s)
    yield Figure(
        "app, from q to the end with a deadlock, worst",
        spread(times, unit=" s"),
        f"{QUIT_S} s",
        max(times) / QUIT_S,
        Aim(1, False),
    )
