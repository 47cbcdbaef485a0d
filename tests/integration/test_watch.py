"""`watch`: the command runs as if cvdebug were not there, and its hangs are said."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from _pytest.mark.structures import ParameterSet

from .driver import until
from .watching import LINE, RAYON, WATCH, marked, start, watch


def rarely(value: str) -> ParameterSet:
    return pytest.param(value, marks=pytest.mark.slow)


# the exit code


@pytest.mark.parametrize(
    ("script", "code"), [("exit 0", 0), ("exit 7", 7), ("exit 255", 255), ("kill -9 $$", 137), ("kill -TERM $$", 143)]
)
def test_the_exit_code_is_the_commands(script: str, code: int) -> None:
    done = watch("--", "sh", "-c", script)
    assert (done.returncode, done.stdout, done.stderr) == (code, "", "")


def test_what_was_not_found_cannot_run_or_makes_no_sense(tmp_path: Path) -> None:
    headless = tmp_path / "headless"
    headless.write_text("#!/no/such/interpreter\n")
    headless.chmod(0o755)
    shapeless = tmp_path / "shapeless"
    shapeless.write_text("echo\n")
    shapeless.chmod(0o755)
    closed = tmp_path / "closed"
    closed.write_text("#!/bin/sh\n")
    for arguments, code, word in (
        (("--", "no-such-command"), 127, "was not found"),
        (("--", str(tmp_path / "none")), 127, "was not found"),
        (("--", str(closed)), 126, "permission"),
        (("--", str(tmp_path)), 126, "cannot be run"),
        (("--", str(headless)), 126, "interpreter"),
        (("--", str(shapeless)), 126, "#!"),
        ((), 2, "no command"),
        (("--on-hang", "kill"), 2, "no command"),
        (("--on-hang", "weep", "--", "true"), 2, "weep"),
        (("--no-such-flag", "true"), 2, "--no-such-flag"),
        (("--report", "report.txt", "--", "true"), 2, "suffix"),
        (("--dsn", "garbage", "--", "true"), 2, "dsn"),
    ):
        done = watch(*arguments)
        assert (done.returncode, done.stdout) == (code, "")
        assert done.stderr.startswith("cvdebug: ")
        assert word in done.stderr
        assert done.stderr.count("\n") == 1


def test_flags_after_the_command_are_the_commands() -> None:
    for before in ((), ("--",)):
        assert watch(*before, "echo", "--report", "-x", "--", "--on-hang").stdout == "--report -x -- --on-hang\n"
    assert "cvdebug watch [OPTIONS] -- COMMAND" in watch("--help").stdout


# streams, environment, descriptors


def test_streams_and_environment_are_inherited_untouched(tmp_path: Path) -> None:
    script = 'import os, sys; print(os.fstat(0).st_ino, os.fstat(1).st_ino, os.listdir("/proc/self/fd"), os.environ)'
    plain = {"PATH": os.environ["PATH"], "A": "b c"}
    lines = []
    for before in (WATCH, ()):
        with open(tmp_path / "out", "wb") as out, open(tmp_path / "in", "ab+") as input:
            command = [*before, *(("--",) if before else ()), sys.executable, "-S", "-c", script]
            subprocess.run(command, stdin=input, stdout=out, env=plain, timeout=60, check=True)
        lines.append((tmp_path / "out").read_text())
    assert lines[0] == lines[1]


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)])
def test_closed_streams_stay_closed(closed: tuple[int, ...], tmp_path: Path) -> None:
    script = (
        "import os; found = [fd for fd in range(3) if os.path.exists(f'/proc/self/fd/{fd}')]\n"
        f"open({str(tmp_path / 'open')!r}, 'w').write(str(found))"
    )
    redirections = " ".join(f"{fd}>&-" for fd in closed)
    line = ["sh", "-c", f'exec "$@" {redirections}', "sh", *WATCH, "--", sys.executable, "-S", "-c", script]
    subprocess.run(line, timeout=60, check=True)
    assert (tmp_path / "open").read_text() == str([fd for fd in range(3) if fd not in closed])


def test_in_a_pipeline() -> None:
    line = f"yes | {LINE} -- cat | {LINE} -- head -2; echo ${{PIPESTATUS[*]}}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "y\ny\n141 141 0\n"  # cat dies of SIGPIPE as it does without us
    assert done.stderr == ""


def test_a_reader_waits_for_the_commands_output_and_not_for_ours() -> None:
    """The command lets go of its output and goes on."""
    with start("--", "sh", "-c", "echo x; exec >&- 2>&-; exec sleep 60") as process:
        assert process.stdout
        assert process.stdout.read() == "x\n"
        process.terminate()
        assert process.wait(20) == 143


# signals


@pytest.mark.parametrize(
    "name", ["TERM", "INT", "CONT", *map(rarely, ("HUP", "USR1", "USR2", "QUIT", "WINCH", "ALRM", "RTMIN"))]
)
def test_signals_sent_to_cvdebug_reach_the_command_once(name: str) -> None:
    number = signal.SIGRTMIN if name == "RTMIN" else signal.Signals[f"SIG{name}"]
    script = (
        "import signal, sys, time\n"
        f"signal.signal({int(number)}, lambda *_: print('got', flush=True))\n"
        "signal.signal(signal.SIGPROF, lambda *_: sys.exit(5))\n"
        "print('ready', flush=True)\n"
        "while True: time.sleep(60)\n"
    )
    with start("--", sys.executable, "-c", script) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert process.stdout.readline() == "got\n"
        process.send_signal(signal.SIGPROF)
        assert process.communicate(timeout=20) == ("", "")
        assert process.returncode == 5


def test_what_is_ignored_or_blocked_stays_so() -> None:
    """As under nohup: the command ignores the hang-up too."""
    inside_glibc = 1 << 31 | 1 << 32  # signals 32 and 33, which posix_spawn(3) ignores
    masks = []
    for before in ((), (*WATCH, "--")):
        line = ["nohup", *before, "grep", "-E", "SigIgn|SigBlk", "/proc/self/status"]
        done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=True)
        masks.append([int(row.split()[1], 16) & ~inside_glibc for row in done.stdout.splitlines()])
    assert masks[0] == masks[1] == [0, 1]


def test_sigchld_ignored_by_whoever_starts_us() -> None:
    line = [*WATCH, "--", "sh", "-c", "exit 3"]
    script = f"import os, signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.execv({line[0]!r}, {line!r})"
    assert subprocess.run([sys.executable, "-c", script], timeout=60, check=False).returncode == 3


# who outlives whom


def test_a_daemon_outlives_the_command_and_nobody_waits_for_it(mark: str) -> None:
    began_s = time.monotonic()
    done = watch("--", "sh", "-c", "setsid sleep 60 >/dev/null 2>&1 </dev/null & echo $!")
    assert time.monotonic() - began_s < 30
    assert marked(mark) == [int(done.stdout)]


def test_the_command_outlives_a_killed_cvdebug(mark: str) -> None:
    with start("--", "sh", "-c", "echo ready; exec sleep 60") as process:
        assert process.stdout
        process.stdout.readline()
        process.kill()
        process.wait()
        (left,) = marked(mark)
        os.kill(left, signal.SIGKILL)


def test_orphans_are_reaped(mark: str) -> None:
    script = "for n in $(seq 500); do (true &); done; echo ready; read x"
    with start("--", "sh", "-c", script, stdin=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        children = f"/proc/{process.pid}/task/{process.pid}/children"
        until(lambda: len(Path(children).read_text().split()) == 1)  # the command
        process.communicate("\n")


@pytest.mark.slow
def test_five_hundred_commands_leave_nothing(mark: str) -> None:
    for _ in range(5):
        line = f"for n in $(seq 100); do {LINE} -- true || exit 1; done"
        subprocess.run(["sh", "-c", line], timeout=150, check=True)
    assert marked(mark) == []


def test_the_command_starts_before_anything_else_is_imported() -> None:
    """The engine alone takes several times as long to import as an interpreter to start."""
    script = "import sys; from cvdebug.tui.commands import watch_command; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    heavy = {"typer", "rich", "msgspec", "numpy", "psycopg", "cvdebug.core.observe", "cvdebug.core.diagnose"}
    assert heavy.isdisjoint(done.stdout.split())


# hangs


def test_a_hang_is_said_once_and_the_command_goes_on(mark: str, tmp_path: Path) -> None:
    with start("--report", str(tmp_path / "report.md"), "--", *RAYON) as process:
        assert process.stdout
        assert process.stderr
        _, *workers = process.stdout.readline().split()
        words = [process.stderr.readline() for _ in range(3)]
        assert words[0].startswith("cvdebug: rayon-fork-deadlock (proven): ")
        assert all(f"PID {worker}" in words[1] for worker in workers)
        assert words[2].startswith("  where: ")
        until((tmp_path / "report.md").exists)
        assert len(marked(mark)) == 4
        process.terminate()
        assert process.wait(20) == 143
        for pid in marked(mark):
            os.kill(pid, signal.SIGKILL)  # the workers live on, as they would without us, and hold standard error
        rest = process.stderr.read()
    assert "  fix: " in rest
    assert "cvdebug: " not in rest
    assert "\x1b" not in rest
    assert "# rayon-fork-deadlock" in (tmp_path / "report.md").read_text()


def test_a_hang_can_end_everything(mark: str, tmp_path: Path) -> None:
    """With a process that has left the group and the session, and is nobody's child any more."""
    script = f"(setsid sleep 60 </dev/null >/dev/null 2>&1 &); exec {' '.join(RAYON)}"
    done = watch("--on-hang", "kill", "--report", str(tmp_path / "report.json"), "--", "sh", "-c", script)
    assert done.returncode == 124
    assert "rayon-fork-deadlock (proven)" in done.stderr
    assert "--on-hang kill" in done.stderr
    assert marked(mark) == []
    assert json.loads((tmp_path / "report.json").read_text())["verdicts"][0]["slug"] == "rayon-fork-deadlock"


def test_a_hanging_test_suite_in_ci(mark: str, tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import os, threading\n"
        "lock = threading.Lock()\n"
        "def test_it():\n"
        "    held = threading.Event()\n"
        "    def hold():\n"
        "        with lock:\n"
        "            held.set(); threading.Event().wait()\n"
        "    threading.Thread(target=hold).start(); held.wait()\n"
        "    if (pid := os.fork()) == 0:\n"
        "        lock.acquire()  # password='hunter2'\n"
        "    os.waitpid(pid, 0)\n"
    )
    pytest_line = (sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:timeout", str(tmp_path))
    done = watch("--on-hang", "kill", "--", *pytest_line, cwd=tmp_path)
    assert done.returncode == 124
    assert "lock-held-across-fork (proven)" in done.stderr
    assert "at test_it (test_it.py:10): lock.acquire()  # password=***" in done.stderr
    assert "hunter2" not in done.stderr
    assert marked(mark) == []


@pytest.mark.slow
def test_nobody_reads_standard_error(mark: str) -> None:
    """The pipe is full: the tree is ended all the same."""
    read_end, write_end = os.pipe()
    os.write(write_end, b"x" * fcntl.fcntl(write_end, fcntl.F_GETPIPE_SZ))
    process = subprocess.Popen(
        [*WATCH, "--on-hang", "kill", "--", *RAYON], stdout=subprocess.DEVNULL, stderr=write_end, close_fds=True
    )
    try:
        assert process.wait(60) == 124
        assert marked(mark) == []
    finally:
        os.close(read_end)
        os.close(write_end)
