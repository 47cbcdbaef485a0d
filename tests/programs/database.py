"""Programs that wait for a PostgreSQL server: `database.py WHAT DSN`. Not all of them hang."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import select
import subprocess
import sys
import threading
import time
from multiprocessing.connection import Connection as Pipe

import psycopg

_BUSY = "SELECT count(*) FROM generate_series(1, 1000000000) a"
_CONTEXT = multiprocessing.get_context("fork")


def connect(dsn: str, name: str = "", *, autocommit: bool = True) -> psycopg.Connection:
    return psycopg.connect(dsn, autocommit=autocommit, application_name=name or "program")


def make(dsn: str) -> None:
    with connect(dsn) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS chunks (id int, other int)")
        connection.execute("CREATE TABLE IF NOT EXISTS elsewhere (id int)")


def ready(*pids: int) -> None:
    print("ready", *pids, flush=True)


# a forgotten transaction


def forget(dsn: str, table: str, told: Pipe) -> None:
    connection = connect(dsn, "forgetful", autocommit=False)
    connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    connection.execute(f"SELECT * FROM {table}".encode())
    told.send(os.getpid())
    time.sleep(10_000)


def forgetful_child(dsn: str, table: str = "chunks") -> int:
    ours, theirs = multiprocessing.Pipe()
    multiprocessing.Process(target=forget, args=(dsn, table, theirs), daemon=True).start()
    return int(ours.recv())


def idle_child(dsn: str) -> None:
    holder = forgetful_child(dsn)
    connection = connect(dsn)
    ready(holder)
    connection.execute("TRUNCATE chunks")


def idle_outside(dsn: str) -> None:
    """The holder is a session of somebody else; a monitor thread naps meanwhile."""
    threading.Thread(target=nap, daemon=True).start()
    connection = connect(dsn)
    ready()
    connection.execute("ALTER TABLE chunks ADD COLUMN more int")


def idle_pool(dsn: str) -> None:
    """Workers of a pool wait, and the parent waits for them."""
    holder = forgetful_child(dsn)
    with _CONTEXT.Pool(2, initializer=nothing) as pool:
        ready(holder)
        pool.map(truncate, [dsn, dsn])


def nothing() -> None:
    pass


def truncate(dsn: str) -> None:
    with connect(dsn) as connection:
        connection.execute("TRUNCATE chunks")


def nap() -> None:
    while True:
        time.sleep(0.5)


# the program's own first connection


def holding(dsn: str) -> psycopg.Connection:
    connection = connect(dsn, "first", autocommit=False)
    connection.execute("INSERT INTO chunks VALUES (1, 1)")
    return connection


def self_plain(dsn: str) -> None:
    first, second = holding(dsn), connect(dsn, "second")
    ready()
    second.execute("TRUNCATE chunks")
    first.commit()


def self_thread(dsn: str) -> None:
    first = holding(dsn)
    worker = threading.Thread(target=truncate, args=(dsn,))
    ready()
    worker.start()
    worker.join()
    first.commit()


def self_helper(dsn: str) -> None:
    threading.Thread(target=nap, daemon=True).start()
    self_plain(dsn)


def self_async(dsn: str) -> None:
    async def main() -> None:
        first = await psycopg.AsyncConnection.connect(dsn, application_name="first")
        await first.execute("INSERT INTO chunks VALUES (1, 1)")
        second = await psycopg.AsyncConnection.connect(dsn, autocommit=True)
        ready()
        await second.execute("TRUNCATE chunks")
        await first.commit()

    asyncio.run(main())


# an index that waits


def index_concurrently(dsn: str) -> None:
    holder = forgetful_child(dsn, "elsewhere")
    connection = connect(dsn)
    ready(holder)
    connection.execute("CREATE INDEX CONCURRENTLY ON chunks (id)")


def index_thread(dsn: str) -> None:
    holder = forgetful_child(dsn, "elsewhere")
    work = threading.Thread(target=lambda: connect(dsn).execute("CREATE INDEX CONCURRENTLY ON chunks (other)"))
    ready(holder)
    work.start()
    work.join()


# a client that is gone

_ORPHAN = """
import sys, psycopg
connection = psycopg.connect(sys.argv[1], application_name="gone")
connection.execute("SET client_connection_check_interval = 0")
connection.execute("LOCK TABLE chunks IN ACCESS EXCLUSIVE MODE")
print("locked", flush=True)
connection.execute(sys.argv[2])
"""


def busy_session(dsn: str, statement: str) -> subprocess.Popen[bytes]:
    """A client that holds the lock and waits for this statement."""
    client = subprocess.Popen([sys.executable, "-c", _ORPHAN, dsn, statement], stdout=subprocess.PIPE)
    assert client.stdout
    client.stdout.readline()
    with connect(dsn) as look:
        row = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'gone' AND state = 'active' AND query = %s"
        while not look.execute(row, (statement,)).fetchall():
            time.sleep(0.01)
    return client


def orphan(dsn: str, statement: str = _BUSY) -> None:
    client = busy_session(dsn, statement)
    client.kill()
    client.wait()
    connection = connect(dsn)
    ready()
    connection.execute("TRUNCATE chunks")


def orphan_asleep(dsn: str) -> None:
    orphan(dsn, "SELECT pg_sleep(10000)")


# one connection on both sides of a fork


def shared_process(dsn: str) -> None:
    """The parent takes the answer that the child waits for."""
    connection = connect(dsn)
    thief = os.pidfd_open(os.getpid())  # something for select to wait on, never ready
    child = _CONTEXT.Process(target=ask_and_wait, args=(connection,))
    child.start()
    take_answers(connection.fileno(), child.pid or 0, thief)


def shared_fork(dsn: str) -> None:
    connection = connect(dsn)
    thief = os.pidfd_open(os.getpid())
    child = os.fork()
    if not child:
        threading.Thread(target=nap, daemon=True).start()
        ask_and_wait(connection)
    take_answers(connection.fileno(), child, thief)


def ask_and_wait(connection: psycopg.Connection) -> None:
    """Asks until an answer was taken away by the other side."""
    while True:
        connection.execute("SELECT pg_sleep(0.05)")


def take_answers(fd: int, child: int, never: int) -> None:
    """Takes an answer away, and then waits for something else."""
    taken = b""
    while not taken:
        select.select([fd], [], [])
        with contextlib.suppress(BlockingIOError):  # the child was faster
            taken = os.read(fd, 65536)
    ready(child)
    select.select([never], [], [])


# no hangs


def active_holder(dsn: str, statement: str = _BUSY) -> None:
    client = busy_session(dsn, statement)
    connection = connect(dsn)
    ready(client.pid)
    connection.execute("TRUNCATE chunks")


def active_asleep(dsn: str) -> None:
    active_holder(dsn, "SELECT pg_sleep(10000)")


def busy_client(dsn: str) -> None:
    """The holder computes between two statements."""
    code = _ORPHAN.replace("connection.execute(sys.argv[2])", "while True: pass")
    client = subprocess.Popen([sys.executable, "-c", code, dsn], stdout=subprocess.PIPE)
    assert client.stdout
    client.stdout.readline()
    connection = connect(dsn)
    ready(client.pid)
    connection.execute("TRUNCATE chunks")


def listen(dsn: str) -> None:
    """Waits for notifications on a connection that a child has inherited."""
    connection = connect(dsn)
    connection.execute("LISTEN news")
    child = _CONTEXT.Process(target=time.sleep, args=(10_000,), daemon=True)
    child.start()
    ready(child.pid or 0)
    for _ in connection.notifies():
        pass


def long_query(dsn: str) -> None:
    connection = connect(dsn)
    ready(connection.info.backend_pid)
    connection.execute("SELECT pg_sleep(10000)")


def long_query_async(dsn: str) -> None:
    async def main() -> None:
        connection = await psycopg.AsyncConnection.connect(dsn, autocommit=True)
        ready(connection.info.backend_pid)
        await connection.execute("SELECT pg_sleep(10000)")

    asyncio.run(main())


def listen_select(dsn: str) -> None:
    """Waits for notifications in a loop of its own."""
    connection = connect(dsn)
    connection.execute("LISTEN news")
    ready()
    while True:
        select.select([connection.fileno()], [], [])


def slow_index(dsn: str, workers: int = 0) -> None:
    connection = connect(dsn)
    connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
    connection.execute("CREATE TABLE vectors (id int, embedding vector(256))")
    connection.execute(
        "INSERT INTO vectors SELECT n / 256, array_agg(random())::vector FROM generate_series(0, 5000 * 256 - 1) n"
        " GROUP BY n / 256"
    )
    connection.execute("SET maintenance_work_mem = '1MB'")
    connection.execute(f"SET max_parallel_maintenance_workers = {workers}".encode())
    connection.execute(f"ALTER TABLE vectors SET (parallel_workers = {workers})".encode())
    ready()
    options = "(m = 16, ef_construction = 200)"
    connection.execute(f"CREATE INDEX ON vectors USING hnsw (embedding vector_l2_ops) WITH {options}".encode())


def slow_index_parallel(dsn: str) -> None:
    threading.Thread(target=nap, daemon=True).start()
    slow_index(dsn, 2)


if __name__ == "__main__":
    make(sys.argv[2])
    globals()[sys.argv[1].replace("-", "_")](sys.argv[2])
