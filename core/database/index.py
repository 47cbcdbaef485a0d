"""Which vector index to build, with which parameters, and why. Pure: no I/O, so that every choice can be tested."""

from __future__ import annotations

import math
from typing import Literal

import msgspec

from ..errors import UsageError

Kind = Literal["hnsw", "ivfflat", "none"]
Metric = Literal["cosine", "ip", "l2"]
Storage = Literal["vector", "halfvec"]
"""The type of the column: float32, or float16 in half the space."""

Replace = Literal["truncate", "swap"]
"""How new rows take the place of old ones: in the same table, or in another that is renamed."""

VECTOR_INDEXES = ("hnsw", "ivfflat")
OPERATOR: dict[Metric, str] = {"cosine": "<=>", "ip": "<#>", "l2": "<->"}

_MB = 1024 * 1024
_DEFAULT_M, _DEFAULT_EF_CONSTRUCTION = 16, 64
_MIN_MEMORY_MB = 64
# PostgreSQL's own limit of maintenance_work_mem in MB is 2^31 - 1 kB.
_MAX_MEMORY_MB = 2_097_151
# The rest is for the server's buffers, the page cache and the pipeline.
_SHARE_OF_MEMORY = 0.4
_MAX_WORKERS = 8


class ServerLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What the server allows. `shared_memory_bytes`: room for a parallel build, None when it is ample or not known."""

    max_worker_processes: int = 8
    max_parallel_workers: int = 8
    maintenance_work_mem_mb: int = 64
    shared_memory_bytes: int | None = None


class Overrides(msgspec.Struct, frozen=True, kw_only=True):
    """What a person chose; None leaves the choice to `plan`."""

    m: int | None = None
    ef_construction: int | None = None
    lists: int | None = None
    maintenance_work_mem_mb: int | None = None


class IndexPlan(msgspec.Struct, frozen=True, kw_only=True):
    """An index to build. `reason` has a sentence for each choice; `warning` foretells the memory cliff or is empty."""

    kind: Kind
    metric: Metric
    storage: Storage = "vector"
    parameters: dict[str, int]
    maintenance_work_mem_mb: int
    parallel_workers: int
    reason: str
    warning: str = ""

    @property
    def opclass(self) -> str:
        return f"{self.storage}_{self.metric}_ops"


def plan(
    *,
    rows: int,
    dimensions: int,
    kind: Kind,
    metric: Metric,
    memory_bytes_available: int | None,
    cores: int,
    server_limits: ServerLimits,
    storage: Storage = "vector",
    overrides: Overrides | None = None,
) -> IndexPlan:
    """Chooses parameters, memory and workers. `memory_bytes_available` is None for a server on another machine.

    UsageError for overrides outside pgvector's limits.
    """
    chosen = overrides or Overrides()
    _validate(chosen)
    if kind == "none":
        return IndexPlan(
            kind=kind, metric=metric, storage=storage, parameters={},
            maintenance_work_mem_mb=server_limits.maintenance_work_mem_mb,
            parallel_workers=0, reason="No index was asked for: searches read every row and are exact.",
        )  # fmt: skip
    parameters, why_parameters = (_hnsw if kind == "hnsw" else _ivfflat)(rows, chosen)
    needed = (
        rows * hnsw_bytes_per_row(dimensions, parameters["m"], storage)
        if kind == "hnsw"
        else ivfflat_bytes(rows, dimensions, parameters["lists"], storage)
    )
    memory_mb, why_memory = _memory(needed, memory_bytes_available, server_limits, chosen.maintenance_work_mem_mb)
    workers, why_workers = _workers(cores, server_limits)
    per_row = hnsw_bytes_per_row(dimensions, parameters["m"], storage) if kind == "hnsw" else 0
    warning = _cliff(rows, per_row, memory_mb) if kind == "hnsw" else ""
    return IndexPlan(
        kind=kind, metric=metric, storage=storage, parameters=parameters, maintenance_work_mem_mb=memory_mb,
        parallel_workers=workers, reason=" ".join((why_parameters, why_memory, why_workers)), warning=warning,
    )  # fmt: skip


def _validate(chosen: Overrides) -> None:
    """pgvector's limits (hnsw.h, ivfflat.h); the command line checks them before anything is computed."""
    limits = {
        "m": (chosen.m, 2, 100),
        "ef_construction": (chosen.ef_construction, 4, 1000),
        "lists": (chosen.lists, 1, 32768),
        "maintenance_work_mem_mb": (chosen.maintenance_work_mem_mb, 1, _MAX_MEMORY_MB),
    }
    for name, (value, low, high) in limits.items():
        if value is not None and not low <= value <= high:
            raise UsageError(f"{name} is {value}", hint=f"Choose a number from {low} to {high}")
    m, ef = chosen.m or _DEFAULT_M, chosen.ef_construction
    if ef is not None and ef < 2 * m:
        raise UsageError(f"ef_construction is {ef}, less than twice m ({m})", hint=f"Choose {2 * m} or more")


def _hnsw(rows: int, chosen: Overrides) -> tuple[dict[str, int], str]:
    m = chosen.m or _DEFAULT_M
    ef = chosen.ef_construction or max(_DEFAULT_EF_CONSTRUCTION, 2 * m)
    whose = "as asked" if chosen.m or chosen.ef_construction else "pgvector's defaults"
    return {"m": m, "ef_construction": ef}, f"HNSW with m={m} and ef_construction={ef}, {whose}."


def _ivfflat(rows: int, chosen: Overrides) -> tuple[dict[str, int], str]:
    """https://github.com/pgvector/pgvector#ivfflat: rows / 1000 up to a million rows, their square root above."""
    if chosen.lists:
        return {"lists": chosen.lists}, f"IVFFlat with {chosen.lists} lists, as asked."
    lists = rows // 1000 if rows <= 1_000_000 else math.isqrt(rows)
    lists = min(max(lists, 1), 32768)
    rule = "a list for each 1,000 rows" if rows <= 1_000_000 else "the square root of the rows"
    return {"lists": lists}, f"IVFFlat with {lists} lists: {rule} ({rows:,})."


def _vector_bytes(dimensions: int, storage: Storage) -> int:
    return (2 if storage == "halfvec" else 4) * dimensions + 8


def hnsw_bytes_per_row(dimensions: int, m: int, storage: Storage = "vector") -> int:
    """Memory of one vertex while the graph is built: the vector, 2 m neighbours of 16 bytes with those of the upper
    levels on top, and the element itself. Measured at 1024 dimensions and m=16: about 4.7 kB."""
    neighbours = 16 * (2 * m) + 16 * m // max(m - 1, 1)
    return _vector_bytes(dimensions, storage) + neighbours + 110


def ivfflat_bytes(rows: int, dimensions: int, lists: int, storage: Storage = "vector") -> int:
    """Memory of k-means (Elkan's bounds) in ivfkmeans.c: samples, three sets of centres, bounds and distances."""
    samples = min(rows, max(50 * lists, 10_000))
    vector = _vector_bytes(dimensions, storage)
    return samples * vector + 3 * lists * vector + 4 * samples * (lists + 2) + 4 * lists * (lists + 3)


def _memory(needed: int, available: int | None, limits: ServerLimits, override_mb: int | None) -> tuple[int, str]:
    """maintenance_work_mem in MB. A parallel build takes it from shared memory, which may be the smaller."""
    if override_mb is not None:
        return override_mb, f"{override_mb} MB of maintenance_work_mem, as asked."
    needed_mb = max(_MIN_MEMORY_MB, math.ceil(needed * 1.15 / _MB) + 8)
    if available is None:
        own = limits.maintenance_work_mem_mb
        return own, f"{own} MB of maintenance_work_mem, the server's own setting, as its memory is not known here."
    ceiling_mb = max(_MIN_MEMORY_MB, int(available * _SHARE_OF_MEMORY) // _MB)
    if limits.shared_memory_bytes is not None:
        ceiling_mb = min(ceiling_mb, max(_MIN_MEMORY_MB // 2, int(limits.shared_memory_bytes * 0.8) // _MB))
    ceiling_mb = min(ceiling_mb, _MAX_MEMORY_MB)
    if needed_mb <= ceiling_mb:
        return needed_mb, f"{needed_mb} MB of maintenance_work_mem, enough to build it in memory."
    return ceiling_mb, f"{ceiling_mb} MB of maintenance_work_mem, all that the machine can spare of {needed_mb} MB."


def _workers(cores: int, limits: ServerLimits) -> tuple[int, str]:
    """As many workers as cores, though the leader works too: measured on 2 cores, two build faster than one."""
    workers = max(
        0, min(cores if cores > 1 else 0, limits.max_worker_processes, limits.max_parallel_workers, _MAX_WORKERS)
    )
    if workers == 0:
        return 0, "Built by one process."
    return workers, f"Built by {workers} workers and their leader, on {cores} cores."


def _cliff(rows: int, bytes_per_row: int, memory_mb: int) -> str:
    fits = memory_mb * _MB // bytes_per_row
    if rows <= fits:
        return ""
    return (
        f"The graph outgrows {memory_mb:,} MB after about {fits:,} of {rows:,} rows, "
        "and the build then slows about threefold"
    )
