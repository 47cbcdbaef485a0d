"""What the processor can do, as far as the libraries and the proofs care."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from ..observe import permissions
from .check import Answer, Machine, failed, ok, warning, worst_of

_X86 = ("x86_64", "amd64")
_SHOWN = ("sse4_2", "avx", "avx2", "fma", "avx512f")
# NumPy's wheels want x86-64-v2 since 2.4 (https://numpy.org/doc/stable/reference/simd/build-options.html).
_NUMPY = ("sse3", "ssse3", "sse4_1", "sse4_2", "popcnt")
_ALIASES = {"sse3": ("sse3", "pni")}  # the kernel's name


def features(machine: Machine) -> Answer:
    """The flags in /proc/cpuinfo."""
    return judged(platform.machine().lower(), flags(machine.root), embedded=machine.settings.dsn is None)


def judged(architecture: str, flags: set[str], *, embedded: bool) -> Answer:
    """What follows for an architecture; `embedded`: the embedded PostgreSQL will be used. No flags: not known."""
    found = f"{architecture}, {_cores()} usable"
    shown = [flag for flag in _SHOWN if flag in flags]
    if shown:
        found += f", {' '.join(shown)}"
    answers = [ok(found)]
    if architecture in _X86 and flags:
        answers += _missing(flags, embedded=embedded)
    if limit := next(iter(permissions.system()), None):
        answers.append(warning(f"{limit.what} cannot be seen: {limit.why}", limit.remedy))
    return worst_of(answers)


def _missing(flags: set[str], *, embedded: bool) -> list[Answer]:
    answers = []
    if "avx2" not in flags:
        hint = "Pass --dsn to use a PostgreSQL with pgvector of yours."
        found = "no AVX2, which the embedded pgvector needs"
        answers.append(failed(found, hint) if embedded else ok("no AVX2, and the embedded pgvector is not used"))
    if lacking := [flag for flag in _NUMPY if not flags & set(_ALIASES.get(flag, (flag,)))]:
        answers.append(warning(f"no {' '.join(lacking)}, which NumPy 2.4 and newer need", "pip install 'numpy<2.4'"))
    return answers


def flags(root: Path) -> set[str]:
    """Of the first processor; empty when they cannot be read."""
    try:
        with (root / "proc/cpuinfo").open(encoding="utf-8", errors="replace") as file:
            line = next((line for line in file if line.startswith(("flags", "Features"))), "")
    except OSError:
        return set()
    return set(line.partition(":")[2].split())


def _cores() -> str:
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return f"{count} core{'s' if count > 1 else ''}"
