"""Who could end a wait, in hand-made worlds: whoever may hold it counts, seen or not."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import pytest
from cvdebug.core.model import Descriptor, DescriptorKind, ProcessSnapshot, Wait, WaitKind
from cvdebug.core.observe import sockets
from cvdebug.core.observe.fds import Access, Table
from cvdebug.core.observe.memory import Region
from cvdebug.core.observe.sockets import Address, TcpSocket, UnixSocket
from cvdebug.core.observe.sources import parse_epoll
from cvdebug.core.observe.waits import Request
from cvdebug.core.observe.wakers import resolve
from cvdebug.core.observe.world import World
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.test_diagnose_closure import process

READ, WRITE = Access(True, False, True), Access(False, True, True)
BOTH = Access(True, True, True)
INHERITED_WRITE = Access(False, True, False)
PIPE, SOCKET = DescriptorKind.PIPE, DescriptorKind.SOCKET
SEMAPHORE = Region(True, b" 00:1a 5 ", "/dev/shm/sem.x (deleted)")

# (PID, descriptor): (kind, inode, access, fdinfo)
Held = Mapping[tuple[int, int], tuple[DescriptorKind, int, Access, bytes]]


class Fake(World):
    """A world that is told, not read."""

    def __init__(
        self,
        held: Held | None = None,
        *,
        processes: tuple[ProcessSnapshot, ...] = (process(10), process(11, ppid=10)),
        unreadable: tuple[int, ...] = (),
        complete: bool = True,
        unix: tuple[UnixSocket, ...] = (),
        tcp: tuple[TcpSocket, ...] = (),
        region: Region | None = None,
        mappers: tuple[int, ...] = (10, 11),
        timeout: bool | None = False,
        shares: bool = False,
    ) -> None:
        self.processes = {one.pid: one for one in processes}
        self.held = held = held or {}
        items: dict[int, tuple[Descriptor, ...]] = {}
        for (pid, fd), (kind, inode, _, _) in held.items():
            items[pid] = (*items.get(pid, ()), Descriptor(fd, kind, inode, f"{kind}:[{inode}]"))
        self.table = Table(items, tuple(items), unreadable, complete)
        self.__dict__.update(_unix_entries=list(unix), tcp=list(tcp), _hides=False, mates={}, _locks=b"")
        self.fake_region, self.fake_mappers, self.fake_timeout, self.fake_shares = region, mappers, timeout, shares

    def access(self, pid: int, fd: int) -> Access:
        return self.held[pid, fd][2]

    def info(self, pid: int, fd: int) -> bytes:
        return self.held[pid, fd][3]

    def timeout(self, pid: int, fd: int) -> bool | None:
        return self.fake_timeout

    def shares_file(self, pid: int, fd: int, other: int, other_fd: int) -> bool:
        return self.fake_shares

    def region(self, pid: int, address: int) -> Region | None:
        return self.fake_region

    def mappers(self, region: Region) -> tuple[int, ...]:
        return self.fake_mappers

    def kernel_may_signal(self, pid: int) -> bool:
        return False

    def other_pid_namespace(self, pid: int) -> bool:
        return False


def reading(world: World, fd: int = 3) -> Wait:
    return resolve(world.processes[10], Request(kind=WaitKind.FILE, reads=(fd,)), world)


def pipe(access: Access, inode: int = 7) -> tuple[DescriptorKind, int, Access, bytes]:
    return PIPE, inode, access, b""


def test_a_reader_waits_for_the_holders_of_the_write_end_and_a_writer_for_those_of_the_read_end() -> None:
    world = Fake({(10, 3): pipe(READ), (11, 4): pipe(WRITE), (11, 5): pipe(READ)})
    wait = reading(world)
    assert (wait.kind, wait.pids, wait.external, wait.inodes) == (WaitKind.PIPE_READ, (11,), "", (7,))
    assert wait.text == "waits for data on pipe 7, whose write end is held by PID 11"
    writer = resolve(world.processes[11], Request(kind=WaitKind.FILE, writes=(4,)), world)
    assert (writer.kind, writer.pids, writer.external) == (WaitKind.PIPE_WRITE, (10, 11), "")


def test_a_pipe_that_is_open_both_ways_counts_as_both_ends() -> None:
    assert reading(Fake({(10, 3): pipe(BOTH)})).pids == (10,)


@pytest.mark.parametrize(
    ("world", "why"),
    [
        (Fake({(10, 3): pipe(READ)}), "has a holder that cannot be seen"),
        (Fake({(10, 3): pipe(READ), (99, 4): pipe(WRITE)}), "PID 99, which is not in the tree"),
        (Fake({(10, 3): pipe(READ), (11, 4): pipe(WRITE)}, unreadable=(11,)), "what PID 11 holds"),
        (Fake({(10, 3): pipe(READ), (11, 4): pipe(WRITE)}, complete=False), "appear faster"),
        (Fake({(10, 3): pipe(READ), (11, 0): pipe(INHERITED_WRITE)}, unreadable=(98,)), "may not be looked at"),
        (
            Fake(
                {(10, 3): pipe(READ), (10, 4): pipe(WRITE)},
                processes=(msgspec.structs.replace(process(10), forked=True),),
                unreadable=(98,),
            ),
            "may not be looked at",
        ),
        (Fake(), "cannot be seen"),
    ],
    ids=["no holder", "outside", "blind inside", "storm", "inherited", "forked from outside", "closed"],
)
def test_a_doubt_about_the_holders_is_external(world: Fake, why: str) -> None:
    assert why in reading(world).external


def test_what_was_made_in_the_tree_is_not_held_by_those_who_cannot_be_looked_at() -> None:
    assert reading(Fake({(10, 3): pipe(READ), (11, 4): pipe(WRITE)}, unreadable=(98,))).external == ""


@pytest.mark.parametrize(
    ("fdinfo", "flies"), [(b"scm_fds: 1\n", True), (b"scm_fds: 0\n", False), (b"flags:\t02\n", True)]
)
def test_descriptors_in_a_message_make_every_holder_uncertain(fdinfo: bytes, flies: bool) -> None:
    held: Held = {(10, 3): pipe(READ), (11, 4): pipe(WRITE), (11, 5): (SOCKET, 20, BOTH, fdinfo)}
    world = Fake(held, unix=(UnixSocket(20, 1, 1, 21, (), 1),))
    assert bool(reading(world).external) is flies


def test_a_connection_with_unread_bytes_that_nobody_accepted_may_carry_descriptors() -> None:
    held: Held = {(10, 3): pipe(READ), (11, 4): pipe(WRITE), (11, 5): (SOCKET, 20, BOTH, b"scm_fds: 0\n")}
    assert reading(Fake(held, unix=(UnixSocket(0, 1, 1, 20, (), 1),))).external


@pytest.mark.parametrize(
    ("entry", "groups"),
    [
        (UnixSocket(20, 1, 1, 21, (), 0), {frozenset({10, 11})}),
        (UnixSocket(20, 1, 1, 29, (), 0), {frozenset({0, 10})}),
        (UnixSocket(20, 1, sockets.LISTEN, 0, (), 0), {frozenset({0, 10})}),
        (UnixSocket(20, 2, 7, 0, (), 0), {frozenset({0, 10})}),
        (UnixSocket(20, 1, 7, 0, (), 0), set()),
    ],
    ids=["pair", "peer unseen", "listener", "datagrams", "not connected"],
)
def test_a_unix_socket_makes_couriers(entry: UnixSocket, groups: set[frozenset[int]]) -> None:
    held: Held = {(10, 3): (SOCKET, 20, BOTH, b""), (11, 4): (SOCKET, 21, BOTH, b"")}
    assert set(Fake(held, unix=(entry,)).couriers) == groups


def unix_world(**more: object) -> Fake:
    held: Held = {(10, 3): (SOCKET, 20, BOTH, b"scm_fds: 0\n"), (11, 4): (SOCKET, 21, BOTH, b"scm_fds: 0\n")}
    entries = (UnixSocket(20, 1, 1, 21, (), 0), UnixSocket(21, 1, 1, 20, (), 0))
    return Fake(held, unix=entries, **more)  # type: ignore[arg-type]


def test_a_socket_waits_for_the_holders_of_both_ends() -> None:
    wait = reading(unix_world())
    assert (wait.kind, wait.pids, wait.external, wait.timed) == (WaitKind.SOCKET, (10, 11), "", False)


def test_a_timeout_of_the_socket_counts_and_one_that_is_unseen_as_well() -> None:
    assert reading(unix_world(timeout=True)).timed
    assert "cannot be seen" in reading(unix_world(timeout=None)).external
    polled = resolve(process(10), Request(kind=WaitKind.POLL, sets=(3,)), unix_world(timeout=True))
    assert not polled.timed


def test_the_peer_of_a_socket_that_nobody_accepted_is_whoever_listens() -> None:
    held: Held = {(10, 3): (SOCKET, 20, BOTH, b""), (11, 4): (SOCKET, 30, BOTH, b"")}
    listener = UnixSocket(30, 1, sockets.LISTEN, 0, (20,), 1)
    world = Fake(held, unix=(UnixSocket(20, 1, 1, 0, (), 0), listener))
    assert (reading(world).pids, reading(world).external) == ((10, 11), "")
    waiting = resolve(world.processes[11], Request(kind=WaitKind.POLL, sets=(4,)), world)
    assert waiting.external == "anybody may connect to it"


HERE, THERE = Address(b"\x7f\0\0\1", 1000), Address(b"\x7f\0\0\1", 2000)


def tcp_world(*rows: TcpSocket) -> Fake:
    return Fake({(10, 3): (SOCKET, 20, BOTH, b""), (11, 4): (SOCKET, 21, BOTH, b"")}, tcp=rows)


def test_a_tcp_peer_in_the_tree_is_known_and_any_other_is_external() -> None:
    ours = TcpSocket(HERE, THERE, sockets.ESTABLISHED, 0, 0, 20)
    peer = TcpSocket(THERE, HERE, sockets.ESTABLISHED, 0, 0, 21)
    wait = reading(tcp_world(ours, peer))
    assert (wait.pids, wait.external) == ((10, 11), "")
    assert reading(tcp_world(ours)).external == "127.0.0.1:2000 is elsewhere, and may answer"
    orphan = peer._replace(inode=0)
    assert "nobody visible" in reading(tcp_world(ours, orphan)).external
    listener = TcpSocket(THERE, Address(bytes(4), 0), sockets.LISTEN, 0, 1, 21)
    assert reading(tcp_world(ours, orphan, listener)).pids == (10, 11)
    assert reading(tcp_world(ours._replace(state=8), peer)).external
    assert reading(tcp_world()).external


def test_a_poll_set_that_had_gone_when_it_was_read_names_no_descriptor() -> None:
    held = {(10, 3): (PIPE, 7, READ, b"")}
    wait = resolve(process(10), Request(kind=WaitKind.POLL, sets=(688772400,), timed=True), Fake(held))
    assert (wait.text, wait.external, wait.timed) == ("waits in poll", "its poll set was not seen", True)


def test_a_poll_set_ends_with_any_of_its_members() -> None:
    held: Held = {(10, 3): pipe(READ), (11, 4): pipe(WRITE), (10, 5): pipe(WRITE, 8), (12, 6): pipe(READ, 8)}
    world = Fake(held, processes=(process(10), process(11), process(12)))
    wait = resolve(world.processes[10], Request(kind=WaitKind.POLL, sets=(3, 5)), world)
    assert (wait.pids, wait.inodes, wait.external) == ((11, 12), (7, 8), "")
    unknown = resolve(world.processes[10], Request(kind=WaitKind.POLL, sets=(3, 9)), world)
    assert "descriptor 9" in unknown.external


EPOLL_FLAGS = b"flags:\t02000002\n"


def epoll_world(fdinfo: bytes, *, shares: bool = False) -> Fake:
    epoll = (DescriptorKind.EPOLL, 0, BOTH, fdinfo)
    held: Held = {(10, 3): epoll, (11, 3): epoll, (10, 4): pipe(READ), (10, 5): pipe(WRITE)}
    return Fake(held, shares=shares)


@pytest.mark.parametrize(("shares", "pids"), [(False, (10,)), (True, (10, 11))])
def test_an_epoll_set_ends_with_its_members_and_those_who_share_it(shares: bool, pids: tuple[int, ...]) -> None:
    member = b"tfd:        4 events:       19 data: 4  pos:0 ino:7 sdev:e\n"
    wait = resolve(
        process(10), Request(kind=WaitKind.EPOLL, reads=(3,)), epoll_world(EPOLL_FLAGS + member, shares=shares)
    )
    assert (wait.pids, wait.external) == (pids, "")


@pytest.mark.parametrize(
    "fdinfo",
    [
        b"",
        EPOLL_FLAGS + b"tfd: 4 events: 19 data: 4\n",
        EPOLL_FLAGS + b"tfd: 4 events: 19 data: 4  pos:0 ino:99 sdev:e\n",
        b"flags:\t02\ntfd: 4 events: 19 data: 4  pos:0 ino:7 sdev:e\n",
    ],
    ids=["gone", "no inode", "another file", "inherited"],
)
def test_an_epoll_set_that_is_not_known_whole_is_external(fdinfo: bytes) -> None:
    assert resolve(process(10), Request(kind=WaitKind.EPOLL, reads=(3,)), epoll_world(fdinfo)).external


def test_the_number_of_a_member_may_stand_for_another_file_by_now() -> None:
    member = b"tfd: 9 events: 19 data: 4  pos:0 ino:7 sdev:e\n"
    wait = resolve(process(10), Request(kind=WaitKind.EPOLL, reads=(3,)), epoll_world(EPOLL_FLAGS + member))
    assert (wait.pids, wait.external) == ((10,), "")


@given(st.binary(max_size=200))
def test_no_content_makes_the_epoll_parser_raise(content: bytes) -> None:
    parse_epoll(content)
    assert parse_epoll(b"tfd:" + content.replace(b"\n", b""))


@pytest.mark.parametrize(
    ("identity", "pids"), [(b"eventfd-id: 1\n", (10, 11)), (b"eventfd-id: 2\n", (10,)), (b"", (10, 11))]
)
def test_an_eventfd_is_known_by_its_number(identity: bytes, pids: tuple[int, ...]) -> None:
    kind = DescriptorKind.EVENTFD
    world = Fake({(10, 3): (kind, 0, BOTH, b"eventfd-id: 1\n"), (11, 3): (kind, 0, BOTH, identity)})
    assert (reading(world).kind, reading(world).pids) == (WaitKind.EVENT, pids)


@pytest.mark.parametrize(("value", "timed"), [(b"(0, 0)", False), (b"(3, 25)", True)])
def test_a_timer_counts_when_it_is_set(value: bytes, timed: bool) -> None:
    info = b"flags:\t02000002\nit_value: " + value + b"\nit_interval: (0, 0)\n"
    wait = reading(Fake({(10, 3): (DescriptorKind.TIMERFD, 0, BOTH, info)}))
    assert (wait.kind, wait.timed, wait.pids, wait.external) == (WaitKind.TIMER, timed, (10,), "")


@pytest.mark.parametrize(("number", "external"), [(b"11", False), (b"99", True), (b"-1", True), (b"", True)])
def test_a_pidfd_waits_for_a_process(number: bytes, external: bool) -> None:
    world = Fake({(10, 3): (DescriptorKind.PIDFD, 0, BOTH, b"Pid:\t" + number + b"\n")})
    for request in (Request(kind=WaitKind.POLL, sets=(3,)), Request(kind=WaitKind.CHILD, pidfd=3)):
        wait = resolve(process(10), request, world)
        assert bool(wait.external) is external
        assert external or wait.pids == (11,)


def shared(world: Fake) -> Wait:
    return resolve(process(10), Request(kind=WaitKind.SHARED_FUTEX, op=0x109, address=4096), world)


def test_a_shared_futex_waits_for_all_that_map_its_memory() -> None:
    wait = shared(Fake(region=SEMAPHORE))
    assert (wait.kind, wait.pids, wait.external) == (WaitKind.SHARED_FUTEX, (10, 11), "")


@pytest.mark.parametrize(
    "world",
    [
        Fake(region=None),
        Fake(region=SEMAPHORE._replace(path="/dev/shm/sem.x")),
        Fake(region=SEMAPHORE._replace(path="/SYSV00000000 (deleted)")),
        Fake(region=SEMAPHORE, mappers=(10, 99)),
        Fake(region=SEMAPHORE, unreadable=(11,)),
    ],
    ids=["unseen", "has a name", "System V", "mapped outside", "blind inside"],
)
def test_a_shared_futex_that_somebody_else_may_map_is_external(world: Fake) -> None:
    assert shared(world).external


def test_a_shared_futex_in_private_memory_is_a_private_one() -> None:
    wait = shared(Fake(region=Region(False, b"", ""), mappers=()))
    assert (wait.pids, wait.external) == ((), "")


def test_a_private_futex_waits_for_its_process_and_who_shares_its_memory() -> None:
    world = Fake()
    request = Request(kind=WaitKind.FUTEX, op=0x189)
    assert resolve(process(10), request, world).pids == ()
    assert resolve(process(10, tids=(12,)), request, world).pids == (10,)
    world.__dict__["mates"] = {10: (11,)}
    assert resolve(process(10), request, world).pids == (11,)


@pytest.mark.parametrize(("child", "pids", "external"), [(11, (11,), False), (0, (11,), False), (99, (), True)])
def test_a_parent_waits_for_its_children(child: int, pids: tuple[int, ...], external: bool) -> None:
    wait = resolve(process(10), Request(kind=WaitKind.CHILD, child=child), Fake())
    assert (wait.pids, bool(wait.external)) == (pids, external)
    childless = resolve(process(11), Request(kind=WaitKind.CHILD, child=child), Fake())
    assert childless.external
