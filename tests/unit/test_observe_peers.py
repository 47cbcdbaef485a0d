"""The connections that threads wait on, and what their other ends do."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cvdebug.core.model import TreeSnapshot
from cvdebug.core.observe import asleep, held, peers, proc, servers, sockets, tree
from cvdebug.core.observe.peers import Connection
from hypothesis import given
from hypothesis import strategies as st

from tests.programs import until


@contextmanager
def receiving(client: socket.socket) -> Iterator[int]:
    """A thread of this process that waits for data on a socket: its TID."""
    waiter = threading.Thread(target=client.recv, args=(1,))
    waiter.start()
    try:
        assert waiter.native_id
        yield waiter.native_id
    finally:
        client.shutdown(socket.SHUT_RDWR)
        waiter.join()


def connection_of(tid: int) -> Connection:
    def look() -> Connection | None:
        found = peers.connections(tree.take(os.getpid()))
        return next((each for each in found if each.tid == tid), None)

    found = until(look)
    assert found is not None
    return found


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def test_a_connection_that_nobody_accepted(listener: socket.socket) -> None:
    address = listener.getsockname()
    with socket.create_connection(address) as client, receiving(client) as tid:
        client.sendall(b"hello")
        found = connection_of(tid)
        assert (found.accepted, found.incoming, found.asked) == (False, False, True)
        assert (found.address, found.peer_unread_bytes) == (f"127.0.0.1:{address[1]}", 5)
        assert found.peer_pids == (os.getpid(),)


def test_a_connection_with_a_question_and_one_without(listener: socket.socket) -> None:
    with (
        socket.create_connection(listener.getsockname()) as client,
        listener.accept()[0] as server,
        receiving(client) as tid,
    ):
        assert connection_of(tid).asked is False
        client.sendall(b"question")
        found = connection_of(tid)
        assert (found.asked, found.accepted, found.peer_unread_bytes) == (True, True, 8)
        assert found.since_sent_s is not None
        assert found.silent_s is not None
        server.recv(100)
        assert connection_of(tid).peer_unread_bytes == 0


def test_who_connected_is_told_from_who_listens(listener: socket.socket) -> None:
    with socket.create_connection(listener.getsockname()), listener.accept()[0] as server, receiving(server) as tid:
        assert connection_of(tid).incoming is True


def test_a_unix_connection_has_its_listeners_path(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as client:
        listener.bind(path)
        listener.listen()
        client.connect(path)
        with receiving(client) as tid:
            found = connection_of(tid)
            assert (found.address, found.accepted, found.peer_pids) == (path, False, (os.getpid(),))
            with listener.accept()[0]:
                found = connection_of(tid)
                assert (found.address, found.accepted, found.incoming) == (path, True, False)


def test_a_pair_of_sockets_has_no_address() -> None:
    here, there = socket.socketpair()
    with here, there, receiving(here) as tid:
        found = connection_of(tid)
        assert (found.address, found.incoming, found.peer_pids) == ("", None, (os.getpid(),))


def test_accept_is_a_wait_for_somebody_to_connect(listener: socket.socket) -> None:
    def accept() -> None:
        listener.accept()[0].close()

    waiter = threading.Thread(target=accept)
    waiter.start()
    assert waiter.native_id
    assert connection_of(waiter.native_id).listening
    socket.create_connection(listener.getsockname()).close()
    waiter.join()


def test_no_tree_has_no_connections() -> None:
    assert peers.connections(TreeSnapshot(root=1, at_s=0.0, processes=())) == ()


# What the other end does


@contextmanager
def program(code: str) -> Iterator[int]:
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stdin=subprocess.PIPE) as process:
        try:
            assert process.stdout
            process.stdout.readline()
            yield process.pid
        finally:
            for pid in reversed(proc.descendants(process.pid)):
                os.kill(pid, signal.SIGKILL)


def state_of(pid: int) -> servers.Server:
    """What a process does, once it has come to rest or keeps busy."""
    watch = servers.Watch({1: [pid]})
    time.sleep(0.02)
    return watch.finish()[pid]


SAY = "print(flush=True);"
IDLE = {
    "accept": f"import socket; s = socket.create_server(('127.0.0.1', 0)); {SAY} s.accept()",
    "lock": f"import threading; {SAY} threading.Event().wait()",
    "long sleep": f"import time; {SAY} time.sleep(3600)",
    "long wait": f"import threading; {SAY} threading.Event().wait(3600)",
    "long poll": f"import select; p = select.poll(); {SAY} p.poll(3600_000)",
    "input": f"{SAY} input()",
    "own child": f"import os, signal; p = os.fork()\nif p == 0: signal.pause()\n{SAY} os.wait()",
}
BUSY = {
    "sleep": f"import time; {SAY} time.sleep(60)",
    "poll": f"import select; p = select.poll(); {SAY} p.poll(60_000)",
    "timed lock": f"import threading; {SAY} threading.Event().wait(60)",
    "compute": f"{SAY}\nwhile True: pass",
    "child": f"import subprocess; p = subprocess.Popen(['sleep', '60']); {SAY}\ntry: p.wait()\nfinally: p.kill()",
    "alarm": f"import signal; signal.signal(signal.SIGALRM, print); signal.alarm(60); {SAY} signal.pause()",
    "timer": f"import threading; threading.Timer(60, print).start(); {SAY} threading.Event().wait()",
}


@pytest.mark.parametrize("code", IDLE.values(), ids=IDLE.keys())
def test_an_idle_server_is_known(code: str) -> None:
    with program(code) as pid:
        found = until(lambda: (state := state_of(pid)).busy == "" and state)
        assert found
        assert found.idle


@pytest.mark.parametrize("code", BUSY.values(), ids=BUSY.keys())
def test_a_server_that_may_work_is_never_idle(code: str) -> None:
    with program(code) as pid:
        for _ in range(5):
            state = state_of(pid)
            assert state.busy


def test_a_server_that_waits_for_another_one_may_work(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    with program(f"import socket; s = socket.create_connection(('127.0.0.1', {port})); {SAY} s.recv(1)") as pid:
        until(lambda: "an answer from 127.0.0.1" in state_of(pid).busy)


def test_a_process_that_is_gone_counts_as_work() -> None:
    with program(f"{SAY} input()") as pid:
        watch = servers.Watch({1: [pid]})
    assert watch.finish()[pid].busy


def test_how_long_a_thread_has_slept() -> None:
    with program(f"import time; {SAY} time.sleep(100)") as pid:
        if not asleep.asleep_s([(pid, pid)]):
            pytest.skip("this kernel does not tell")
        until(lambda: 0.3 < asleep.asleep_s([(pid, pid)])[pid] < 5)
        thread = proc.snapshot([pid])[pid].threads[0]
        assert 90 < (servers.remaining_s(pid, thread) or 0) < 100


# Parsers


@given(st.binary())
def test_no_bytes_disturb_the_parsers(data: bytes) -> None:
    sockets.parse_traffic(data)
    asleep.parse_last_run(data)
    asleep.parse_processor(data)
    assert held.parse_tracer(data) >= 0


@given(st.binary(max_size=400))
def test_a_broken_answer_about_a_connection_is_none_or_times(rest: bytes) -> None:
    header = (16 + len(rest)).to_bytes(4, "little") + (20).to_bytes(2, "little") + bytes(10)
    found = sockets.parse_traffic(header + rest)
    assert found is None or found.silent_s >= 0


def test_the_tracer_is_read() -> None:
    assert held.parse_tracer(b"Name:\tx\nTracerPid:\t77\nUid:\t0\n") == 77
