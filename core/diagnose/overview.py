"""One quick look at many trees of processes at once, for a list of the programs that run. It only reads."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

import msgspec

from ..model import ProcessSnapshot
from ..observe import tree
from .investigate import Finding, Investigation, Options
from .picture import Picture, fit_to_show, picture, started

# Looks begin, and stacks are read, only within these times, so that a list never takes long.
BEGIN_S, STACKS_S = 2.0, 4.0
_MOST_STACKS = 64


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """A tree of processes in one line. `cpu` is in cores, `rss_bytes` counts shared memory once a process.

    `slug`, `certainty` and `title` are those of the first verdict; empty when there was no time to look.
    """

    pid: int
    started: str | None
    cpu: float
    rss_bytes: int
    processes: int
    threads: int
    cmdline: tuple[str, ...]
    slug: str = ""
    certainty: str = ""
    title: str = ""


def overview(
    roots: Iterable[int],
    options: Options = Options(),  # noqa: B008  (frozen)
    *,
    booted_at: float | None = None,
) -> list[Program]:
    """The trees of these roots, in their order; those that have ended meanwhile are left out.

    Where there are very many, the last ones are only counted.
    """
    began_s = time.monotonic()
    begun: list[Investigation] = []
    rest = list(roots)
    while rest and time.monotonic() < began_s + BEGIN_S:
        begun.append(Investigation(rest.pop(0), options))
    time.sleep(options.window_s)
    found = [_finish(one, time.monotonic() < began_s + STACKS_S) for one in begun]
    programs = [_program(picture(finding, booted_at=booted_at)) for finding in found if finding.case.processes]
    counted = (_count(tree.snapshot(root), booted_at) for root in rest)
    return [*programs, *(program for program in counted if program is not None)]


def _finish(investigation: Investigation, in_time: bool) -> Finding:
    return investigation.finish(stacks=in_time and investigation.size <= _MOST_STACKS)


def _count(processes: Sequence[ProcessSnapshot], booted_at: float | None) -> Program | None:
    """A tree without a verdict; None when it is gone."""
    if not processes:
        return None
    return Program(
        pid=processes[0].pid,
        started=started(processes[0], booted_at),
        cpu=0.0,
        rss_bytes=sum(process.rss_bytes for process in processes),
        processes=len(processes),
        threads=sum(len(process.threads) for process in processes),
        cmdline=tuple(fit_to_show({"cmdline": processes[0].cmdline})["cmdline"]),
    )


def _program(shown: Picture) -> Program:
    root = shown.processes[0]
    verdict = shown.verdicts[0] if shown.verdicts else None
    return Program(
        pid=root.pid,
        started=root.started,
        cpu=round(sum(process.cpu for process in shown.processes), 3),
        rss_bytes=sum(process.rss_bytes for process in shown.processes),
        processes=len(shown.processes),
        threads=sum(len(process.threads) for process in shown.processes),
        cmdline=root.cmdline,
        slug=verdict.slug if verdict else "",
        certainty=verdict.certainty if verdict else "",
        title=verdict.title if verdict else "",
    )
