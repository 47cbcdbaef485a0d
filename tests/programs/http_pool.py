"""An HTTP client that holds all connections of its pool in responses that it never closes.

    http_pool.py MODE

Prints `ready PID`, naming the server, and then asks for one connection more, without a timeout.
"""

from __future__ import annotations

import multiprocessing
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection

import httpx

FORK = multiprocessing.get_context("fork")
CONNECTIONS = 2


class Handler(BaseHTTPRequestHandler):
    """Answers with a body of a few bytes, on a connection that stays open."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000000")
        self.end_headers()
        self.wfile.write(b"x" * 1_000_000)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


def serve(tell: Connection) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        tell.send(server.server_address[1])
        server.serve_forever()


def watch() -> None:
    while True:
        time.sleep(0.2)


def main(mode: str) -> None:
    hear, tell = FORK.Pipe(duplex=False)
    server = FORK.Process(target=serve, args=(tell,), daemon=True)
    server.start()
    url = f"http://127.0.0.1:{hear.recv()}/"
    limits = httpx.Limits(max_connections=CONNECTIONS)
    client = httpx.Client(timeout=httpx.Timeout(5, pool=None), limits=limits, trust_env=False)
    kept = [client.send(client.build_request("GET", url), stream=True) for _ in range(CONNECTIONS)]
    if mode == "monitored":
        threading.Thread(target=watch, daemon=True).start()
    print("ready", server.pid, flush=True)
    if mode == "threads":
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(client.get, [url] * 3))
    else:
        client.get(url)
    for response in kept:
        response.close()


if __name__ == "__main__":
    main(sys.argv[1])
