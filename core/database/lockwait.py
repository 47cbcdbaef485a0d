"""A statement that waits for a lock on the table: says meanwhile who has it, and says so too when the wait is over."""

from __future__ import annotations

import time
from collections.abc import Callable

from psycopg import sql

from ..errors import DatabaseError
from .connection import Connection
from .table import TableName
from .watched import TICK_S, run_watched
from .watcher import Watcher


class LockWait:
    """Waits on `connection` as long as its lock_timeout says; `limited` when that is not for ever.

    `say` is told who blocks, in the caller's thread.
    """

    def __init__(
        self, connection: Connection, table: TableName, watcher: Watcher, *, limited: bool, say: Callable[[str], None]
    ) -> None:
        self._connection = connection
        self._table = table
        self._watcher = watcher
        self._limited = limited
        self._say = say
        self._blocker = ""

    def execute(self, statement: sql.Composable) -> None:
        """Raises psycopg.errors.LockNotAvailable when the lock was not to be had, and what the server else refuses."""
        run_watched(self._connection, statement, self._look)

    def _look(self) -> None:
        who = self._watcher.blocked_by()
        # Where no time limit ends the wait there is no progress, and to say it again would look like some.
        if who and (self._limited or who != self._blocker):
            self._blocker = who
            self._say(f"waits for {who}")

    def pause(self, seconds: float) -> None:
        """Lets a time pass before the next try, and says so all the while: it is no hang."""
        end_s = time.monotonic() + seconds
        while (left_s := end_s - time.monotonic()) > 0:
            self._say(f"waits for {self._holder}, and tries again in {left_s:.1f} s")
            time.sleep(min(TICK_S, left_s))

    @property
    def _holder(self) -> str:
        return self._blocker or "a session that has just ended"

    def refusal(self, waited: str) -> DatabaseError:
        """The sentence for a wait that was in vain; `waited` says how long."""
        return DatabaseError(
            f"The table {self._table} is locked by {self._holder}, and the load waited {waited}",
            hint="Let that session end its transaction, or end it with pg_terminate_backend, and try again",
        )
