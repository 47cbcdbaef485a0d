"""The other end of a socket: what the kernel's tables say, and calm parsers."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator

import pytest
from cvdebug.core.observe import sockets
from hypothesis import given
from hypothesis import strategies as st


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def inode(item: socket.socket) -> int:
    return os.fstat(item.fileno()).st_ino


def row_of(item: socket.socket) -> sockets.TcpSocket:
    return next(row for row in sockets.tcp_sockets() if row.inode == inode(item))


def peer_of(row: sockets.TcpSocket, rows: list[sockets.TcpSocket]) -> sockets.TcpSocket | None:
    return sockets.by_ends(rows).get((row.remote, row.local))


def test_unix_sockets_know_their_peers_and_what_they_hold(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    ours.sendall(b"xyz")
    found = {entry.inode: entry for entry in sockets.unix_sockets()}
    assert found[inode(ours)].peer == inode(theirs)
    assert found[inode(theirs)].peer == inode(ours)
    assert found[inode(theirs)].queued > 0
    assert found[inode(ours)].queued == 0


def test_a_unix_listener_names_who_waits_to_be_accepted() -> None:
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as client:
        listener.bind("")
        listener.listen()
        client.connect(listener.getsockname())
        found = {entry.inode: entry for entry in sockets.unix_sockets()}
        assert found[inode(listener)].state == sockets.LISTEN
        assert found[inode(listener)].pending == (inode(client),)
        assert found[inode(client)].peer == 0


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_both_ends_of_a_tcp_connection_find_each_other(family: int, host: str) -> None:
    try:
        listener = socket.create_server((host, 0), family=family)
    except OSError:
        pytest.skip(f"no {host} here")
    with listener, socket.create_connection(listener.getsockname()[:2]) as client:
        rows = sockets.tcp_sockets()
        other = peer_of(row_of(client), rows)
        assert other is not None
        assert (other.inode, other.state) == (0, sockets.ESTABLISHED)
        assert [(row.inode, row.received) for row in sockets.listeners(other.local, rows)] == [(inode(listener), 1)]
        accepted, _ = listener.accept()
        with accepted:
            other = peer_of(row_of(client), sockets.tcp_sockets())
            assert other is not None
            assert other.inode == inode(accepted)
            assert str(other.local) == f"{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"


def test_an_ipv4_address_within_ipv6_is_the_same_address() -> None:
    header = "  sl  local_address remote_address st\n"
    rest = " 01 00000000:00000000 00:00000000 00000000 0 0 77 1 x 20 4 30 10 -1\n"
    plain = sockets.parse_tcp(f"{header} 0: 0100007F:1F90 0100007F:9C40{rest}")
    mapped = "0000000000000000FFFF00000100007F"
    within = sockets.parse_tcp(f"{header} 0: {mapped}:9C40 {mapped}:1F90{rest}")
    assert str(plain[0].local) == "127.0.0.1:8080"
    assert peer_of(within[0], plain) == plain[0]


@given(st.text(max_size=300), st.binary(max_size=300))
def test_no_content_makes_a_parser_raise(text: str, data: bytes) -> None:
    sockets.parse_tcp(text)
    sockets.parse_tcp("header\n" + text)
    sockets.parse_tcp(f"header\n 0: {text}")
    sockets.parse_unix(data)
    sockets.parse_unix(struct.pack("=IHHII", 16 + len(data), 20, 0, 0, 0) + data)


def test_a_timeout_of_the_socket_itself_is_seen(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    command = [sys.executable, "-c", "input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=[ours.fileno(), theirs.fileno()]) as child:
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("=qq", 5, 0))
        assert sockets.timeout_of(child.pid, ours.fileno()) is True
        assert sockets.timeout_of(child.pid, theirs.fileno()) is False
        assert theirs.getblocking()
        child.communicate(b"\n")


def test_a_tcp_user_timeout_is_seen() -> None:
    with socket.socket() as item:
        assert sockets.timeout_of(os.getpid(), item.fileno()) is False
        item.setsockopt(socket.IPPROTO_TCP, 18, 5000)
        assert sockets.timeout_of(os.getpid(), item.fileno()) is True


def test_a_socket_that_is_gone_has_no_known_timeout() -> None:
    assert sockets.timeout_of(os.getpid(), 99_999) is None
    assert sockets.timeout_of(2**22 + 1, 0) is None
