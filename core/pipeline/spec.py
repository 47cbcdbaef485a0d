"""What the observer tells a subject, and a subject its workers. On standard input, as it may hold a password."""

from __future__ import annotations

import msgspec

from ..model import Strategy
from ..settings import Settings


class SubjectSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt at a run. `settings` are those in force for this attempt; `dsn` reaches the table's server."""

    run: str
    spool: str
    settings: Settings
    dsn: str
    observer_pid: int
    strategy: Strategy | None = None


class WorkerSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker needs besides its orders."""

    role: str
    spool: str
    settings: Settings
    observer_pid: int
    events_fd: int  # the subject's alone: a forked worker closes its copy
