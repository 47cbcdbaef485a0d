"""Programs that wait for something outside of their tree: named right, and no alarm for what may still come."""

from __future__ import annotations

import os
import pty
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
import pytest
from cvdebug.core.diagnose.investigate import investigate
from cvdebug.core.diagnose.judge import is_hang
from cvdebug.core.diagnose.rules import remote_no_reply
from cvdebug.core.model import Certainty, Verdict
from cvdebug.core.observe import tree

from tests.classes import judged, never_a_hang
from tests.freezer import freezer
from tests.programs import Program, running, until

slow = pytest.mark.slow
_PROGRAMS = Path(__file__).parent.parent / "programs"


@contextmanager
def started(*command: str, stdin: int = subprocess.DEVNULL, stdout: int = subprocess.PIPE) -> Iterator[Program]:
    """A program that belongs to nobody's tree but the test's, in a session of its own, which is ended with it."""
    with subprocess.Popen(
        [sys.executable, *command], stdin=stdin, stdout=stdout, text=True, start_new_session=True
    ) as process:
        try:
            yield Program(process.pid, (), sys.stdin, process.stdout or sys.stdout)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


@contextmanager
def serving(address: str, behaviour: str) -> Iterator[tuple[int, str]]:
    """The PID of a server, and what to connect to."""
    with started(str(_PROGRAMS / "server.py"), address, behaviour) as server:
        word, place = server.output.readline().split()
        assert word == "ready"
        yield server.pid, place


# Servers


@pytest.mark.parametrize(
    ("behaviour", "kind", "place", "words"),
    [
        ("dropped", "raw", "main", "the other end has read everything"),
        pytest.param("unaccepted", "http", "main", "has not accepted the connection", marks=slow),
        pytest.param("unaccepted", "raw", "child", "has not accepted the connection", marks=slow),
        pytest.param("unread", "url", "main", "lie unread at the other end", marks=slow),
        pytest.param("unread", "async", "main", "lie unread at the other end", marks=slow),
        pytest.param("threaded", "httpx-none", "thread", "the other end has read everything", marks=slow),
        pytest.param("threaded", "httpx-120", "main", "the other end has read everything", marks=slow),
        pytest.param("async-forgets", "http", "child", "the other end has read everything", marks=slow),
    ],
)
def test_a_request_that_nobody_works_on_is_named(behaviour: str, kind: str, place: str, words: str) -> None:
    with serving("tcp", behaviour) as (server, port), running("client.py", kind, port, place) as program:
        verdict = judged(program, "remote-no-reply", Certainty.LIKELY)
        text = "\n".join(verdict.evidence)
        assert f"connected to 127.0.0.1:{port}, held by PID {server}" in text
        assert words in text


@slow
@pytest.mark.parametrize("kind", ["http", "raw"])
@pytest.mark.parametrize("behaviour", ["unaccepted", "unread"])
def test_the_same_over_a_unix_socket(tmp_path: Path, behaviour: str, kind: str) -> None:
    path = str(tmp_path / "socket")
    with serving(path, behaviour) as (_, _), running("client.py", kind, path) as program:
        verdict = judged(program, "remote-no-reply", Certainty.LIKELY)
        assert f"connected to {path}" in verdict.evidence[0]


@slow
def test_a_stopped_server_works_on_nothing() -> None:
    with serving("tcp", "sleeps") as (server, port):
        os.kill(server, signal.SIGSTOP)
        with running("client.py", "http", port) as program:
            assert "is stopped" in "\n".join(judged(program, "remote-no-reply", Certainty.LIKELY).evidence)


@pytest.mark.parametrize(
    ("behaviour", "kind"),
    [
        ("sleeps", "http"),
        pytest.param("sleeps", "raw", marks=slow),
        pytest.param("computes", "url", marks=slow),
        pytest.param("runs-child", "http", marks=slow),
        pytest.param("timer", "httpx-none", marks=slow),
        pytest.param("threaded-sleeps", "http", marks=slow),
        pytest.param("async-sleeps", "http", marks=slow),
        pytest.param("async-sleeps", "async", marks=slow),
        # It has asked for nothing: what comes is work for it.
        pytest.param("dropped", "subscriber", marks=slow),
    ],
)
def test_a_slow_server_is_no_hang(behaviour: str, kind: str) -> None:
    with serving("tcp", behaviour) as (_, port), running("client.py", kind, port) as program:
        # Long enough ago that a server which had forgotten the request would be recognised.
        until(lambda: any((c.since_sent_s or 0) > 1.5 for c in investigate(program.pid).case.surroundings.connections))
        never_a_hang(program, "waiting-for-remote")


@slow
def test_a_server_that_cannot_be_seen_gets_a_minute() -> None:
    with serving("tcp", "sleeps") as (_, port), running("client.py", "httpx-none", port) as program:
        until(lambda: investigate(program.pid).verdicts[0].slug == "waiting-for-remote")
        case = investigate(program.pid).case
        (connection,) = case.surroundings.connections
        for silent_s, expected in ((59.0, 0), (61.0, 1)):
            unseen = msgspec.structs.replace(connection, peer_pids=(), silent_s=silent_s, since_sent_s=silent_s - 0.1)
            around = msgspec.structs.replace(case.surroundings, connections=(unseen,), servers={})
            changed = msgspec.structs.replace(case, surroundings=around)
            assert len(list(remote_no_reply.match(changed))) == expected


# Locks on files


@pytest.mark.parametrize(
    ("holder", "waiter"),
    [
        ("holder", "flock"),
        pytest.param("sleeping-holder", "thread", marks=slow),
        pytest.param("holder", "library", marks=slow),
        pytest.param("holder", "hub", marks=slow),
        pytest.param("soft-holder", "soft", marks=slow),
    ],
)
def test_the_owner_of_a_lock_on_a_file_is_named(tmp_path: Path, holder: str, waiter: str) -> None:
    path = str(tmp_path / "file.lock")
    with running("lock_files.py", holder, path) as owner, running("lock_files.py", waiter, path) as program:
        verdict = judged(program, "file-lock-held", Certainty.LIKELY)
        text = "\n".join(verdict.evidence)
        assert path in text
        assert f"the owner, PID {owner.pid}" in text
        assert verdict.fixes[0].command == f"kill {owner.pid}"


@slow
def test_a_parent_may_own_the_lock_that_its_child_waits_for(tmp_path: Path) -> None:
    with running("lock_files.py", "posix", str(tmp_path / "file.lock")) as program:
        turn = f"waits for PID {program.workers[0]} in turn"

        def circle() -> Verdict | None:
            """The parent says ready before it waits."""
            verdict = judged(program, "file-lock-held", Certainty.LIKELY)
            return verdict if any(turn in line for line in verdict.evidence) else None

        verdict = until(circle)
        assert verdict is not None
        assert [culprit.pid for culprit in verdict.culprits] == list(program.workers)
        assert not verdict.fixes[0].command


@slow
def test_a_program_may_own_the_lock_that_it_waits_for(tmp_path: Path) -> None:
    with running("lock_files.py", "twice", str(tmp_path / "file.lock")) as program:
        verdict = judged(program, "file-lock-held", Certainty.LIKELY)
        assert any("holds the lock itself" in line for line in verdict.evidence)
        assert not verdict.fixes[0].command


@slow
@pytest.mark.parametrize(
    ("holder", "waiter"),
    [("busy-holder", "flock"), ("brief-holder", "flock"), ("busy-holder", "library"), ("holder", "patient")],
)
def test_a_lock_that_will_be_released_is_no_hang(tmp_path: Path, holder: str, waiter: str) -> None:
    path = str(tmp_path / "file.lock")
    with running("lock_files.py", holder, path), running("lock_files.py", waiter, path) as program:
        for _ in range(5):
            assert not any(map(is_hang, investigate(program.pid).verdicts))


@pytest.mark.parametrize("kind", ["soft", pytest.param("soft-thread", marks=slow)])
def test_a_lock_file_that_nobody_holds_is_stale(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "left.lock"
    path.touch()
    os.utime(path, (0, 0))
    with running("lock_files.py", kind, str(path)) as program:
        verdict = judged(program, "stale-lock-file", Certainty.CERTAIN)
        assert f"polls for the lock file {path}, inode {path.stat().st_ino}" in verdict.evidence[0]
        assert verdict.fixes[0].command == f"rm '{path}'"


# Processes that are held


def test_a_stopped_worker_is_named() -> None:
    with running("alive.py", "stopped") as program:
        verdict = judged(program, "process-stopped", Certainty.CERTAIN)
        assert [culprit.pid for culprit in verdict.culprits] == list(program.workers)
        assert verdict.fixes[0].command == f"kill -CONT {program.workers[0]}"


@slow
def test_a_stopped_root_is_named() -> None:
    with running("alive.py", "idle-pool") as program:
        os.kill(program.pid, signal.SIGSTOP)
        judged(program, "process-stopped", Certainty.CERTAIN)


@slow
@pytest.mark.skipif(shutil.which("gdb") is None, reason="there is no gdb here")
def test_a_debugger_is_named() -> None:
    with running("alive.py", "sleep") as program:
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        command = ["gdb", "-q", "-nx", "-p", str(program.pid)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, **quiet) as debugger:  # type: ignore[call-overload]
            try:
                verdict = judged(program, "process-stopped", Certainty.CERTAIN)
                assert f"TracerPid {debugger.pid} (gdb)" in "\n".join(verdict.evidence)
            finally:
                debugger.kill()


@pytest.mark.parametrize("mode", ["idle-pool", pytest.param("accept", marks=slow)])
def test_a_frozen_program_is_named(mode: str) -> None:
    with running("alive.py", mode) as program, freezer(tree.members(program.pid)) as freeze:
        if freeze is None:
            pytest.skip("no cgroup can be made here")
        freeze(True)
        verdict = judged(program, "process-frozen", Certainty.CERTAIN)
        assert {culprit.pid for culprit in verdict.culprits} == set(tree.members(program.pid))


@contextmanager
def frozen_file_system(folder: Path) -> Iterator[Path]:
    image, mounted = folder / "image", folder / "mounted"
    mounted.mkdir()
    with image.open("wb") as file:
        file.truncate(8 << 20)
    steps: tuple[list[str | Path], ...] = (
        ["mkfs.ext4", "-q", image],
        ["mount", "-o", "loop", image, mounted],
        ["fsfreeze", "--freeze", mounted],
    )
    try:
        for step in steps:
            try:
                subprocess.run(step, check=True, capture_output=True)
            except (OSError, subprocess.CalledProcessError):
                pytest.skip("no file system can be frozen here")
        yield mounted
    finally:
        for command in (("fsfreeze", "--unfreeze"), ("umount",)):
            with suppress(OSError):
                subprocess.run([*command, mounted], check=False, capture_output=True)


@slow
@pytest.mark.parametrize("threaded", [False, True])
def test_a_writer_to_a_frozen_file_system_is_named(tmp_path: Path, threaded: bool) -> None:
    with frozen_file_system(tmp_path) as folder:
        write = f"open({str(folder / 'file')!r}, 'w').close()"
        code = f"import threading\nthreading.Thread(target=lambda: {write}).start()" if threaded else write
        with started("-c", code) as program:
            verdict = judged(program, "uninterruptible-io", Certainty.LIKELY)
            assert "state D (uninterruptible) in both looks" in verdict.evidence[0]
            subprocess.run(["fsfreeze", "--unfreeze", folder], check=True)


# Standard input


@pytest.mark.parametrize(
    "kind", ["question", *(pytest.param(kind, marks=slow) for kind in ("helper", "click", "rich"))]
)
def test_a_question_that_nobody_answers_is_named(kind: str) -> None:
    with running("prompts.py", kind) as program:
        verdict = judged(program, "waiting-for-stdin", Certainty.LIKELY)
        assert "reads descriptor 0, which is pipe:[" in verdict.evidence[0]


@slow
@pytest.mark.parametrize("kind", ["filter", "server", "commands", "read-all", "enter", "served"])
def test_a_program_that_only_reads_its_input_is_no_hang(kind: str) -> None:
    with running("prompts.py", kind) as program:
        for _ in range(3):
            assert not any(map(is_hang, investigate(program.pid).verdicts))


@contextmanager
def on_terminal(*command: str) -> Iterator[Program]:
    primary, secondary = pty.openpty()
    try:
        with started(*command, stdin=secondary, stdout=secondary) as program:
            yield program
    finally:
        os.close(primary)
        os.close(secondary)


@slow
@pytest.mark.parametrize("command", [("-c", "import sys; sys.stdin.readline()"), ("-c", "exec('input()')")])
def test_a_terminal_that_nobody_types_at_is_named(command: tuple[str, ...]) -> None:
    with on_terminal(*command) as program:
        judged(program, "waiting-for-stdin", Certainty.LIKELY)


# At its prompt an interpreter waits in one of these: from 3.13 on, in the last.
PROMPTS = ("terminal", "select", "epoll", "poll")


@slow
@pytest.mark.parametrize("command", [("-q",), ("-c", "import code; code.interact()"), ("-m", "asyncio")])
def test_an_interpreter_at_its_prompt_is_no_hang(command: tuple[str, ...]) -> None:
    with on_terminal(*command) as program:
        until(lambda: investigate(program.pid).case.first.waits[program.pid].kind in PROMPTS)
        for _ in range(3):
            assert not any(map(is_hang, investigate(program.pid).verdicts))
