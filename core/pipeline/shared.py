"""One database connection on both sides of a fork: a scenario's fault.

The subject listens on it for its workers, which say on the very same connection that they are ready. The server's
answer to that statement and the notification that it causes come in one packet, and the subject reads it.
"""

from __future__ import annotations

import psycopg
from psycopg import generators

from ..database.connection import connect, translate
from ..errors import DatabaseError
from .spec import SubjectSpec
from .trouble import Trouble

ROLE = "reports"
CHANNEL = b"cvdebug_ready"
_THIS_MACHINE = ("127.0.0.1", "::1")


class SharedConnection(Trouble):
    """Opened by the subject. A worker fetches the answer to its first statement when there is work for it, and the
    subject hands out work once it has heard of every worker: so it always comes first."""

    def __init__(self, spec: SubjectSpec) -> None:
        """Raises DatabaseError when the server cannot be reached, or its side of the connection not be looked at."""
        self._connection = connect(spec.dsn, run=spec.run, role=ROLE, autocommit=True)
        info = self._connection.info
        if info.pgconn.ssl_in_use or not (info.host.startswith(("/", "@")) or info.hostaddr in _THIS_MACHINE):
            raise DatabaseError(
                "the fault shared-connection needs a server on this machine, without TLS: elsewhere nobody sees whose"
                " turn it is, and TLS would end the connection",
                hint="Leave --dsn out: the embedded server is one.",
            )
        self._connection.execute(b"LISTEN " + CHANNEL)
        self._asked = False

    def after_fork(self, workers: int) -> None:
        try:
            for _ in self._connection.notifies(stop_after=workers):
                pass
        except psycopg.Error as error:
            raise translate(error) from error

    def greet(self) -> None:
        self._connection.pgconn.send_query(b"NOTIFY " + CHANNEL)
        self._asked = True

    def obey(self, verb: str, role: str) -> None:
        if self._asked:
            self._asked = False
            try:
                self._connection.wait(generators.fetch_many(self._connection.pgconn))
            except psycopg.Error as error:
                raise translate(error) from error
