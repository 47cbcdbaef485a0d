"""One statement on one connection, watched from the same thread while the server works on it.

No helper thread: the statement is sent, and between looks at the socket the caller's `tick` runs. So Ctrl-C reaches
the caller at once, and callbacks run only where the caller is. Must never be used inside a COPY or a pipeline.
"""

from __future__ import annotations

import select
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql
from psycopg.pq import ExecStatus

from .connection import Connection

TICK_S = 0.25
# A cancelled statement answers soon; a server that does not is left to its client_connection_check_interval.
_CANCEL_S = 5.0


def run_watched(connection: Connection, statement: sql.Composable, tick: Callable[[], None]) -> None:
    """Executes a statement without a result, calling `tick` every 0.25 s until it is done.

    Raises the server's error (psycopg.Error). When `tick` raises or the caller is interrupted, the statement is
    cancelled first.
    """
    pgconn = connection.pgconn
    try:
        pgconn.send_query(statement.as_bytes(connection))
        while pgconn.flush():
            _wait(pgconn.socket, select.POLLOUT | select.POLLIN)
            pgconn.consume_input()
        while pgconn.is_busy():
            if _wait(pgconn.socket, select.POLLIN):
                pgconn.consume_input()
            else:
                tick()
    except psycopg.Error:
        raise
    except BaseException:
        connection.cancel_safe(timeout=_CANCEL_S)
        _drain(connection)
        raise
    if error := _drain(connection):
        raise error


def _wait(fd: int, events: int) -> bool:
    poll = select.poll()
    poll.register(fd, events)
    return bool(poll.poll(TICK_S * 1000))


def _drain(connection: Connection) -> psycopg.Error | None:
    """Takes every result, as libpq demands before the next statement; the first error among them."""
    error: psycopg.Error | None = None
    while result := connection.pgconn.get_result():
        if result.status == ExecStatus.FATAL_ERROR and error is None:
            error = psycopg.errors.error_from_result(result, encoding=connection.info.encoding)
    return error


@contextmanager
def notices_into(connection: Connection, notices: list[str]) -> Iterator[None]:
    """Collects the server's NOTICEs and WARNINGs while the block runs."""

    def keep(diagnostic: psycopg.errors.Diagnostic) -> None:
        if diagnostic.message_primary:
            notices.append(diagnostic.message_primary)

    connection.add_notice_handler(keep)
    try:
        yield
    finally:
        connection.remove_notice_handler(keep)
