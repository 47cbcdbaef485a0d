"""Who is at the other end of a socket: unix peers from the kernel's socket diagnostics, TCP from /proc/net (Linux).

Only sockets of the observer's own network namespace are listed; any other is simply not found. Asks and reads, opens
no connection. Formats: sock_diag(7), include/uapi/linux/{unix_diag,inet_diag,tcp}.h, proc(5) for /proc/net/tcp.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

# include/uapi/linux/netlink.h, sock_diag.h, unix_diag.h
_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_REQUEST_DUMP = 0x301
_ERROR, _DONE = 2, 3
_SHOW_NAME_PEER_ICONS_RQLEN = 0x1 | 0x4 | 0x8 | 0x10
_NAME, _PEER, _ICONS, _RQLEN = 0, 2, 3, 4
_HEADER, _MESSAGE, _ATTRIBUTE = struct.Struct("=IHHII"), struct.Struct("=BBBBIII"), struct.Struct("=HH")

# include/uapi/linux/inet_diag.h; the cookie that stands for "whichever" is all ones.
_REQUEST = 0x1
_TCP_INFO = 2
_ALL_STATES = 0xFFFFFFFF
_INET_MESSAGE_BYTES = 72
# include/uapi/linux/tcp.h: where struct tcp_info has the times (ms) since the last data went out and came, and from
# Linux 4.6 on the bytes that came and the segments of data that went out.
_LAST_SENT, _LAST_RECEIVED, _BYTES_RECEIVED, _SEGMENTS_SENT = 44, 52, 128, 156

# include/net/tcp_states.h
ESTABLISHED, SYN_SENT, LISTEN = 1, 2, 10

_PIDFD_GETFD = 438
_TCP_USER_TIMEOUT = 18
_TIMEVAL_BYTES = 16


class UnixSocket(NamedTuple):
    """`peer` is the inode of the other end, 0 when there is none or it waits to be accepted. `pending` are, of a
    listener, the inodes of the clients that wait. `queued` counts unread bytes, of a listener clients. `name` is its
    path, with `@` before one that is not in the file system; a socket that was accepted has its listener's."""

    inode: int
    kind: int
    state: int
    peer: int
    pending: tuple[int, ...]
    queued: int
    name: str = ""


class Address(NamedTuple):
    """An IP address (its bytes, IPv4 in four) and a port."""

    host: bytes
    port: int

    def __str__(self) -> str:
        family = socket.AF_INET if len(self.host) == 4 else socket.AF_INET6
        host = socket.inet_ntop(family, self.host)
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"


class TcpSocket(NamedTuple):
    """One row of /proc/net/tcp. Queues in bytes, of a listener `received` in connections that wait to be accepted.

    `inode` is 0 while nobody has accepted it.
    """

    local: Address
    remote: Address
    state: int
    unsent: int
    received: int
    inode: int


def unix_sockets() -> list[UnixSocket]:
    """All unix sockets; inode 0 is a connection that nobody accepted yet. Empty when the kernel does not tell."""
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC, _NETLINK_SOCK_DIAG) as link:
            link.settimeout(1.0)
            body = struct.pack("=BBHIIIII", socket.AF_UNIX, 0, 0, 0xFFFFFFFF, 0, _SHOW_NAME_PEER_ICONS_RQLEN, 0, 0)
            link.send(_HEADER.pack(_HEADER.size + len(body), _SOCK_DIAG_BY_FAMILY, _REQUEST_DUMP, 1, 0) + body)
            return list(_answers(link))
    except OSError:
        return []


def parse_unix(data: bytes) -> tuple[list[UnixSocket], bool]:
    """The sockets of one netlink datagram, and whether more is to come."""
    found: list[UnixSocket] = []
    at = 0
    while at + _HEADER.size <= len(data):
        length, kind, *_ = _HEADER.unpack_from(data, at)
        if kind in (_DONE, _ERROR) or length < _HEADER.size or at + length > len(data):
            return found, False
        if length >= _HEADER.size + _MESSAGE.size:
            found.append(_unix_socket(data[at + _HEADER.size : at + length]))
        at += length + -length % 4
    return found, True


def tcp_sockets() -> list[TcpSocket]:
    """All TCP sockets of IPv4 and IPv6."""
    rows: list[TcpSocket] = []
    for name in ("tcp", "tcp6"):
        try:
            with open(f"/proc/self/net/{name}", encoding="ascii", errors="replace") as file:
                rows += parse_tcp(file.read())
        except OSError:
            continue
    return rows


def parse_tcp(text: str) -> list[TcpSocket]:
    """/proc/net/tcp or tcp6. Rows that cannot be read are left out."""
    return [row for line in text.splitlines()[1:] if (row := _tcp_row(line.split())) is not None]


def by_ends(rows: Iterable[TcpSocket]) -> dict[tuple[Address, Address], TcpSocket]:
    """By (local, remote) address: the other end of a connection is where the two are exchanged."""
    return {(row.local, row.remote): row for row in rows}


def listeners(address: Address, rows: list[TcpSocket]) -> list[TcpSocket]:
    """The sockets that may accept a connection to this address; all that share its port count."""
    return [row for row in rows if row.state == LISTEN and row.local.port == address.port]


class Traffic(NamedTuple):
    """What went over a TCP connection: times since the last byte came and went, and whether any ever did."""

    silent_s: float
    since_sent_s: float
    received: bool
    sent: bool


def traffic(rows: Iterable[TcpSocket]) -> dict[int, Traffic]:
    """The traffic of these connections by inode; without those of which the kernel does not tell."""
    found: dict[int, Traffic] = {}
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC, _NETLINK_SOCK_DIAG) as link:
            link.settimeout(1.0)
            for row in rows:
                body = _traffic_request(row)
                link.send(_HEADER.pack(_HEADER.size + len(body), _SOCK_DIAG_BY_FAMILY, _REQUEST, 1, 0) + body)
                answer = parse_traffic(link.recv(1 << 16))
                if answer is not None:
                    found[row.inode] = answer
    except OSError:
        return found
    return found


def parse_traffic(data: bytes) -> Traffic | None:
    """The answer about one TCP connection; None when it is an error, cut short, or from a kernel before 4.6."""
    if len(data) < _HEADER.size:
        return None
    length, kind, *_ = _HEADER.unpack_from(data)
    if kind in (_DONE, _ERROR):
        return None
    info = dict(_attributes(data[_HEADER.size + _INET_MESSAGE_BYTES : length])).get(_TCP_INFO, b"")
    if len(info) < _SEGMENTS_SENT + 4:
        return None
    sent_ms, received_ms, segments = (
        int.from_bytes(info[at : at + 4], "little") for at in (_LAST_SENT, _LAST_RECEIVED, _SEGMENTS_SENT)
    )
    received = int.from_bytes(info[_BYTES_RECEIVED : _BYTES_RECEIVED + 8], "little")
    return Traffic(received_ms / 1000, sent_ms / 1000, received > 0, segments > 0)


def _traffic_request(row: TcpSocket) -> bytes:
    family = socket.AF_INET if len(row.local.host) == 4 else socket.AF_INET6
    ends = row.local.host.ljust(16, b"\0") + row.remote.host.ljust(16, b"\0")
    ports = struct.pack(">HH", row.local.port, row.remote.port)
    head = struct.pack("=BBBBI", family, socket.IPPROTO_TCP, 1 << (_TCP_INFO - 1), 0, _ALL_STATES)
    return head + ports + ends + struct.pack("=III", 0, 0xFFFFFFFF, 0xFFFFFFFF)


def timeout_of(pid: int, fd: int) -> bool | None:
    """Whether the socket itself has a timeout, which no system call's arguments show; None when it cannot be seen.

    The descriptor is duplicated into this process for that (pidfd_getfd(2), Linux 5.6), asked, and closed.
    """
    copy = _copy(pid, fd)
    if copy is None:
        return None
    try:
        return _has_timeout(copy)
    finally:
        os.close(copy)


def _has_timeout(fd: int) -> bool | None:
    values = [_option(fd, socket.SOL_SOCKET, name, _TIMEVAL_BYTES) for name in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO)]
    domain = int.from_bytes(_option(fd, socket.SOL_SOCKET, socket.SO_DOMAIN, 4), "little")
    kind = int.from_bytes(_option(fd, socket.SOL_SOCKET, socket.SO_TYPE, 4), "little")
    if domain in (socket.AF_INET, socket.AF_INET6) and kind == socket.SOCK_STREAM:
        values.append(_option(fd, socket.IPPROTO_TCP, _TCP_USER_TIMEOUT, 4))
    return any(any(value) for value in values) if all(values) else None


def _option(fd: int, level: int, name: int, size: int) -> bytes:
    """By the C library: Python's own socket object would set its default time-out on the other process's socket too."""
    value, length = ctypes.create_string_buffer(size), ctypes.c_uint(size)
    failed = ctypes.CDLL(None, use_errno=True).getsockopt(fd, level, name, value, ctypes.byref(length))
    return b"" if failed else value.raw[: length.value]


def _copy(pid: int, fd: int) -> int | None:
    try:
        process = os.pidfd_open(pid)
    except OSError:
        return None
    try:
        copy = ctypes.CDLL(None, use_errno=True).syscall(_PIDFD_GETFD, process, fd, 0)
    finally:
        os.close(process)
    return copy if copy >= 0 else None


def _answers(link: socket.socket) -> Iterator[UnixSocket]:
    more = True
    while more:
        found, more = parse_unix(link.recv(1 << 20))
        yield from found


def _unix_socket(message: bytes) -> UnixSocket:
    _, kind, state, _, inode, _, _ = _MESSAGE.unpack_from(message)
    values = dict(_attributes(message[_MESSAGE.size :]))
    icons = values.get(_ICONS, b"")
    queue = values.get(_RQLEN, b"")
    pending = struct.unpack(f"={len(icons) // 4}I", icons[: len(icons) // 4 * 4])
    name = values.get(_NAME, b"").decode("utf-8", "replace").rstrip("\0").replace("\0", "@")
    return UnixSocket(inode, kind, state, _first(values.get(_PEER, b"")), pending, _first(queue), name)


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if length < _ATTRIBUTE.size:
            return
        yield kind, data[at + _ATTRIBUTE.size : at + length]
        at += length + -length % 4


def _first(data: bytes) -> int:
    return int.from_bytes(data[:4], "little") if len(data) >= 4 else 0


def _tcp_row(fields: list[str]) -> TcpSocket | None:
    try:
        unsent, received = (int(part, 16) for part in fields[4].split(":"))
        local, remote = _address(fields[1]), _address(fields[2])
        return TcpSocket(local, remote, int(fields[3], 16), unsent, received, int(fields[9]))
    except (ValueError, IndexError, struct.error):
        return None


def _address(text: str) -> Address:
    """Words of four bytes in the processor's order; an IPv4 address within IPv6 becomes IPv4."""
    host, port = text.split(":")
    raw = bytes.fromhex(host)
    if len(raw) not in (4, 16):
        raise ValueError(text)
    words = struct.unpack(f">{len(raw) // 4}I", raw)
    packed = struct.pack(f"={len(words)}I", *words)
    if packed[:12] == b"\0" * 10 + b"\xff\xff":
        packed = packed[12:]
    return Address(packed, int(port, 16))
