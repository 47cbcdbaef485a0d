"""Programs that ask a server and wait for its answer.

    client.py KIND ADDRESS [PLACE]

ADDRESS is a port of this machine or the path of a unix socket; PLACE `main`, `thread` or `child` says who asks.
Prints `ready`.
"""

from __future__ import annotations

import asyncio
import http.client
import multiprocessing
import socket
import sys
import threading
import time
import urllib.request
from collections.abc import Callable

REQUEST = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"


def connected(address: str) -> socket.socket:
    if address.isdigit():
        return socket.create_connection(("127.0.0.1", int(address)))
    client = socket.socket(socket.AF_UNIX)
    client.connect(address)
    return client


def raw(address: str) -> None:
    with connected(address) as client:
        client.sendall(REQUEST)
        client.recv(1)


def subscriber(address: str) -> None:
    """Has never asked for anything: what comes is work for it."""
    with connected(address) as client:
        client.recv(1)


def library(address: str) -> None:
    client = http.client.HTTPConnection("here")
    client.sock = connected(address)
    client.request("GET", "/")
    client.getresponse()


def url(address: str) -> None:
    urllib.request.urlopen(f"http://127.0.0.1:{address}/")


def httpx_get(timeout_s: float | None) -> Callable[[str], None]:
    def get(address: str) -> None:
        import httpx

        httpx.get(f"http://127.0.0.1:{address}/", timeout=timeout_s)

    return get


def stream(address: str) -> None:
    async def ask() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(address))
        writer.write(REQUEST)
        await reader.read()

    asyncio.run(ask())


KINDS: dict[str, Callable[[str], None]] = {
    "raw": raw,
    "subscriber": subscriber,
    "http": library,
    "url": url,
    "httpx-none": httpx_get(None),
    "httpx-120": httpx_get(120),
    "async": stream,
}


def main(kind: str, address: str, place: str = "main") -> None:
    print("ready", flush=True)
    threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()
    if place == "main":
        KINDS[kind](address)
    elif place == "thread":
        asker = threading.Thread(target=KINDS[kind], args=(address,))
        asker.start()
        asker.join()
    else:
        process = multiprocessing.get_context("spawn").Process(target=KINDS[kind], args=(address,))
        process.start()
        process.join()


if __name__ == "__main__":
    main(*sys.argv[1:])
