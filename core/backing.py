"""What a run stands on besides its spool: the server, the table's lock, and the checks that come before any work."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from .settings import Settings

if TYPE_CHECKING:
    from .database.embedded import EmbeddedServer
    from .database.tablelock import TableLock
    from .supervise.bystander import Bystander
    from .supervise.embedding_server import EmbeddingServer

STALL_AFTER = 12
"""Requests of a scenario's embedding server before it falls silent: the first is the one that loads the model."""


class Backing:
    """Server and lock of one run. `dsn` reaches the server and may hold a password."""

    def __init__(self, settings: Settings) -> None:
        self.dsn = ""
        self._settings = settings
        self._server: EmbeddedServer | None = None
        self._lock: TableLock | None = None
        self._bystander: Bystander | None = None
        self._embedding_server: EmbeddingServer | None = None

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
        from .database import swap, tablelock  # imported here: `attach` and `ps` must work without psycopg
        from .database import table as tables
        from .database.connection import connect

        name = tables.TableName.parse(self._settings.table)
        self.dsn = self._embedded() if self._settings.dsn is None else self._settings.dsn
        orphans = tablelock.end_orphans(self.dsn, run)
        self._lock = tablelock.TableLock.acquire(self.dsn, name, run)
        with connect(self.dsn, run=run, role="check") as connection:
            tables.check(connection, name, storage=self._settings.storage)
            if self._settings.replace == "swap":
                swap.require_swappable(connection, name)
        return orphans

    def bring_trouble(self, run: str) -> None:
        """Opens the other session that the scenario asks for, if it does. Raises DatabaseError."""
        if self._settings.fault == "open-transaction":
            from .supervise.bystander import Bystander

            settings = self._settings
            self._bystander = Bystander(run=run, dsn=self.dsn, table=settings.table, storage=settings.storage)

    def serve(self, *, resumed: bool) -> Settings:
        """The settings with the address of the server that the scenario brings along, if it does; else as they are.

        It falls silent after some requests. A run that is taken up finds it restarted. Raises EmbedderError.
        """
        if self._settings.fault != "embedder-stall":
            return self._settings
        from .supervise.embedding_server import EmbeddingServer

        faults = [] if resumed else [{"kind": "stall", "after": STALL_AFTER}]
        self._embedding_server = EmbeddingServer(*faults)
        return msgspec.structs.replace(self._settings, ollama_url=self._embedding_server.url)

    def end_session(self, run: str, pid: int, application: str) -> None:
        """Ends a session of the server, if it still has this application name, and waits until it is gone.

        Raises DatabaseError where that is not allowed.
        """
        import psycopg

        from .database.connection import connect, translate
        from .database.tablelock import end_backend

        with connect(self.dsn, run=run, role="fix", autocommit=True) as connection:
            try:
                end_backend(connection, pid, application)
            except psycopg.Error as error:
                raise translate(error) from error

    def _embedded(self) -> str:
        from .database.embedded import EmbeddedServer

        self._server = EmbeddedServer.acquire()
        return self._server.dsn

    def close(self) -> None:
        """Ends the scenario's other session and its embedding server, and gives lock and server back."""
        if self._embedding_server is not None:
            self._embedding_server.close()
        if self._bystander is not None:
            self._bystander.close()
        if self._lock is not None:
            self._lock.release()
        if self._server is not None:
            self._server.release()
