"""An index that is being built, slowly. No hang."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ...database.index import hnsw_bytes_per_row
from ...model import Certainty, Remedy, Verdict
from .. import database
from ..card import Card
from ..case import Case
from ..database import Party

CARD = Card(
    slug="slow-index-build",
    title="The server builds an index, and gets on with it",
    certainty=Certainty.NOT_HUNG,
    explanation=(
        "The program waits for CREATE INDEX, and the server works on it. An HNSW index is built quickly only while its"
        " graph fits into maintenance_work_mem. Once it has outgrown that, each further row is written into the index"
        " on disk, which is several times slower, and the server says so only in a NOTICE that nobody may have read."
        " The statement sends nothing before its end, so that the client looks asleep all the time."
    ),
    conditions=(
        "A server process of the program has CREATE INDEX or REINDEX as its title, and does not wait for a lock.",
        "It uses the CPU, or pg_stat_progress_create_index grows between two readings.",
    ),
    fixes=(
        Remedy(title="Wait", cost="pg_stat_progress_create_index shows how far it is"),
        Remedy(
            title="Give the build enough memory",
            cost="an HNSW graph takes about 4.7 kB a row at 1024 dimensions, for as long as it is built",
            command="SET maintenance_work_mem = '4GB'",
        ),
        Remedy(
            title="Build it in several processes",
            cost="as many cores, and shared memory for the whole graph",
            command="SET max_parallel_maintenance_workers = 7",
        ),
    ),
    disproof="Counts in pg_stat_progress_create_index that stand still, and a server process that uses no CPU.",
    links=(
        "https://github.com/pgvector/pgvector#index-build-time",
        "https://github.com/pgvector/pgvector/issues/300",
        "https://github.com/pgvector/pgvector/issues/464",
        "https://github.com/pgvector/pgvector/issues/504",
        "https://github.com/pgvector/pgvector/issues/775",
        "https://github.com/pgvector/pgvector/issues/844",
    ),
)

_COMMANDS = ("CREATE INDEX", "REINDEX")
# On a machine with more work than cores little is left for it.
_WORKS_SHARE = 0.05
_DEFAULT_M = 16  # pgvector's
_M = re.compile(r"\bm\s*=\s*(\d{1,3})\b")


def match(case: Case) -> Iterator[Verdict]:
    """Not hung, for each index that is being built for the tree."""
    for party in database.parties(case).values():
        row, grew = database.progress(case, party)
        builds = row is not None and row.unit != "bytes"
        named = database.command(party).startswith(_COMMANDS)
        busy = party.backend is not None and party.backend.cpu_share >= _WORKS_SHARE
        tid = database.waiting_thread(case, party)
        if party.state == "active" and (builds or named) and (busy or grew) and tid:
            yield CARD.verdict(
                culprits=[case.culprit(tid)],
                evidence=(
                    f"{case.who(tid)}: {case.wait(tid).text}",
                    *_progress(case, party),
                    _cause(case, party),
                    *case.notes,
                ),
            )


def _progress(case: Case, party: Party) -> Iterator[str]:
    yield party.words
    if party.backend is not None:
        yield f"backend {party.pid}: {party.backend.cpu_share:.0%} of a core, its parallel workers included"
    activity = case.surroundings.activity
    row, _ = database.progress(case, party)
    if row is None or activity is None:
        return
    before = next((each for each in activity.earlier if each.pid == row.pid), row)
    line = f"pg_stat_progress_create_index: {row.phase}, {row.done:,} of {row.total:,} {row.unit}"
    yield f"{line}, {row.rows:,} rows; {row.rows - before.rows:,} rows in the last {activity.gap_s:.1f} s"


def _cause(case: Case, party: Party) -> str:
    """Whether its graph fits into memory, as far as that can be told from outside."""
    activity = case.surroundings.activity
    row, _ = database.progress(case, party)
    memory = activity.maintenance_memory_kb * 1024 if activity else 0
    query = party.session.query if party.session else ""
    if row is None or not row.dimensions or not memory or "hnsw" not in query.lower():
        return "the usual cause is a maintenance_work_mem that its graph has outgrown: look for that NOTICE in the log"
    m = _M.search(query)
    fits = memory // hnsw_bytes_per_row(row.dimensions, int(m[1]) if m else _DEFAULT_M)
    state = "has outgrown that" if row.rows > fits else "would fit"
    return (
        f"maintenance_work_mem is {memory >> 20:,} MB for a new session, and its own may differ: that is room for a"
        f" graph of about {fits:,} rows of {row.dimensions} dimensions; this one has {row.rows:,} so far, and {state}"
    )
