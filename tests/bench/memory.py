"""Peak anonymous memory of subject and workers: whether it is bounded by the batch or grows with the corpus.

RssAnon, read from /proc every 20 ms. Mapped files (the spool's vectors) do not count: the kernel takes them back.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from cvdebug.core import events as ev

from .figure import Aim, Figure
from .options import Options
from .place import COMMAND, Place

CHUNKS_PER_CV = 2.53
LIMIT_MB = 600
FLAT = 1.25
EVERY_S = 0.02


def measure(place: Place, options: Options) -> Iterator[Figure]:
    """With IVFFlat: an HNSW index of 200,000 rows takes the server, whose memory is not ours, many minutes."""
    small, large = (peaks(place, round(chunks / CHUNKS_PER_CV)) for chunks in options.chunks)
    for role in ("subject", "worker"):
        (few, low), (many, high) = ((chunks, _highest(found, role)) for chunks, found in (small, large))
        ours, baseline = f"{high / 1e6:.0f} MB at {many:,} chunks", f"{low / 1e6:.0f} MB at {few:,} chunks"
        yield Figure(f"memory, {role}, peak", ours, baseline, high / low, Aim(FLAT, False))
        yield Figure(f"memory, {role}, to the limit", ours, f"{LIMIT_MB} MB", high / LIMIT_MB / 1e6, Aim(1, False))


def _highest(found: dict[str, int], role: str) -> int:
    return max(peak for who, peak in found.items() if who.startswith(role))


def peaks(place: Place, cvs: int) -> tuple[int, dict[str, int]]:
    """How many chunks a run of `cvs` stored, and the peak in bytes of each of its processes, by role."""
    dsn = place.database("memory")
    command = [*COMMAND, "run", "--dsn", dsn, "--cvs", str(cvs), "--index", "ivfflat", "--json"]
    with place.started(command) as process, Sampler() as sampler:
        assert process.stdout is not None
        chunks = follow(process.stdout, sampler)
    if process.returncode != 0:
        raise RuntimeError(f"the run of {cvs} CVs ended with exit code {process.returncode}")
    return chunks, sampler.peaks


def follow(events: IO[bytes], sampler: Sampler) -> int:
    """Tells the sampler about each process; how many rows were verified in the end."""
    rows = 0
    for event in map(ev.decode, events):
        if isinstance(event, ev.SubjectStarted):
            sampler.watch("subject", event.pid)
        elif isinstance(event, ev.WorkerStarted):
            sampler.watch(event.role, event.pid)
        elif isinstance(event, ev.Verified):
            rows = event.rows
    return rows


class Sampler:
    """Looks at the watched processes in a thread of its own until the block ends."""

    def __init__(self) -> None:
        self.peaks: dict[str, int] = {}
        self._pids: dict[str, int] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Sampler:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def watch(self, role: str, pid: int) -> None:
        self._pids[role] = pid

    def _look(self) -> None:
        while not self._over.wait(EVERY_S):
            for role, pid in list(self._pids.items()):
                self.peaks[role] = max(self.peaks.get(role, 0), anonymous_bytes(pid))


def anonymous_bytes(pid: int) -> int:
    """RssAnon of a process; 0 when it is gone."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_bytes().splitlines():
            if line.startswith(b"RssAnon:"):
                return int(line.split()[1]) * 1024
    return 0
