"""A program that is ready for work which nobody gives it.

    idle.py MODE [ADDRESS|monitor]

Prints `ready`, with the port that it listens on where it does. ADDRESS is the unix socket of a server elsewhere;
`monitor` adds a thread that looks at the clock now and then.
"""

from __future__ import annotations

import asyncio
import code
import multiprocessing
import os
import queue
import select
import selectors
import signal
import socket
import socketserver
import sys
import threading
import time
from cmd import Cmd
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from logging.handlers import QueueListener
from multiprocessing.managers import BaseManager

FORK = multiprocessing.get_context("fork")


def ready(*numbers: int) -> None:
    print("ready", *numbers, flush=True)


def listener() -> socket.socket:
    made = socket.create_server(("127.0.0.1", 0))
    ready(made.getsockname()[1])
    return made


def accept() -> None:
    made = listener()
    while True:
        made.accept()


def accept_with_timeout() -> None:
    made = listener()
    made.settimeout(0.2)
    while True:
        try:
            made.accept()
        except TimeoutError:
            continue


def one_client() -> None:
    """A server without threads, between two requests of the client that it serves."""
    made = listener()
    connection, _ = made.accept()
    while request := connection.recv(100):
        connection.sendall(request)


def http() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    ready(server.server_address[1])
    server.serve_forever()


def plain_http() -> None:
    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            for line in self.rfile:
                self.wfile.write(line)

    with socketserver.TCPServer(("127.0.0.1", 0), Handler) as server:
        ready(server.server_address[1])
        server.serve_forever()


def loop(*, heartbeat: bool) -> None:
    async def beat() -> None:
        while True:
            await asyncio.sleep(0.1)

    async def serve() -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while line := await reader.readline():
                writer.write(line)

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        ready(server.sockets[0].getsockname()[1])
        async with server:
            await asyncio.gather(server.serve_forever(), *([beat()] if heartbeat else []))

    asyncio.run(serve())


def double(number: int) -> int:
    return 2 * number


def with_pool() -> None:
    with FORK.Pool(3) as pool:
        pool.map(double, range(10))
        accept()


def with_executors() -> None:
    with ProcessPoolExecutor(2, mp_context=FORK) as processes, ThreadPoolExecutor(2) as threads:
        list(processes.map(double, range(10)))
        list(threads.map(double, range(10)))
        accept()


def with_manager() -> None:
    with FORK.Manager() as manager:
        manager.dict()["a"] = 1
        accept()


def with_log_listener() -> None:
    records: queue.Queue[object] = queue.Queue()
    QueueListener(records).start()
    accept()


def manager_alone() -> None:
    server = BaseManager(("127.0.0.1", 0), b"secret").get_server()
    ready()
    server.serve_forever()


def consumer() -> None:
    """The main thread takes from a queue what a thread takes from clients."""
    work: queue.Queue[object] = queue.Queue()
    made = listener()

    def produce() -> None:
        while True:
            work.put(made.accept())

    threading.Thread(target=produce, daemon=True).start()
    while True:
        work.get()


def waits_for_server() -> None:
    if (pid := os.fork()) == 0:
        accept()
    os.waitpid(pid, 0)


def prefork(rest: Callable[[], object]) -> None:
    """A master that looks after children who accept on one socket."""
    made = listener()
    for _ in range(2):
        if os.fork() == 0:
            while True:
                made.accept()
    while True:
        rest()


def master_select() -> None:
    select.select([os.pipe()[0]], [], [], 1.0)


def command_prompt() -> None:
    ready()
    os.execv(sys.executable, [sys.executable, "-i", "-q"])


def own_prompt() -> None:
    ready()
    code.interact(banner="")


def line_filter() -> None:
    ready()
    for line in sys.stdin:
        print(line.upper())


def filter_code() -> None:
    ready()
    os.execv(sys.executable, [sys.executable, "-c", "import sys\nfor line in sys.stdin:\n    print(line)"])


def protocol_server() -> None:
    ready()
    while header := sys.stdin.buffer.readline():
        sys.stdin.buffer.read(int(header))


def protocol_thread() -> None:
    """A thread reads requests; the main thread waits for what it brings."""
    ready()
    work: queue.Queue[str] = queue.Queue()

    def read() -> None:
        for line in sys.stdin:
            work.put(line)

    threading.Thread(target=read, daemon=True).start()
    while True:
        work.get()


def brpop(connection: socket.socket, key: bytes) -> bytes:
    connection.sendall(b"*3\r\n$5\r\nBRPOP\r\n$1\r\n" + key + b"\r\n$1\r\n0\r\n")
    return connection.recv(1000)


def message_queue() -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(sys.argv[2])
        ready()
        while True:
            brpop(connection, b"q")


def broker() -> None:
    """A server of message queues that never has a message. It listens at ADDRESS."""
    selector = selectors.DefaultSelector()
    made = socket.socket(socket.AF_UNIX)
    made.bind(sys.argv[2])
    made.listen()
    selector.register(made, selectors.EVENT_READ)
    ready()
    while True:
        for key, _ in selector.select():
            if key.fileobj is made:
                selector.register(made.accept()[0], selectors.EVENT_READ)
            else:
                os.read(key.fd, 1000)


def bare_input() -> None:
    ready()
    while command := input():
        print(command)


def commands() -> None:
    ready()
    Cmd().cmdloop()


def daemon() -> None:
    """A program that has put a daemon into a session of its own, and names it; `idle.py` itself goes on serving."""
    told, tell = os.pipe()
    if (pid := os.fork()) == 0:
        os.setsid()
        if (grandchild := os.fork()) > 0:
            os.write(tell, str(grandchild).encode())
            os._exit(0)
        signal.pause()
    os.waitpid(pid, 0)
    ready(int(os.read(told, 20)))
    with socket.create_server(("127.0.0.1", 0)) as made:
        made.accept()


def look_at_clock() -> None:
    while True:
        time.sleep(0.1)


MODES: dict[str, Callable[[], object]] = {
    "accept": accept,
    "accept-timeout": accept_with_timeout,
    "one-client": one_client,
    "http": http,
    "plain-http": plain_http,
    "asyncio": lambda: loop(heartbeat=False),
    "asyncio-heartbeat": lambda: loop(heartbeat=True),
    "pool": with_pool,
    "executors": with_executors,
    "manager": with_manager,
    "manager-alone": manager_alone,
    "log-listener": with_log_listener,
    "consumer": consumer,
    "child": waits_for_server,
    "prefork-select": lambda: prefork(master_select),
    "prefork-wait": lambda: prefork(os.wait),
    "prefork-pause": lambda: prefork(signal.pause),
    "prompt": command_prompt,
    "own-prompt": own_prompt,
    "filter": line_filter,
    "filter-code": filter_code,
    "protocol": protocol_server,
    "protocol-thread": protocol_thread,
    "input": bare_input,
    "commands": commands,
    "broker": broker,
    "message-queue": message_queue,
    "daemon": daemon,
}

if __name__ == "__main__":
    if sys.argv[2:] == ["monitor"]:
        threading.Thread(target=look_at_clock, daemon=True).start()
    MODES[sys.argv[1]]()
