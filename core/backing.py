"""What a run stands on besides its spool: the server, the table's lock, and the checks that come before any work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .settings import Settings

if TYPE_CHECKING:
    from .database.embedded import EmbeddedServer
    from .database.tablelock import TableLock


class Backing:
    """Server and lock of one run. `dsn` reaches the server and may hold a password."""

    def __init__(self, settings: Settings) -> None:
        self.dsn = ""
        self._settings = settings
        self._server: EmbeddedServer | None = None
        self._lock: TableLock | None = None

    def check_words(self) -> None:
        """Raises UsageError when the table's name or the DSN cannot be read; connects to nothing."""
        from .database import dsn, table

        table.TableName.parse(self._settings.table)
        if self._settings.dsn is not None:
            dsn.parse(self._settings.dsn)

    def open(self, run: str) -> int:
        """Starts or joins the embedded server unless there is a DSN, ends what an earlier attempt of `run` left on
        the server, takes the table's lock and checks the table; how many orphaned sessions were ended.

        Raises DatabaseError or UsageError.
        """
        from .database import table as tables  # imported here: `attach` and `ps` must work without psycopg
        from .database import tablelock
        from .database.connection import connect

        name = tables.TableName.parse(self._settings.table)
        self.dsn = self._embedded() if self._settings.dsn is None else self._settings.dsn
        orphans = tablelock.end_orphans(self.dsn, run)
        self._lock = tablelock.TableLock.acquire(self.dsn, name, run)
        with connect(self.dsn, run=run, role="check") as connection:
            tables.check(connection, name)
        return orphans

    def _embedded(self) -> str:
        from .database.embedded import EmbeddedServer

        self._server = EmbeddedServer.acquire()
        return self._server.dsn

    def close(self) -> None:
        """Gives lock and server back."""
        if self._lock is not None:
            self._lock.release()
        if self._server is not None:
            self._server.release()
