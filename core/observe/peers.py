"""The connections that threads of a tree wait on, and how far a request got at the other end."""

from __future__ import annotations

import msgspec

from ..model import TreeSnapshot


class Connection(msgspec.Struct, frozen=True, kw_only=True):
    """One socket that a thread waits on, and its other end.

    `address` is the other end's (`127.0.0.1:11434`, or the path of a unix socket; empty when it has none), `listening`
    says that this end waits for somebody to connect. `unread_bytes` lie unread at this end, `peer_unread_bytes` at the
    other, None when that is not on this machine. `peer_pids` hold the other end; empty when it is elsewhere, not
    visible, or gone. `accepted` is False while the other end waits in a listener's backlog, whose holders are then
    `peer_pids`; None when that is not known. `gone` says that the other end is closed. `silent_s` is the time since the
    last byte came, `since_sent_s` since the last one went out; None when not known.
    """

    pid: int
    tid: int
    inode: int
    family: str  # "tcp" or "unix"
    address: str = ""
    listening: bool = False
    unread_bytes: int = 0
    peer_unread_bytes: int | None = None
    peer_pids: tuple[int, ...] = ()
    accepted: bool | None = None
    gone: bool = False
    silent_s: float | None = None
    since_sent_s: float | None = None


def connections(first: TreeSnapshot) -> tuple[Connection, ...]:
    """The sockets that threads of the tree wait on, with their other ends."""
    return ()
