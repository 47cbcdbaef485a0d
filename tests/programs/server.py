"""Servers that do not answer, and servers that only take long. They live outside of the tree that asks them.

    server.py ADDRESS BEHAVIOUR

ADDRESS is `tcp` (a free port of this machine) or the path of a unix socket. Prints `ready` with what to connect to.
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FOR_EVER_S = 3600.0
SLOW_S = 60.0
_kept: list[socket.socket] = []


def listener(address: str) -> socket.socket:
    if address == "tcp":
        server = socket.create_server(("127.0.0.1", 0))
        print("ready", server.getsockname()[1], flush=True)
    else:
        server = socket.socket(socket.AF_UNIX)
        server.bind(address)
        server.listen()
        print("ready", address, flush=True)
    return server


def wait() -> None:
    threading.Event().wait()


def unaccepted(server: socket.socket) -> None:
    wait()


def unread(server: socket.socket) -> None:
    while True:
        _kept.append(server.accept()[0])


def dropped(server: socket.socket) -> None:
    """Reads the request, and forgets it; a helper sleeps for hours."""
    threading.Thread(target=time.sleep, args=(FOR_EVER_S,), daemon=True).start()
    while True:
        connection = server.accept()[0]
        connection.recv(1 << 16)
        _kept.append(connection)


def answering(action: Callable[[], object]) -> Callable[[socket.socket], None]:
    def serve(server: socket.socket) -> None:
        while True:
            connection = server.accept()[0]
            connection.recv(1 << 16)
            action()
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    return serve


def compute() -> None:
    end_s = time.monotonic() + SLOW_S
    while time.monotonic() < end_s:
        pass


def run_child() -> None:
    subprocess.run([sys.executable, "-c", f"import time; time.sleep({SLOW_S})"], check=True)


def timer() -> None:
    done = threading.Event()
    threading.Timer(SLOW_S, done.set).start()
    done.wait()


def threaded(action: Callable[[], object]) -> Callable[[socket.socket], None]:
    """An HTTP server that has a thread for each request, and looks twice a second whether it shall end."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            action()

    def serve(server: socket.socket) -> None:
        http = ThreadingHTTPServer(("127.0.0.1", 0), Handler, bind_and_activate=False)
        http.socket.close()
        http.socket = server
        with http:
            http.serve_forever()

    return serve


def aio(sleep_s: float) -> Callable[[socket.socket], None]:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1 << 16)
        await asyncio.sleep(sleep_s)
        writer.close()

    async def run(server: socket.socket) -> None:
        if server.family == socket.AF_UNIX:
            running = await asyncio.start_unix_server(handle, sock=server)
        else:
            running = await asyncio.start_server(handle, sock=server)
        async with running:
            await running.serve_forever()

    return lambda server: asyncio.run(run(server))


BEHAVIOURS: dict[str, Callable[[socket.socket], None]] = {
    "unaccepted": unaccepted,
    "unread": unread,
    "dropped": dropped,
    "threaded": threaded(wait),
    "threaded-sleeps": threaded(lambda: time.sleep(SLOW_S)),
    "async-forgets": aio(FOR_EVER_S),
    "sleeps": answering(lambda: time.sleep(SLOW_S)),
    "computes": answering(compute),
    "runs-child": answering(run_child),
    "timer": answering(timer),
    "async-sleeps": aio(SLOW_S),
}

if __name__ == "__main__":
    BEHAVIOURS[sys.argv[2]](listener(sys.argv[1]))
