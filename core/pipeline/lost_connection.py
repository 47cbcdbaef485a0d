"""A scenario's fault: the load's own backend is ended in the middle of its COPY, as an administrator might do it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

import psycopg

from ..database.connection import application_name, connect, translate
from ..database.tablelock import end_backend

T = TypeVar("T")


def lost_midway(rows: Iterator[T], *, total: int, dsn: str, run: str) -> Iterator[T]:
    """The rows; before the middle one of them the backend that takes them is ended, and gone.

    Raises DatabaseError where the session that ends it is not let in.
    """
    for number, row in enumerate(rows):
        if number == total // 2:
            _end_load(dsn, run)
        yield row


def _end_load(dsn: str, run: str) -> None:
    name = application_name(run, "load")
    with connect(dsn, run=run, role="administrator", autocommit=True) as connection:
        try:
            found = connection.execute(
                "SELECT pid FROM pg_stat_activity WHERE application_name = %s AND backend_type = 'client backend'",
                (name,),
            ).fetchall()
            for (pid,) in found:
                end_backend(connection, int(str(pid)), name)
        except psycopg.Error as error:
            raise translate(error) from error
