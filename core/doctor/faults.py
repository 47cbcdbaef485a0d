"""Versions of PostgreSQL, pgvector and Ollama with known faults that concern a run.

Each fault stands with its source: release notes, an advisory, an issue.
"""

from __future__ import annotations

import re
from typing import NamedTuple

Version = tuple[int, ...]


class Fault(NamedTuple):
    """Present from `first` on, gone in `fixed`. `kind`: only an index of this kind is concerned; empty: every run."""

    first: Version
    fixed: Version
    what: str
    kind: str = ""


POSTGRESQL = (
    # https://www.postgresql.org/docs/release/14.4/
    Fault((14, 0), (14, 4), "CREATE INDEX CONCURRENTLY and REINDEX CONCURRENTLY can leave rows out of an index"),
    # https://www.postgresql.org/docs/release/18.3/: the releases of 12 February 2026
    *(
        Fault((major, minor), (major, minor + 1), "substring() of a column fails on texts that are not ASCII")
        for major, minor in ((14, 21), (15, 16), (16, 12), (17, 8), (18, 2))
    ),
)
PGVECTOR = (
    # https://github.com/pgvector/pgvector/issues/959
    Fault((0, 6), (0, 8, 2), "a parallel HNSW build can write past its buffer (CVE-2026-3172)", "hnsw"),
    # https://github.com/pgvector/pgvector/blob/master/CHANGELOG.md, 0.8.3 and 0.8.7
    Fault((0, 5), (0, 8, 3), "VACUUM can damage an HNSW index", "hnsw"),
    Fault((0, 1), (0, 8, 7), "an IVFFlat build can write past its buffer", "ivfflat"),
)
OLLAMA = (
    # Between these its own tokenizer splits accented words in a way of its own: cvdebug asks for `resume` and `résumé`.
    Fault((0, 13, 5), (0, 25), "words with accents are embedded wrongly"),
)


def parsed(version: str) -> Version:
    """The numbers at the beginning of a version; () when there are none."""
    found = re.match(r"v?(\d{1,9}(?:\.\d{1,9})*)", version.strip())
    return tuple(int(part) for part in found.group(1).split(".")) if found else ()


def known(version: str, faults: tuple[Fault, ...]) -> list[Fault]:
    """Those that this version has."""
    numbers = parsed(version)
    return [fault for fault in faults if numbers and fault.first <= numbers < fault.fixed]


def told(fault: Fault) -> str:
    """A clause with the version that mends it."""
    return f"{fault.what}, before {'.'.join(map(str, fault.fixed))}"
