"""Who could end a wait: the request of a thread against the holders of what it waits on.

Everything doubtful is said to be ended by something unseen (`Wait.external`): a wait may be called endless only when
all that could end it was seen. Asks the `World` and reads nothing itself.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from ..model import DescriptorKind, ProcessSnapshot, Wait, WaitKind
from .sources import NAMED, Source, doubt, listed, of_descriptor, pidfd, root_of
from .waits import Request, fingerprint
from .world import World

# How the doubt begins about a futex in a file with a name.
ANYBODY_MAY_MAP = "anybody may map "

_TERMINALS = ("/dev/pts/", "/dev/tty", "/dev/console")
_DIRECT = {DescriptorKind.EVENTFD: WaitKind.EVENT, DescriptorKind.TIMERFD: WaitKind.TIMER}
_PLAIN_WORDS = {
    WaitKind.SLEEP: "sleeps",
    WaitKind.RUNNING: "runs",
    WaitKind.SIGNAL: "waits for a signal",
    WaitKind.ACCEPT: "waits for somebody to connect",
    WaitKind.IPC: "waits for a message queue or semaphore of the system",
    WaitKind.IO_URING: "waits for the kernel's input and output",
    WaitKind.DISK: "waits for the disk or the kernel",
    WaitKind.VFORK: "waits until its new child runs a program",
    WaitKind.STOPPED: "is stopped by a signal",
    WaitKind.TRACED: "is held by a debugger",
    WaitKind.FROZEN: "is frozen by a cgroup",
    WaitKind.ENDED: "has ended",
    WaitKind.SELECT: "waits in select",
    WaitKind.POLL: "waits in poll",
    WaitKind.CHILD: "waits for a child",
    WaitKind.SOCKET: "waits to be connected",
}


def resolve(process: ProcessSnapshot, request: Request, world: World) -> Wait:
    """The wait of a thread of this process that made this request."""
    wait = _resolved(process, request, world)
    rest_s = request.timer.rest_s() if request.timer else None
    if request.timer is None or rest_s is None:
        return wait
    words = f"for another {_seconds(rest_s)}" if request.timer.is_moment else f"for {_seconds(rest_s)} at most"
    return msgspec.structs.replace(wait, text=f"{wait.text}, {words}", rest_s=rest_s)


def _seconds(value: float) -> str:
    return f"{value:,.0f} s" if value >= 10 else f"{value:.1f} s" if value >= 0.1 else f"{value * 1000:.0f} ms"


def _resolved(process: ProcessSnapshot, request: Request, world: World) -> Wait:
    pid = process.pid
    if request.kind is WaitKind.FILE_LOCK:
        return _file_lock(pid, request, world)
    if request.external:
        return Wait(kind=request.kind, text=_plain(request), external=request.external, timed=request.timed)
    if request.kind is WaitKind.FUTEX:
        return _private_futex(process, request, world)
    if request.kind is WaitKind.SHARED_FUTEX:
        return _shared_futex(process, request, world)
    if request.kind is WaitKind.CHILD:
        return _wait(WaitKind.CHILD, [_child(pid, request, world)], request)
    if request.kind is WaitKind.POLL and request.descriptors and not _any_open(pid, request, world):
        # Its memory was read when it had already gone on: what stands there is no poll set any more.
        return Wait(kind=request.kind, text=_plain(request), external="its poll set was not seen", timed=request.timed)
    sources = [of_descriptor(pid, fd, request, world) for fd in request.descriptors]
    return _wait(_kind(pid, request, world), sources, request)


def _any_open(pid: int, request: Request, world: World) -> bool:
    return any(world.descriptor(pid, fd) is not None for fd in request.descriptors)


def _plain(request: Request) -> str:
    return _PLAIN_WORDS.get(request.kind, f"waits, and {request.external}")


def _wait(kind: WaitKind, sources: list[Source], request: Request) -> Wait:
    """Any one of the sources ends it."""
    words = [source.words for source in sources]
    more = f" or {len(words) - NAMED} more" if len(words) > NAMED else ""
    within = {WaitKind.POLL: "in poll ", WaitKind.SELECT: "in select ", WaitKind.EPOLL: "in epoll "}.get(kind, "")
    text = f"waits {within}for {' or '.join(words[:NAMED])}{more}" if words else _PLAIN_WORDS.get(kind, "waits")
    timed = request.timed or any(source.timed for source in sources)
    return Wait(
        kind=kind,
        text=text + (", with a timeout" if request.timed and words else ""),
        timed=timed,
        external=next((source.external for source in sources if source.external), ""),
        pids=tuple(sorted(frozenset().union(*(source.pids for source in sources)))),
        inodes=tuple(inode for source in sources for inode in source.inodes),
    )


def _kind(pid: int, request: Request, world: World) -> WaitKind:
    """A read or write has the kind of what its descriptor stands for."""
    if request.kind is not WaitKind.FILE or not request.descriptors:
        return request.kind
    item = world.descriptor(pid, request.descriptors[0])
    if item is None:
        return WaitKind.FILE
    if item.kind is DescriptorKind.PIPE:
        return WaitKind.PIPE_READ if request.reads else WaitKind.PIPE_WRITE
    if item.kind is DescriptorKind.SOCKET:
        return WaitKind.SOCKET
    return WaitKind.TERMINAL if item.link.startswith(_TERMINALS) else _DIRECT.get(item.kind, WaitKind.FILE)


# Futexes


def _private_futex(process: ProcessSnapshot, request: Request, world: World) -> Wait:
    mates = world.mates.get(process.pid, ())
    alone = len(process.threads) == 1
    who = "which only threads of its own process can wake" + (", and it has no other" if alone and not mates else "")
    pids = mates if alone else (process.pid, *mates)
    what = "a private futex" if request.kind is WaitKind.FUTEX else "a futex in its own memory"
    return _futex(request, f"{what} ({_operation(request)}), {who}", pids, "")


def _shared_futex(process: ProcessSnapshot, request: Request, world: World) -> Wait:
    region = world.region(process.pid, request.address)
    if region is None:
        return _futex(request, f"a shared futex ({_operation(request)})", (), "the memory of its futex cannot be seen")
    if not region.shared:
        # Memory that is not shared: in effect a private futex. The C library waits so for the end of a thread.
        return _private_futex(process, request, world)
    pids = world.mappers(region)
    why = doubt([(pid, -1) for pid in pids], world, inherited=root_of(world).forked and world.blind_outside)
    if not region.is_deleted:
        why = f"{ANYBODY_MAY_MAP}{region.path}"
    what = f"a futex in the shared memory {region.path} ({_operation(request)}), mapped by {listed(pids)}"
    return _futex(request, what, pids, why)


def _futex(request: Request, what: str, pids: Iterable[int], external: str) -> Wait:
    return Wait(
        kind=request.kind,
        text=f"waits on {what}" + (", with a timeout" if request.timed else ""),
        timed=request.timed,
        external=external,
        pids=tuple(pids),
        address=request.address,
        op=request.op,
    )


def _operation(request: Request) -> str:
    who = fingerprint(request.op, timed=request.timed)
    return f"op {request.op:#x}: {who}" if who else f"op {request.op:#x}"


# Children and file locks


def _child(pid: int, request: Request, world: World) -> Source:
    if request.pidfd >= 0:
        return pidfd(pid, request.pidfd, world)
    children = world.children.get(pid, ())
    if request.child in children:
        return Source(words=f"its child PID {request.child} to end", pids=frozenset({request.child}))
    if not children or (request.child and not world.other_pid_namespace(pid)):
        return Source(words="a child to end", external="the process that it waits for is not in the tree")
    return Source(words=f"any of its children ({listed(children)}) to end", pids=frozenset(children))


def _file_lock(pid: int, request: Request, world: World) -> Wait:
    owners = world.lock_owners(pid)
    who = f", which {listed(owners)} owns" if owners else ""
    return Wait(kind=request.kind, text=f"waits for the lock on a file{who}", external=request.external, pids=owners)
