"""What can end a wait on a descriptor: a pipe, a socket, an epoll set, an event, a timer, a process.

Whoever may hold the other end counts. Where somebody who was not seen may hold it as well, the source is external.
Asks the `World` and reads nothing itself.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from ..model import Descriptor, DescriptorKind, ProcessSnapshot
from . import sockets
from .fds import parse_access
from .waits import Request
from .world import World

# How many of many are named in a sentence.
NAMED = 4


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that can end a wait: in words what is waited for, and who could bring it about."""

    words: str
    pids: frozenset[int] = frozenset()
    external: str = ""
    timed: bool = False
    inodes: tuple[int, ...] = ()


def of_descriptor(pid: int, fd: int, request: Request, world: World) -> Source:
    """What a thread waits for on one of its descriptors."""
    item = world.descriptor(pid, fd)
    if item is None:
        return Source(words=f"descriptor {fd}", external=f"its descriptor {fd} cannot be seen")
    if fd in request.sets:
        mode = world.access(pid, fd)
        return _of_item(pid, item, world, reads=mode.reads, writes=mode.writes)
    source = _of_item(pid, item, world, reads=fd in request.reads, writes=fd in request.writes)
    return _with_own_timeout(pid, item, source, world)


def _with_own_timeout(pid: int, item: Descriptor, source: Source, world: World) -> Source:
    """A blocking call on a socket may be ended by a timeout of the socket itself."""
    if item.kind is not DescriptorKind.SOCKET or source.external:
        return source
    timeout = world.timeout(pid, item.fd)
    if timeout is None:
        return msgspec.structs.replace(source, external="whether its socket has a timeout cannot be seen")
    return msgspec.structs.replace(source, timed=timeout)


def _of_item(pid: int, item: Descriptor, world: World, *, reads: bool, writes: bool) -> Source:
    match item.kind:
        case DescriptorKind.PIPE:
            return _pipe(item.inode, world, reads=reads, writes=writes)
        case DescriptorKind.SOCKET:
            return _socket(item.inode, world)
        case DescriptorKind.EPOLL:
            return _epoll(pid, item.fd, world)
        case DescriptorKind.EVENTFD:
            return _eventfd(pid, item.fd, world)
        case DescriptorKind.TIMERFD:
            return _timerfd(pid, item.fd, world)
        case DescriptorKind.PIDFD:
            return pidfd(pid, item.fd, world)
    return Source(words=item.link, external=f"what ends a wait on {item.link} cannot be seen")


def _pipe(inode: int, world: World, *, reads: bool, writes: bool) -> Source:
    """A reader waits for the holders of the write end, a writer for those of the read end."""
    key = (inode, reads, writes)
    source = world.remembered.get(key)
    if not isinstance(source, Source):
        source = world.remembered[key] = _pipe_source(inode, world, reads=reads, writes=writes)
    return source


def _pipe_source(inode: int, world: World, *, reads: bool, writes: bool) -> Source:
    found = []
    for pid, fd in world.holders(DescriptorKind.PIPE, inode):
        mode = world.access(pid, fd)
        if (reads and mode.writes) or (writes and mode.reads):
            found.append((pid, fd))
    end, what = ("write", "data") if reads else ("read", "room")
    who = f"whose {end} end is held by {listed(pid for pid, _ in found)}" if found else f"whose {end} end nobody holds"
    external = doubt(found, world) if found else f"the {end} end of pipe {inode} has a holder that cannot be seen"
    words = f"{what} on pipe {inode}, {who}"
    return Source(words=words, pids=frozenset(pid for pid, _ in found), external=external, inodes=(inode,))


def _socket(inode: int, world: World) -> Source:
    own = world.holders(DescriptorKind.SOCKET, inode)
    unix = world.unix.get(inode)
    row = world.tcp_by_inode.get(inode) if unix is None else None
    if sockets.LISTEN in (unix and unix.state, row and row.state):
        return Source(
            words=f"somebody to connect to socket {inode}", external="anybody may connect to it", inodes=(inode,)
        )
    if unix is not None:
        return _unix(unix, own, world)
    if row is not None and row.state == sockets.ESTABLISHED:
        return _tcp(row, own, world)
    external = f"who is at the other end of socket {inode} cannot be seen"
    return Source(words=f"socket {inode}", external=external, inodes=(inode,))


def _unix(unix: sockets.UnixSocket, own: tuple[tuple[int, int], ...], world: World) -> Source:
    peers = world.holders(DescriptorKind.SOCKET, unix.peer) if unix.peer else ()
    words = f"socket {unix.inode}, whose other end {unix.peer} is held by {listed(pid for pid, _ in peers)}"
    if not unix.peer:
        entry = next((entry for entry in world.unix.values() if unix.inode in entry.pending), None)
        peers = world.holders(DescriptorKind.SOCKET, entry.inode) if entry else ()
        words = f"socket {unix.inode}, which {listed(pid for pid, _ in peers)} did not accept yet"
    return _ends(unix.inode, words, peers, own, world)


def _tcp(row: sockets.TcpSocket, own: tuple[tuple[int, int], ...], world: World) -> Source:
    other = world.tcp_peer(row)
    if other is None:
        external = f"{row.remote} is elsewhere, and may answer"
        return Source(words=f"socket {row.inode}, connected to {row.remote}", external=external, inodes=(row.inode,))
    peers = world.holders(DescriptorKind.SOCKET, other.inode) if other.inode else ()
    words = f"socket {row.inode}, connected to {row.remote}, which is held by {listed(pid for pid, _ in peers)}"
    if not other.inode and other.state == sockets.ESTABLISHED:
        heard = [listener.inode for listener in sockets.listeners(other.local, world.tcp) if listener.received]
        peers = tuple(holder for inode in heard for holder in world.holders(DescriptorKind.SOCKET, inode))
        words = f"socket {row.inode}, which {listed(pid for pid, _ in peers)} did not accept yet at {row.remote}"
    return _ends(row.inode, words, peers, own, world)


def _ends(
    inode: int, words: str, peers: tuple[tuple[int, int], ...], own: tuple[tuple[int, int], ...], world: World
) -> Source:
    """Whoever holds the other end can send; whoever holds this one can shut it down."""
    if not peers:
        return Source(words=words, external=f"nobody visible holds the other end of socket {inode}", inodes=(inode,))
    pids = frozenset(pid for pid, _ in peers + own)
    return Source(words=words, pids=pids, external=doubt(peers + own, world), inodes=(inode,))


def _epoll(pid: int, fd: int, world: World) -> Source:
    """Any member of the set ends it, and whoever shares the set may change it."""
    sharers = frozenset(_sharers(pid, fd, DescriptorKind.EPOLL, world))
    external = _doubt_of_copy(pid, fd, world)
    members = []
    for target, inode in parse_epoll(world.info(pid, fd)):
        if inode is None:
            return Source(words="an epoll set", external="its epoll set cannot be read")
        members.append(_member(pid, target, inode, world))
    words = " or ".join(member.words for member in members[:NAMED]) or "an empty epoll set"
    more = f" or {len(members) - NAMED} more" if len(members) > NAMED else ""
    return Source(
        words=words + more,
        pids=sharers.union(*(member.pids for member in members)),
        external=external or next((member.external for member in members if member.external), ""),
        timed=any(member.timed for member in members),
        inodes=tuple(inode for member in members for inode in member.inodes),
    )


def _member(pid: int, target: int, inode: int, world: World) -> Source:
    """The set keeps the file that had this number when it was added; the number may stand for another one now."""
    item = world.descriptor(pid, target)
    if item is not None and (item.inode or _inode(world.info(pid, target))) == inode:
        mode = world.access(pid, target)
        nested = item.kind is DescriptorKind.EPOLL
        if not nested:
            return _of_item(pid, item, world, reads=mode.reads, writes=mode.writes)
    elif world.holders(DescriptorKind.SOCKET, inode):
        return _socket(inode, world)
    elif world.holders(DescriptorKind.PIPE, inode):
        return _pipe(inode, world, reads=True, writes=True)
    return Source(words=f"inode {inode}", external="a member of its epoll set cannot be seen")


def parse_epoll(fdinfo: bytes) -> list[tuple[int, int | None]]:
    """(descriptor, inode) of each member of an epoll set; a broken line gives no inode, an empty file one such."""
    found: list[tuple[int, int | None]] = [] if b"flags:" in fdinfo else [(-1, None)]
    for line in fdinfo.splitlines():
        if not line.startswith(b"tfd:"):
            continue
        try:
            fd, inode = int(line[4:].split()[0]), int(line.partition(b"ino:")[2].split()[0], 16)
        except (ValueError, IndexError):
            found.append((-1, None))
        else:
            found.append((fd, inode))
    return found


def _eventfd(pid: int, fd: int, world: World) -> Source:
    identity = _field(world.info(pid, fd), b"eventfd-id:")
    if not identity:
        return Source(words="an eventfd", external="who shares its eventfd cannot be seen")
    found = [
        holder
        for holder in world.all_of(DescriptorKind.EVENTFD)
        if _field(world.info(*holder), b"eventfd-id:") in (identity, b"")
    ]
    external = doubt(found, world)
    if any(world.kernel_may_signal(holder) for holder, _ in found):
        external = "the kernel's own input and output may signal its eventfd"
    pids = frozenset(holder for holder, _ in found)
    return Source(words=f"eventfd {identity.decode()}, held by {listed(pids)}", pids=pids, external=external)


def _timerfd(pid: int, fd: int, world: World) -> Source:
    value = _field(world.info(pid, fd), b"it_value:")
    if not value:
        return Source(words="a timer", external="its timer cannot be read")
    armed = any(character in b"123456789" for character in value)
    pids = frozenset({pid, *_sharers(pid, fd, DescriptorKind.TIMERFD, world)})
    words = "a timer that runs" if armed else f"a timer that is not set, held by {listed(pids)}"
    return Source(words=words, pids=pids, external=_doubt_of_copy(pid, fd, world), timed=armed)


def pidfd(pid: int, fd: int, world: World) -> Source:
    number = _field(world.info(pid, fd), b"Pid:")
    if not number.isdigit() or int(number) not in world.processes:
        return Source(words="a process to end", external="the process that it waits for is not in the tree")
    return Source(words=f"PID {int(number)} to end", pids=frozenset({int(number)}))


def _field(fdinfo: bytes, key: bytes) -> bytes:
    for line in fdinfo.splitlines():
        if line.startswith(key):
            return line[len(key) :].strip()
    return b""


def _inode(fdinfo: bytes) -> int | None:
    value = _field(fdinfo, b"ino:")
    return int(value) if value.isdigit() else None


def _sharers(pid: int, fd: int, kind: DescriptorKind, world: World) -> Iterable[int]:
    """The processes of the tree that have the same open file: an object without an inode is known by that alone."""
    yield pid
    for other, other_fd in world.all_of(kind):
        if other != pid and other in world.processes and world.shares_file(pid, fd, other, other_fd):
            yield other


def root_of(world: World) -> ProcessSnapshot:
    return next(iter(world.processes.values()))


def doubt(holders: Iterable[tuple[int, int]], world: World, *, inherited: bool | None = None) -> str:
    """Why somebody who was not seen may hold it too; empty when nobody can."""
    known = list(holders)
    outside = [pid for pid, _ in known if pid not in world.processes]
    if outside:
        return f"PID {outside[0]}, which is not in the tree, holds it"
    if world.blind_inside:
        return f"what PID {world.blind_inside[0]} holds may not be looked at"
    if not world.table.complete:
        return "processes appear faster than they can be looked at"
    if inherited is None:
        inherited = world.blind_outside and (
            root_of(world).forked or any(not world.access(*holder).closes for holder in known)
        )
    if inherited:
        return "somebody outside of the tree who may not be looked at may hold it"
    return "descriptors are on their way in a message" if world.in_flight else ""


def _doubt_of_copy(pid: int, fd: int, world: World) -> str:
    """The same for objects without an inode: others are not asked, so that it must have been made in the tree."""
    if root_of(world).forked or not parse_access(world.info(pid, fd)).closes:
        return "it may be inherited from outside of the tree"
    return doubt([], world, inherited=False)


def listed(pids: Iterable[int]) -> str:
    numbers = [str(pid) for pid in sorted(set(pids))]
    if not numbers:
        return "nobody visible"
    if len(numbers) == 1:
        return f"PID {numbers[0]}"
    more = f" and {len(numbers) - NAMED} more" if len(numbers) > NAMED else ""
    return f"PIDs {', '.join(numbers[:NAMED])}{more}"
