"""The tree and its snapshots: who belongs to it, and parsers that stay calm."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from cvdebug.core.model import DescriptorKind, TreeSnapshot, WaitKind
from cvdebug.core.observe import proc, tree
from cvdebug.core.observe.kernel import read
from hypothesis import given
from hypothesis import strategies as st

from tests.programs import running, until

ROW = b"%d (%s) %s 7 1 8 0 -1 4194368 0 0 0 0 1 2 0 0 20 0 %d 0 99 163946496 2724 18446744073709551615 1 2\n"


@given(name=st.binary(max_size=30).filter(lambda name: b"\0" not in name))
def test_a_row_is_read_whatever_the_name(name: bytes) -> None:
    assert tree.parse_row(ROW % (5, name, b"S", 1)) == (7, 8, 99)


@pytest.mark.parametrize(("state", "threads", "lives"), [(b"Z", 1, False), (b"Z", 3, True), (b"X", 1, False)])
def test_a_process_lives_as_long_as_one_of_its_threads(state: bytes, threads: int, lives: bool) -> None:
    assert (tree.parse_row(ROW % (5, b"x", state, threads)) is not None) is lives


@given(st.binary(max_size=200), st.integers(0, len(ROW)))
def test_no_content_makes_a_parser_raise(content: bytes, cut: int) -> None:
    tree.parse_row(content)
    tree.parse_row((ROW % (5, b"a) S", b"S", 1))[:cut])
    assert len(proc.parse_state(content)) <= 1


def test_a_root_that_is_gone_has_no_tree() -> None:
    first = tree.take(2**22 + 1)
    assert (first.processes, first.waits) == ((), {})
    assert tree.retake(first).processes == ()


def test_a_snapshot_says_what_is_open_and_what_is_waited_for() -> None:
    with running("hangs.py", "pipe-full-cycle") as program:
        (child,) = program.workers

        def blocked() -> TreeSnapshot | None:
            taken = tree.take(program.pid)
            return taken if taken.waits[child].kind is WaitKind.PIPE_WRITE else None

        first = until(blocked)
        assert first is not None
        assert [process.pid for process in first.processes] == [program.pid, child]
        wait = first.waits[child]
        assert wait.inodes == (os.stat(f"/proc/{child}/fd/1").st_ino,)
        assert (1, DescriptorKind.PIPE, wait.inodes[0]) in {
            (item.fd, item.kind, item.inode) for item in first.descriptors[child]
        }
        assert first.programs[child].startswith("python")
        assert wait.text == f"waits for room on pipe {wait.inodes[0]}, whose read end is held by PID {program.pid}"
        assert first.waits[program.pid].text == f"waits for its child PID {child} to end"


RESTLESS = """
import os, select
read, _ = os.pipe()
print("ready", read, flush=True)
while True:
    poll = select.poll()
    poll.register(read, select.POLLIN)
    poll.poll(1)
    del poll
    spoilt = [object() for _ in range(9999)]  # of the size of a descriptor to poll, and beginning with a small number
"""


def test_a_wait_is_never_read_from_memory_that_has_been_used_anew() -> None:
    with subprocess.Popen([sys.executable, "-c", RESTLESS], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        fd = int(process.stdout.readline().split()[1])
        inode = os.stat(f"/proc/{process.pid}/fd/{fd}").st_ino
        waits = [tree.take(process.pid).waits[process.pid] for _ in range(150)]
        process.kill()
    in_poll = [wait for wait in waits if wait.inodes]
    assert in_poll
    assert {wait.inodes for wait in in_poll} == {(inode,)}
    assert {wait.kind for wait in waits if not wait.inodes} <= {WaitKind.RUNNING, WaitKind.UNKNOWN}


ORPHAN = """
import os, sys, time
if os.fork() == 0:
    if sys.argv[1] == "session":
        os.setsid()
    if os.fork() == 0:
        print("ready", os.getpid(), flush=True)
        time.sleep(600)
    sys.stdin.readline()
    os._exit(0)
os.wait()
time.sleep(600)
"""


@pytest.mark.parametrize("kind", ["plain", "session"])
def test_an_orphan_stays_in_the_tree(kind: str) -> None:
    """By the session that the root leads, or because it was seen below it before."""
    command = [sys.executable, "-c", ORPHAN, kind]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, start_new_session=True) as root:
        assert root.stdin
        assert root.stdout
        orphan = int(root.stdout.readline().split()[1])
        try:
            before = tree.take(root.pid)
            assert orphan in tree.members(root.pid)
            root.stdin.write("\n")
            root.stdin.flush()
            until(lambda: proc.parse_parent(read(f"/proc/{orphan}/stat"))[1] not in tree.members(root.pid))
            known = [(process.pid, process.start_ticks) for process in before.processes]
            assert orphan in tree.members(root.pid, known)
            assert (orphan in tree.members(root.pid)) is (kind == "plain")
            assert orphan in {process.pid for process in tree.retake(before).processes}
            assert orphan not in tree.members(root.pid, [(orphan, 1)]) or kind == "plain"
        finally:
            os.kill(orphan, signal.SIGKILL)
            root.kill()


def test_a_second_snapshot_of_a_sleeping_process_is_the_first() -> None:
    with running("waits.py", "lock") as program:
        (child,) = program.workers
        until(lambda: proc.snapshot([child])[child].threads[0].state == "S")
        first = proc.snapshot([child])[child]
        assert proc.snapshot_again([first])[child].threads == first.threads


def test_this_process_sees_all_of_its_own_tree() -> None:
    assert tree.take(os.getpid()).not_seen == ()
