"""The scenario's other database session, in a program of its own."""

from __future__ import annotations

from ..errors import DatabaseError
from .companion import Companion

_READY_S = 30.0


class Bystander(Companion):
    """One such session."""

    def __init__(self, *, run: str, dsn: str, table: str, storage: str) -> None:
        """Returns when its transaction is open. DatabaseError when it could not be."""
        order = {"run": run, "dsn": dsn, "table": table, "storage": storage}
        super().__init__("cvdebug.core.pipeline.bystander", order, ready_s=_READY_S)
        if self.said != "ready":
            self.close()
            raise DatabaseError(f"The scenario's other session could not be opened: {self.said or 'it says nothing'}")
