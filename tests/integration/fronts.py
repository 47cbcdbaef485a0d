"""What stands before a PostgreSQL at its owners': something that speaks TLS for it, or a pooler of connections.

The embedded package's server is built without TLS, so a front of our own takes it off, as those of managed services do.
The pooler lets in whom the server trusts, and tells its clients a process that does not exist.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import struct
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import NamedTuple

import trustme

_SSL_REQUEST, _GSS_REQUEST = 80877103, 80877104


@contextlib.contextmanager
def tls_front(port: int, authority: trustme.CA, *names: str) -> Iterator[int]:
    """A port that speaks TLS, with a certificate for `names`, and hands everything on to the server at `port`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    with _serving(_TlsFront(port, context)) as own_port:
        yield own_port


class _Front(ABC):
    """`serve` has one client, to its end; what is left of `behind` then is closed with the front."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.behind: list[asyncio.StreamWriter] = []

    @abstractmethod
    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None: ...

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        self.behind.append(writer)
        return reader, writer


class _TlsFront(_Front):
    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        super().__init__(port)
        self._context = context

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client, from its request for TLS to its end."""
        while (await _request(reader)) == _GSS_REQUEST:
            writer.write(b"N")
        writer.write(b"S")
        transport = writer.transport
        try:
            await writer.start_tls(self._context)
        except AttributeError:  # what Python 3.11 makes of a client that leaves meanwhile, and leaves it without
            writer._transport = transport  # type: ignore[attr-defined]
            raise EOFError("the client has left") from None
        there, back = await self._connect()
        await asyncio.wait(
            [asyncio.create_task(_pump(reader, back)), asyncio.create_task(_pump(there, writer))],
            return_when=asyncio.FIRST_COMPLETED,
        )
        back.close()


async def _request(reader: asyncio.StreamReader) -> int:
    _, code = struct.unpack(">II", await reader.readexactly(8))
    if code not in (_SSL_REQUEST, _GSS_REQUEST):
        raise EOFError("this front lets nobody in without TLS")
    return int(code)


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(1 << 16):
            sink.write(data)
            await sink.drain()


@contextlib.contextmanager
def pooler(port: int, *, by_transaction: bool) -> Iterator[int]:
    """A port behind which the server's sessions are shared, by transaction or by whole sessions."""
    with _serving(_Pooler(port, by_transaction=by_transaction)) as own_port:
        yield own_port


class _Session(NamedTuple):
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    greeting: bytes  # the parameters that it told when it began


class _Pooler(_Front):
    def __init__(self, port: int, *, by_transaction: bool) -> None:
        super().__init__(port)
        self._by_transaction = by_transaction
        self._idle: list[_Session] = []  # the last that became idle serves next

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client, from its first packet to its end."""
        packet = await _packet(reader)
        while struct.unpack(">I", packet[4:8])[0] in (_SSL_REQUEST, _GSS_REQUEST):
            writer.write(b"N")
            packet = await _packet(reader)
        session = await self._take(packet)
        writer.write(b"R" + struct.pack(">II", 8, 0) + session.greeting)
        writer.write(b"K" + struct.pack(">III", 12, 2**31 - 5, 0) + b"Z" + struct.pack(">I", 5) + b"I")
        if self._by_transaction:
            self._idle.append(session)
            await self._serve_transactions(reader, writer, packet)
        else:
            pumps = [_pump(reader, session.writer), _pump(session.reader, writer)]
            await asyncio.wait(map(asyncio.create_task, pumps), return_when=asyncio.FIRST_COMPLETED)
            session.writer.close()

    async def _serve_transactions(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, packet: bytes
    ) -> None:
        while (message := await _message(reader))[:1] != b"X":
            session = await self._take(packet)
            state = b""
            while state != b"I":
                session.writer.write(message)
                if message[:1] in (b"Q", b"S"):
                    state = await _answer(session.reader, writer)
                if state != b"I":
                    message = await _message(reader)
            self._idle.append(session)

    async def _take(self, packet: bytes) -> _Session:
        if self._idle:
            return self._idle.pop()
        reader, writer = await self._connect()
        writer.write(packet)
        greeting = b""
        while (message := await _message(reader))[:1] != b"Z":
            greeting += message if message[:1] == b"S" else b""
        return _Session(reader, writer, greeting)


async def _packet(reader: asyncio.StreamReader) -> bytes:
    """The first of a client: a length, and no type."""
    size = await reader.readexactly(4)
    return size + await reader.readexactly(struct.unpack(">I", size)[0] - 4)


async def _message(reader: asyncio.StreamReader) -> bytes:
    return await reader.readexactly(1) + await _packet(reader)


async def _answer(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> bytes:
    """Hands on what the server says until it is ready; the state of its transaction."""
    while True:
        message = await _message(source)
        sink.write(message)
        if message[:1] == b"Z":
            return message[5:6]


def _close(writer: asyncio.StreamWriter) -> None:
    """Closes it, whether or not the start of TLS has left it a transport."""
    with contextlib.suppress(AttributeError):
        writer.close()


@contextlib.contextmanager
def _serving(front: _Front) -> Iterator[int]:
    """Serves on a free port in a thread of its own; the port."""
    ports: list[int] = []
    open_ones: set[asyncio.StreamWriter] = set()
    ready, stop = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_ones.add(writer)
        try:
            with contextlib.suppress(OSError, EOFError):
                await front.serve(reader, writer)
        finally:
            open_ones.discard(writer)
            _close(writer)

    async def main() -> None:
        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        ports.append(server.sockets[0].getsockname()[1])
        ready.set()
        await stop.wait()
        server.close()
        for writer in [*open_ones, *front.behind]:
            _close(writer)
            with contextlib.suppress(OSError, TimeoutError, AttributeError):
                await asyncio.wait_for(writer.wait_closed(), 5)
        if others := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(others, timeout=5)

    thread = threading.Thread(target=loop.run_until_complete, args=(main(),))
    thread.start()
    try:
        assert ready.wait(10)
        yield ports[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()
