"""The phases convert, store, index and verify: from the spool into a table that has been proven right."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from ..database import index as indexes
from ..database import search
from ..database import table as tables
from ..database import verify as verification
from ..database.connection import Connection, connect
from ..database.limits import server_limits
from ..database.load import LoadResult, Row, load_with_retry
from ..embedding.protocol import Remote
from ..errors import ConnectionLost, EmbedderError, VectorError
from ..events import (
    IndexChosen,
    Log,
    PhaseFinished,
    PhaseProgress,
    PhaseStarted,
    Recall,
    SampleHit,
    SampleSearch,
    Verified,
)
from ..model import Phase
from .content import DIMENSIONS, Content
from .convert import convert
from .emitter import Emitter
from .kit import Kit
from .lost_connection import lost_midway
from .spec import SubjectSpec

CONVERT_BATCH = 1024  # rows: 4 MB of vectors at a time
SAMPLE_QUERIES = (
    "software engineer with Python and cloud experience",
    "fluent in French and German, worked abroad",
    "university degree, published research",
)
SAMPLE_HITS = 3


def convert_all(spool: Content, emitter: Emitter) -> None:
    """Normalises every vector in place.

    Raises VectorError naming the chunk when one must not be stored; its done flag is taken back, so that a resume
    computes it anew.
    """
    total = spool.manifest.chunks
    emitter.emit(PhaseStarted(phase=Phase.CONVERT, total=total, unit="chunks", detail="float32, L2-normalised"))
    for first in range(0, total, CONVERT_BATCH):
        batch = spool.vectors[first : first + CONVERT_BATCH]
        try:
            convert(batch, first=first, name=spool.name, out=batch)
        except VectorError:
            spool.done[first : first + CONVERT_BATCH][_unusable(batch)] = 0
            raise
        emitter.emit(PhaseProgress(phase=Phase.CONVERT, done=first + len(batch), total=total))
    emitter.emit(PhaseFinished(phase=Phase.CONVERT, done=total, total=total))


def _unusable(batch: NDArray[Any]) -> NDArray[np.bool_]:
    """Which rows hold NaN, Inf or nothing but zeros, shape (n,)."""
    return np.asarray(~np.isfinite(batch).all(axis=1) | ~batch.any(axis=1))


class Loader:
    """Stores, indexes and verifies one spool's chunks. `entered` is told each phase as it begins."""

    def __init__(
        self, spool: Content, spec: SubjectSpec, emitter: Emitter, kit: Kit, entered: Callable[[Phase], None]
    ) -> None:
        self._spool = spool
        self._spec = spec
        self._emitter = emitter
        self._kit = kit
        self._entered = entered
        self._table = tables.TableName.parse(spec.settings.table)
        self._total = spool.manifest.chunks
        self._phase = Phase.STORE
        self._to_lose = spec.settings.fault == "end-backend" and spec.strategy is None

    def run(self) -> None:
        """Raises DatabaseError; the old rows are then still there, unless the new ones had been committed."""
        self._begin(Phase.STORE, f"COPY into {self._target}")
        with self._connect("prepare") as connection:
            storage = self._spec.settings.storage
            tables.check(connection, self._table, dimensions=DIMENSIONS, storage=storage)
            tables.create(connection, self._table, dimensions=DIMENSIONS, storage=storage)
            plan = self._plan(connection)
        self._say(plan)
        result = self._load(plan)
        self._end_load(plan, result)
        self._begin(Phase.VERIFY, "counts, norms, the index, recall@10")
        with self._connect("verify") as connection:
            self._verify(connection, plan)

    @property
    def _target(self) -> str:
        return f"a new {self._table}" if self._spec.settings.replace == "swap" else str(self._table)

    def _connect(self, role: str) -> Connection:
        return connect(self._spec.dsn, run=self._spec.run, role=role)

    def _begin(self, phase: Phase, detail: str) -> None:
        self._phase = phase
        self._entered(phase)
        self._emitter.emit(PhaseStarted(phase=phase, total=self._total, unit="rows", detail=detail))

    # store and index: one transaction

    def _plan(self, connection: Connection) -> indexes.IndexPlan:
        settings = self._spec.settings
        local = _is_local(connection)
        return indexes.plan(
            rows=self._total,
            dimensions=DIMENSIONS,
            kind=settings.index,
            metric=settings.metric,
            storage=settings.storage,
            memory_bytes_available=psutil.virtual_memory().available if local else None,
            cores=os.cpu_count() or 1,
            server_limits=server_limits(connection, on_this_machine=local),
            overrides=indexes.Overrides(
                m=settings.m,
                ef_construction=settings.ef_construction,
                lists=settings.lists,
                maintenance_work_mem_mb=settings.maintenance_work_mem_mb,
            ),
        )

    def _say(self, plan: indexes.IndexPlan) -> None:
        self._emitter.emit(
            IndexChosen(
                kind=plan.kind,
                metric=plan.metric,
                parameters=plan.parameters,
                maintenance_work_mem_mb=plan.maintenance_work_mem_mb,
                parallel_workers=plan.parallel_workers,
                reason=plan.reason,
                warning=plan.warning,
            )
        )

    def _load(self, plan: indexes.IndexPlan) -> LoadResult:
        manifest, settings = self._spool.manifest, self._spec.settings
        return load_with_retry(
            self._spec.dsn,
            self._table,
            self._rows,
            run=self._spec.run,
            total=self._total,
            plan=plan,
            marker=tables.Marker(
                run=self._spec.run,
                embedder=manifest.embedder,
                tokenizer=manifest.tokenizer,
                served=manifest.served,
                metric=settings.metric,
                index=settings.index,
                dimensions=DIMENSIONS,
                rows=self._total,
            ),
            progress=self._progress,
            on_retry=self._retry,
            replace=settings.replace,
            lock_timeout_ms=round(settings.lock_timeout_s * 1000),
        )

    def _rows(self) -> Iterator[Row]:
        """Every row, from the first; where the scenario has it, the first time on a connection that gets lost."""
        if not self._to_lose:
            return self._every_row()
        self._to_lose = False
        return lost_midway(self._every_row(), total=self._total, dsn=self._spec.dsn, run=self._spec.run)

    def _every_row(self) -> Iterator[Row]:
        spool = self._spool
        for index in range(self._total):
            chunk = spool.chunk(index)
            yield Row(
                index,
                chunk.source,
                chunk.ordinal,
                chunk.text,
                chunk.start_char,
                chunk.end_char,
                int(spool.counts[index]),
                spool.vectors[index],
            )

    def _progress(self, phase: Phase, done: int, total: int, detail: str) -> None:
        if phase is not self._phase:
            self._emitter.emit(PhaseFinished(phase=Phase.STORE, done=self._total, total=self._total))
            self._begin(phase, detail)
        self._emitter.emit(PhaseProgress(phase=phase, done=done, total=total, detail=detail))

    def _retry(self, number: int, error: ConnectionLost) -> None:
        text = f"{error.what}: the whole transaction is tried again (retry {number})"
        self._emitter.emit(Log(text=text, level="warning"))
        self._begin(Phase.STORE, f"COPY into {self._target}, retry {number}")

    def _end_load(self, plan: indexes.IndexPlan, result: LoadResult) -> None:
        for notice in result.notices:
            self._emitter.emit(Log(text=f"the server says: {notice}", level="warning"))
        if self._phase is Phase.STORE:  # no index was wanted
            self._emitter.emit(PhaseFinished(phase=Phase.STORE, done=self._total, total=self._total))
            self._begin(Phase.INDEX, "none")
        words = ", ".join([plan.kind, *(f"{name} {value}" for name, value in plan.parameters.items())])
        self._emitter.emit(PhaseFinished(phase=Phase.INDEX, done=self._total, total=self._total, detail=words))

    # verify

    def _verify(self, connection: Connection, plan: indexes.IndexPlan) -> None:
        found = verification.verify(
            connection,
            self._table,
            plan,
            expected_rows=self._total,
            expected_tokens=int(self._spool.counts.sum(dtype=np.int64)),
            dimensions=DIMENSIONS,
            progress=lambda done, total, what: self._emitter.emit(
                PhaseProgress(phase=Phase.VERIFY, done=done, total=total, detail=what)
            ),
        )
        self._emitter.emit(
            Verified(
                table=str(self._table),
                rows=found.rows,
                tokens=found.tokens,
                norm_min=found.norm_min,
                norm_max=found.norm_max,
                planner=_planner(found, self._total),
                forced=_forced(found),
                recalls=tuple(Recall(setting=p.setting, value=p.value, recall=p.recall) for p in found.recall),
                recommended=_recommended(found),
                searches=tuple(self._samples(connection)),
            )
        )
        self._emitter.emit(PhaseFinished(phase=Phase.VERIFY, done=self._total, total=self._total, detail="right"))

    def _samples(self, connection: Connection) -> Iterator[SampleSearch]:
        """The rows are right by now: a server that has gone since spoils no load."""
        try:
            for query in SAMPLE_QUERIES:
                yield self._sample(connection, query)
        except EmbedderError as error:
            text = f"no sample search, as queries cannot be embedded: {error.what}"
            self._emitter.emit(Log(text=text, level="warning"))
        finally:
            if isinstance(self._kit.embedder, Remote):
                self._kit.embedder.close()

    def _sample(self, connection: Connection, query: str) -> SampleSearch:
        vector = convert(self._kit.embedder.embed_query(query)[np.newaxis])[0]
        settings = self._spec.settings
        hits = search.nearest(
            connection, self._table, vector, limit=SAMPLE_HITS, metric=settings.metric, storage=settings.storage
        )
        return SampleSearch(
            query=query,
            hits=tuple(SampleHit(source=h.source, ordinal=h.ordinal, score=h.score, text=h.text) for h in hits),
        )


def _is_local(connection: Connection) -> bool:
    """Whether the server is reached over a unix socket, and so shares this machine's memory."""
    return connection.info.host.startswith(("/", "@"))


def _planner(found: verification.VerifyResult, rows: int) -> str:
    by = f"{found.planner_node} on {found.planner_index}" if found.planner_index else found.planner_node
    why = "" if found.planner_index or not found.index_name else f", which is cheaper at {rows:,} rows"
    return f"a search of the 10 nearest is planned as {by}{why}"


def _forced(found: verification.VerifyResult) -> str:
    if not found.index_name:
        return ""
    return f"{found.index_name} ({found.index_bytes / 1e6:.1f} MB) answers when sequential scans are off"


def _recommended(found: verification.VerifyResult) -> str:
    if not found.recall:
        return ""
    if found.recommended is None:
        return f"none reaches 0.95: raise {found.recall[-1].setting}"
    return f"{found.recommended.setting} = {found.recommended.value} is enough for 0.95"
