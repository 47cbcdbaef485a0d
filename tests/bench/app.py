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
ROUNDS = 12
FIRST_S, MINIMAL_LIMIT, KEY_S, CPU_LIMIT, QUIT_S = 0.4, 2.0, 0.1, 0.08, 0.5
CROWD = (100, 10)  # processes, threads of each
KEYS, KEY_EVERY_S = 60, 0.15
IDLE_S = 10.0
RUN_S = 300.0
HUNG = ("--cvs", "40", "--parallelism", "on")
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def measure(place: Place, options: Options) -> Iterator[Figure]:
    """Each on a terminal of its own."""
    yield from first_frame(place)
    yield from keys(place)
    yield from costs(place, options)
    yield from quitting(place)


@contextmanager
def shown(place: Place, command: Sequence[str]) -> Iterator[Raw]:
    """A command on a terminal of 140 columns; killed at the end, if it is still there."""
    environment = {**place.environment(), "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    with Raw(command, environment, size=(140, 45)) as raw:
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


# keys


def keys(place: Place) -> Iterator[Figure]:
    """A key that moves the cursor, while a crowd is followed and changes."""
    with running("crowd.py", *map(str, CROWD)) as program, shown(place, [*CVDEBUG, "attach", str(program.pid)]) as raw:
        raw.expect(f"{CROWD[0] * CROWD[1]:,}".encode())
        raw.send(b"3")  # to the processes
        times = [press(raw, b"\x1b[B" if number % 40 < 20 else b"\x1b[A") for number in range(KEYS)]
        raw.send(b"q")
        raw.ended()
    for name, value in (
        ("median", statistics.median(times)),
        ("p95", sorted(times)[int(0.95 * KEYS)]),
        ("max", max(times)),
    ):
        aim = Aim(1, False) if name == "p95" else Aim()
        yield Figure(f"app, a key among 1,000 threads, {name}", f"{1000 * value:.0f} ms", "100 ms", value / KEY_S, aim)


def press(raw: Raw, key: bytes) -> float:
    """Seconds from a key to the first bytes after it. Those may be of a tick, four of which come a second: the times
    are at most a little too good."""
    quiet_until_s = time.monotonic() + KEY_EVERY_S
    raw.until(lambda: time.monotonic() > quiet_until_s)
    before = len(raw.output)
    pressed_s = raw.send(key)
    return raw.until(lambda: len(raw.output) > before) - pressed_s


# costs


def costs(place: Place, options: Options) -> Iterator[Figure]:
    """CPU of the observer with all its threads: the subject, the server and py-spy are not counted."""
    dsn = place.database("app")
    shares = []
    for _ in range(options.index_rounds):
        with shown(place, [*CVDEBUG, "run", "--dsn", dsn]) as raw:
            raw.expect(b"cleanup")
            before = cpu_s(raw.process.pid), time.monotonic()
            raw.expect(b"completed", deadline_s=RUN_S)
            shares.append((cpu_s(raw.process.pid) - before[0]) / (time.monotonic() - before[1]))
            raw.send(b"q")
            raw.ended()
    yield _cost("app, CPU on a default run", shares)
    with shown(place, [*CVDEBUG, "run", "--dsn", dsn, *HUNG]) as raw:
        raw.expect(b"proven deadlock")
        settle_s = time.monotonic() + 2.0
        raw.until(lambda: time.monotonic() > settle_s)
        before = cpu_s(raw.process.pid), time.monotonic()
        raw.until(lambda: time.monotonic() > before[1] + IDLE_S)
        share = (cpu_s(raw.process.pid) - before[0]) / (time.monotonic() - before[1])
        raw.send(b"q")
        raw.ended()
    yield _cost("app, CPU on a hang that is held", [share])


def _cost(name: str, shares: Sequence[float]) -> Figure:
    words = spread([100 * share for share in shares], "{:.1f}", " %")
    return Figure(name, words, f"{CPU_LIMIT:.0%} of a core", statistics.median(shares) / CPU_LIMIT, Aim(1, False))


def cpu_s(pid: int) -> float:
    """CPU seconds of a process with all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    return sum(map(int, fields[11:13])) / _TICKS_PER_S


# quitting


def quitting(place: Place) -> Iterator[Figure]:
    """From q to the end of the process, with a worker that is blocked for ever; with the embedded server too."""
    times = []
    for _ in range(ROUNDS):
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
