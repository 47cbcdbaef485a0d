"""The closure on real programs: what can never go on is proven, and what can is not."""

from __future__ import annotations

import os

import pytest
from cvdebug.core.diagnose.closure import Closure, close
from cvdebug.core.diagnose.graph import build, story
from cvdebug.core.model import TreeSnapshot, WaitKind
from cvdebug.core.observe import tree

from tests.programs import Program, running, until

pytestmark = pytest.mark.slow
LOOKS = 15


def look(program: Program) -> tuple[TreeSnapshot, Closure]:
    first = tree.take(program.pid)
    return first, close(first, tree.retake(first))


def look_until_dead(program: Program) -> tuple[TreeSnapshot, Closure]:
    """The first look at which the whole tree is dead."""

    def all_dead() -> tuple[TreeSnapshot, Closure] | None:
        first, closure = look(program)
        return (first, closure) if set(closure.dead_processes) == {process.pid for process in first.processes} else None

    found = until(all_dead)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("mode", "sentence"),
    [
        ("pipe-full-cycle", "whose read end is held by PID {root}"),
        ("pipe-never-eof", "whose write end is held by PID {root}"),
        ("thread-lock-cycle", "a Python lock"),
        ("queue-join-before-drain", "waits for room on pipe"),
        ("executor-self-wait", "a Python lock"),
        ("exit-join", "a Python lock"),
        ("semaphore-owner-dead", "/dev/shm/sem."),
        ("child-wait", "and it has no other"),
        ("event-loop-blocked", "which PID {root} did not accept yet at 127.0.0.1:"),
        ("asyncio-await-never", "waits in epoll for socket"),
        ("task-lost", "waits in poll for data on pipe"),
        ("socket-pair", "waits in select for socket"),
        ("connection-wait", "waits in poll for data on pipe"),
        ("leader-gone", "whose write end is held by PID {root}"),
    ],
)
def test_what_can_never_go_on_is_proven(mode: str, sentence: str) -> None:
    with running("hangs.py", mode) as program:
        first, closure = look_until_dead(program)
        assert {program.pid, *program.workers} <= set(closure.dead_processes)
        graph = build(first, closure)
        assert graph.heart
        lines = story(graph)
        assert len(lines) == len(closure.dead_threads)
        assert any(sentence.format(root=program.pid) in line for line in lines)


def test_the_heart_of_a_chain_of_children_is_the_last() -> None:
    with running("hangs.py", "child-wait") as program:
        first, closure = look_until_dead(program)
        inner = program.workers[1]
        assert build(first, closure).dead_ends == (f"{inner}/{inner}",)


SETTLED: dict[str, WaitKind] = {
    "sleep": WaitKind.SLEEP,
    "timer-lock": WaitKind.FUTEX,
    "idle-pool": WaitKind.PIPE_READ,
    "stopped": WaitKind.CHILD,
    "child-computes": WaitKind.CHILD,
    "pause": WaitKind.SIGNAL,
    "sigwait": WaitKind.SIGNAL,
    "outside-pipe": WaitKind.CHILD,
    "shared-file-futex": WaitKind.SHARED_FUTEX,
    "alarm": WaitKind.FUTEX,
    "alarm-pipe": WaitKind.PIPE_READ,
    "in-flight": WaitKind.CHILD,
    "socket-timeout": WaitKind.SOCKET,
    "armed-timerfd": WaitKind.SELECT,
    "accept": WaitKind.ACCEPT,
    "program": WaitKind.CHILD,
    "file-lock": WaitKind.CHILD,
}


@pytest.mark.parametrize("mode", SETTLED)
def test_what_only_looks_hung_is_not(mode: str) -> None:
    with running("alive.py", mode) as program:
        until(lambda: look(program)[0].waits[program.pid].kind is SETTLED[mode])
        for _ in range(LOOKS):
            assert look(program)[1].dead_threads == ()


@pytest.mark.parametrize("mode", ["busy-pool", "lock-ping-pong", "pipe-ping-pong"])
def test_what_moves_is_not_hung(mode: str) -> None:
    with running("alive.py", mode) as program:
        for _ in range(3 * LOOKS):
            assert look(program)[1].dead_threads == ()


@pytest.mark.parametrize("mode", ["watchdog", "monitor"])
def test_whoever_waits_for_a_dead_process_that_another_may_end_is_not_dead(mode: str) -> None:
    with running("alive.py", mode) as program:
        worker = program.workers[0]
        until(lambda: worker in look(program)[1].dead_processes)
        for _ in range(LOOKS):
            assert look(program)[1].dead_processes == (worker,)


def test_the_reason_of_a_living_thread_is_said() -> None:
    with running("alive.py", "in-flight") as program:
        waiting = program.workers[0]
        until(lambda: look(program)[0].waits[waiting].kind is WaitKind.PIPE_READ)
        assert look(program)[1].threads[waiting].why == "descriptors are on their way in a message"
    with running("alive.py", "outside-pipe") as program:
        (child,) = program.workers
        until(lambda: look(program)[0].waits[child].kind is WaitKind.PIPE_READ)
        why = look(program)[1].threads[child].why
        assert why == f"PID {os.getpid()}, which is not in the tree, holds it"
    with running("alive.py", "file-lock") as program:
        (child,) = program.workers
        until(lambda: look(program)[0].waits[child].kind is WaitKind.FILE_LOCK)
        wait = look(program)[0].waits[child]
        assert wait.text == f"waits for the lock on a file, which PID {program.pid} owns"


def test_looking_moves_nothing() -> None:
    with running("hangs.py", "task-lost") as program:
        first, _ = look_until_dead(program)
        for _ in range(LOOKS):
            look(program)
        switches = {thread.tid: thread.switches for process in first.processes for thread in process.threads}
        for process in tree.retake(first).processes:
            assert {thread.tid: switches[thread.tid] for thread in process.threads} == {
                thread.tid: thread.switches for thread in process.threads
            }


def test_a_blocked_write_that_was_looked_at_still_delivers_every_byte() -> None:
    with running("hangs.py", "pipe-full-cycle") as program:
        (child,) = program.workers
        look_until_dead(program)
        for _ in range(50):
            look(program)
        end = os.open(f"/proc/{program.pid}/fd/{_read_end(program.pid, child)}", os.O_RDONLY)
        with open(end, "rb") as pipe:
            received = 0
            while data := pipe.read1():
                received += len(data)
        assert received == 800_000


def _read_end(parent: int, child: int) -> int:
    inode = os.stat(f"/proc/{child}/fd/1").st_ino
    found = [fd for fd in os.listdir(f"/proc/{parent}/fd") if os.stat(f"/proc/{parent}/fd/{fd}").st_ino == inode]
    return int(found[0])
