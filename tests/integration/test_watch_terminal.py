"""`watch` on a terminal: its keys, its session and its size are the command's."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from .driver import until
from .terminal import Shell
from .watching import LINE, environment_of, marked, start


def test_keys_reach_the_command_as_usual(mark: str) -> None:
    with Shell() as shell:
        shell.run(f"{LINE} -- sh -c 'echo here; exec sleep 60'")
        shell.expect("here")
        shell.type("\x03")
        shell.run("echo code $?")
        shell.expect("code 130")
        handler = "lambda *_: os.write(1, bytes([105, 10]))"  # print is not reentrant
        script = f"import os, signal\nsignal.signal(2, {handler})\nprint(1+1)\ninput()\nprint(3+3)"
        shell.run(f"{LINE} -- {sys.executable} -c '{script.replace(chr(10), ';')}'")
        shell.expect("2\r\n")
        shell.type("\x03")
        assert shell.expect("i\r\n").count("i") == 0  # once
        shell.type("\n")
        shell.expect("6\r\n")


def test_stopping_and_going_on(mark: str) -> None:
    with Shell() as shell:
        shell.run(f"{LINE} -- sh -c 'echo here; read x; echo got $x; exit 4'")
        shell.expect("here")
        shell.type("\x1a")
        shell.expect("Stopped")
        states = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] for pid in marked(mark)]
        assert states.count("T") == 2  # both
        shell.run("fg")
        shell.type("word\n")
        shell.expect("got word")
        shell.run("echo code $?")
        shell.expect("code 4")


def test_reading_in_the_background_stops_both_and_fg_goes_on(mark: str) -> None:
    with Shell() as shell:
        shell.run(f"{LINE} -- sh -c 'read x; echo got $x' &")
        until(lambda: any(b"\nState:\tT" in Path(f"/proc/{pid}/status").read_bytes() for pid in marked(mark)))
        shell.run("wait %1; jobs")
        shell.expect("Stopped")
        shell.run("fg")
        shell.type("word\n")
        shell.expect("got word")


def test_the_command_has_the_terminal_its_session_and_its_size(mark: str) -> None:
    with Shell() as shell:
        shell.run("stty rows 33 cols 777")
        shell.run("ps -o sid= -p $$; tty; stty size")
        alone = shell.expect("33 777")
        shell.run(f"{LINE} -- sh -c 'ps -o sid= -p $$; tty; stty size'")
        assert shell.expect("33 777").split() == alone.split()
        shell.run(f'{LINE} -- {sys.executable} -c \'open("/dev/tty").readline(); print("he" + "re")\'')
        shell.type("\n")
        shell.expect("here")


@pytest.mark.skipif(shutil.which("tmux") is None, reason="there is no tmux")
def test_in_tmux_and_a_pane_that_is_closed(mark: str, tmp_path: Path) -> None:
    tmux = ("tmux", "-S", str(tmp_path / "socket"), "-f", os.devnull)
    script = f"echo $PPID > {tmp_path}/pid; tty > {tmp_path}/tty; exec sleep 60"
    subprocess.run([*tmux, "new-session", "-d", f"{LINE} -- sh -c '{script}'"], timeout=20, check=True)
    try:
        until(lambda: (tmp_path / "tty").exists() and (tmp_path / "tty").read_text().startswith("/dev/"))
        subprocess.run([*tmux, "send-keys", "C-c"], timeout=20, check=True)
        pid = int((tmp_path / "pid").read_text())
        until(lambda: not environment_of(pid))
    finally:
        subprocess.run([*tmux, "kill-server"], timeout=20, check=False, capture_output=True)
    until(lambda: not marked(mark))


def test_with_setsid_there_is_no_terminal_to_stop_for(mark: str) -> None:
    """A stopped command without a shell that could wake us: cvdebug goes on and sees its end."""
    script = "echo $$; kill -STOP $$; exit 6"
    with start("--", "sh", "-c", script, start_new_session=True) as process:
        assert process.stdout
        pid = int(process.stdout.readline())
        until(lambda: b"\nState:\tT" in Path(f"/proc/{pid}/status").read_bytes())
        assert b"\nState:\tT" not in Path(f"/proc/{process.pid}/status").read_bytes()
        os.kill(pid, signal.SIGCONT)
        assert process.wait(20) == 6
