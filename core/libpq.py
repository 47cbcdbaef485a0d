"""The PG* variables, which libpq reads by itself. Nothing heavy: psycopg may be what is broken."""

from __future__ import annotations

import os

FROM_ENVIRONMENT = "env"
"""The dsn that means: as the PG* variables say."""
_FILES = frozenset({"PGPASSFILE", "PGSERVICEFILE", "PGSYSCONFDIR"})


def variables() -> dict[str, str]:
    """All that libpq would read."""
    return {name: value for name, value in os.environ.items() if name.startswith("PG")}


def meddling() -> dict[str, str]:
    """Those that would change what a given dsn means. The others name files in which libpq looks up what the dsn
    leaves to them: a password, or a service.
    """
    return {name: value for name, value in variables().items() if name not in _FILES}
