"""`attach` on real programs, as a person or a script meets it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from cvdebug.core.diagnose.investigate import investigate
from cvdebug.core.diagnose.judge import is_hang
from cvdebug.core.diagnose.rules import RULES
from cvdebug.core.observe import permissions, tree

from tests.programs import running, until

from .driver import COMMAND
from .looking import cvdebug, drain, follow, hung, read_until, started, terminal

# once


def test_a_hang_is_shown_as_a_tree_with_its_cause_and_the_fix() -> None:
    with hung() as program:
        code, out, err = cvdebug("attach", "--once", str(program.pid))
        (child,) = program.workers
    assert (code, err) == (3, "")
    lines = out.splitlines()
    assert lines[0].startswith(f"PID {program.pid}  ✗ dead")
    assert any(
        line.startswith(f"└─ PID {child}  ✗ dead") and f"forked from PID {program.pid}" in line for line in lines
    )
    (main,) = [line for line in lines if f"✗ dead    MainThread {program.pid}:" in line]
    assert f"waits for its child PID {child} to end; only dead ones could wake it: PID {child}" in main
    assert "< queue_join_before_drain (hangs.py:" in main
    for word in ("PROVEN", "Evidence", "Why", "Ways out", "What would disprove it"):
        assert word in out
    assert "\x1b" not in out


def test_json_is_one_object_with_everything() -> None:
    with hung() as program:
        code, out, err = cvdebug("attach", "--once", "--json", str(program.pid))
        (child,) = program.workers
    assert (code, err) == (3, "")
    found = json.loads(out)
    assert {"schema", "root", "taken_s", "verdicts", "graph", "processes", "not_seen"} <= found.keys()
    assert (found["schema"], found["root"]) == (1, program.pid)
    verdict = found["verdicts"][0]
    assert verdict["certainty"] == "proven"
    assert {culprit["pid"] for culprit in verdict["culprits"]} <= {program.pid, child}
    assert verdict["fixes"][0].keys() == {"title", "cost", "command"}
    assert [process["pid"] for process in found["processes"]] == [program.pid, child]
    for process in found["processes"]:
        assert {"ppid", "role", "cmdline", "state", "cpu", "rss_bytes", "started"} <= process.keys()
        for thread in process["threads"]:
            assert {"tid", "name", "state", "wait", "why", "stack", "cpu", "syscall", "wchan"} <= thread.keys()
            assert thread["live"] is False
    assert found["processes"][0]["threads"][0]["stack"][0]["function"]
    assert f"{program.pid}/{program.pid}" in found["graph"]["stuck"]


def test_what_is_no_hang_is_short_and_0() -> None:
    with started("print('ready', flush=True)\nwhile True: time.sleep(0.05)") as process:
        code, out, err = cvdebug("attach", "--once", str(process.pid))
        found = json.loads(cvdebug("attach", "--once", "--json", str(process.pid))[1])
    assert (code, err) == (0, "")
    assert "NOT-HUNG" in out or "UNDECIDED" in out
    assert "Why\n" not in out
    assert len(out.splitlines()) < 14
    assert all(verdict["certainty"] in ("not-hung", "undecided") for verdict in found["verdicts"])


def test_threads_that_differ_in_nothing_are_one_line() -> None:
    code = (
        "for n in range(12): threading.Thread(target=threading.Event().wait, name=f'idle-{n}', daemon=True).start()\n"
        "print('ready', flush=True)\ntime.sleep(600)"
    )
    with started(code) as process:
        until(lambda: len(os.listdir(f"/proc/{process.pid}/task")) == 13)
        _, out, _ = cvdebug("attach", "--once", str(process.pid))
    assert out.count("12 threads (") == 1
    assert f"idle-0 {process.pid}" not in out
    assert f"MainThread {process.pid}:" in out


def test_foreign_names_cannot_harm_a_terminal_or_the_json() -> None:
    evil = b"\xff\x1b[31m\x1b]0;title\x07\xe2\x80\xae[/oops]\nx ``` <b>"
    name = "import ctypes; ctypes.CDLL(None).prctl(15, b'a\\x1b[1m)\\n', 0, 0, 0)\n"
    with subprocess.Popen(
        ["python", "-c", name + "print('ready', flush=True); input()", evil], executable=sys.executable,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
    ) as process:  # fmt: skip
        try:
            assert process.stdout
            process.stdout.readline()
            _, out, _ = cvdebug("attach", "--once", str(process.pid))
            _, text, _ = cvdebug("attach", "--once", "--json", str(process.pid))
        finally:
            process.kill()
    assert "\x1b" not in out
    assert "\u202e" not in out
    assert "[/oops]" in out
    assert json.loads(text)["processes"][0]["cmdline"][-1].startswith("\ufffd")


# what cannot be looked at


@pytest.mark.parametrize("word", ["abc", "0", "-5", "1.5", "٣", "", "0x10"])
def test_what_is_no_pid_is_a_usage_error(word: str) -> None:
    code, out, err = cvdebug("attach", "--once", "--", word)
    assert (code, out) == (2, "")
    assert "is not a PID" in err


def test_usage_errors_come_before_any_look(tmp_path: Path) -> None:
    me = str(os.getpid())
    assert cvdebug("attach", me) == (
        2,
        "",
        f"cvdebug: process {me} is this cvdebug itself. cvdebug ps lists the Python programs that run.\n",
    )
    code, _, err = cvdebug("attach", "--once", "999999999", "--report", str(tmp_path / "x.txt"))
    assert code == 2
    assert ".md" in err
    assert cvdebug("attach", "--once", "--json", "--plain", "1")[0] == 2
    assert cvdebug("attach", "--once", "1", "--dsn", "postgresql://u:hunter2@[oops")[0] == 2
    code, _, err = cvdebug("attach")
    assert code == 2
    assert "cvdebug ps" in err


def test_what_cannot_be_looked_at_is_a_sentence() -> None:
    code, _, err = cvdebug("attach", "--once", "999999999")
    assert code == 1
    assert "process 999999999 cannot be looked at: there is none" in err
    assert cvdebug("attach", "--once", "9" * 30)[0] == 1
    with started("print('ready', flush=True); input()") as process:
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()
        until(lambda: Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z")
        code, _, err = cvdebug("attach", "--once", str(process.pid))
        assert code == 1
        assert "has ended" in err
        assert f"PID {os.getpid()}" in err


def test_another_system_gives_a_smaller_look_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with hung() as program:
        monkeypatch.setattr(tree, "LINUX", False)
        monkeypatch.setattr(sys, "platform", "darwin")
        code, out, err = cvdebug("attach", "--once", str(program.pid))
    assert (code, err) == (0, "")
    assert "UNDECIDED" in out
    assert re.search(r" · at \S+ \(popen_fork\.py:\d+\)", out)
    assert "not seen: what the threads wait for" in out


def test_a_thread_is_no_process_but_has_one() -> None:
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    try:
        code, _, err = cvdebug("attach", "--once", str(thread.native_id))
    finally:
        stop.set()
        thread.join()
    assert code == 1
    assert f"a thread of process {os.getpid()}" in err


def test_a_thread_of_the_kernel_runs_no_program() -> None:
    flags = {int(entry): _flags(entry) for entry in os.listdir("/proc") if entry.isdigit()}
    kernel = [pid for pid, value in flags.items() if value & 0x0020_0000]
    if not kernel:
        pytest.skip("no thread of the kernel can be seen here")
    code, _, err = cvdebug("attach", "--once", str(kernel[0]))
    assert code == 1
    assert "kernel" in err


def _flags(pid: str) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[6])
    except OSError:
        return 0


def test_hidden_waits_are_said_and_not_taken_for_health(monkeypatch: pytest.MonkeyPatch) -> None:
    """Less permission is less evidence: the tree is shown all the same."""
    limit = permissions.Limit(what=permissions.WAITS, why="it is shy", remedy="Run cvdebug as root.")
    monkeypatch.setattr(permissions, "blindness", lambda pid: limit)
    with started("print('ready', flush=True); input()") as process:
        monkeypatch.setattr(
            "cvdebug.core.diagnose.investigate.judge", lambda case: tuple(RULES["undecided"].match(case))
        )
        code, out, err = cvdebug("attach", "--once", str(process.pid))
    assert code == 1
    assert f"PID {process.pid}" in out
    assert f"process {process.pid} hides what its threads wait for" in err
    assert "it is shy. Run cvdebug as root." in err


def test_the_shell_that_runs_cvdebug_can_be_looked_at() -> None:
    """cvdebug itself, which that shell waits for, is not in the picture."""
    line = " ".join(f"'{word}'" for word in (*COMMAND, "attach", "--once", "--json"))
    run = subprocess.run(["sh", "-c", f"{line} $$; true"], capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert len(found["processes"]) == 1
    assert found["verdicts"][0]["certainty"] in ("not-hung", "undecided")


# the report


def test_a_report_is_markdown_or_json_and_holds_no_secret(tmp_path: Path) -> None:
    secret = "hunter2pass"
    arguments = (f"--password={secret}", "--token", secret, f"postgresql://me:{secret}@db/x", "```")
    code = "print('ready', flush=True); threading.Lock().acquire(); l = threading.Lock(); l.acquire(); l.acquire()"
    text, data = tmp_path / "report.md", tmp_path / "report.json"
    data.write_text("the one before")
    with started(code, *arguments) as process:
        pid = str(process.pid)
        until(lambda: any(map(is_hang, investigate(process.pid).verdicts)))
        for path in (text, data):
            code_, out, err = cvdebug("attach", "--once", pid, "--report", str(path))
            assert (code_, err) == (3, "")
            assert secret not in out
    assert secret not in text.read_text() + data.read_text()
    found = json.loads(data.read_text())
    assert found["verdicts"][0]["certainty"] == "proven"
    assert "--password=***" in found["processes"][0]["cmdline"]
    report = text.read_text()
    for part in (
        "## Verdict",
        "### Evidence",
        "### Ways out",
        "## Processes",
        "## Stacks",
        "## Versions",
        "raw first look",
    ):
        assert part in report
    assert report.startswith(f"# {found['verdicts'][0]['slug']}")
    assert "\n````" in report  # a fence of its own around backticks of others
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.json", "report.md"]


def test_a_report_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    code, out, err = cvdebug("attach", "--once", str(os.getppid()), "--report", str(tmp_path / "no" / "x.md"))
    assert (code, out) == (1, "")
    assert "no such folder" in err
    (tmp_path / "folder.md").mkdir()
    assert cvdebug("attach", "--once", str(os.getppid()), "--report", str(tmp_path / "folder.md"))[0] == 1


# following


def test_ctrl_c_ends_following_with_130_or_with_3_after_a_hang() -> None:
    with started("print('ready', flush=True)\nwhile True: time.sleep(0.05)") as healthy, hung() as program:
        first, second = follow(healthy.pid), follow(program.pid)
        try:
            seen = read_until(first, "MainThread")
            assert f"PID {healthy.pid}" in seen
            seen = read_until(second, "What would disprove it")
            assert "PROVEN" in seen
            for process, code in ((first, 130), (second, 3)):
                process.send_signal(signal.SIGINT)
                _, err = process.communicate(timeout=20)
                assert (process.returncode, err) == (code, b"")
        finally:
            first.kill()
            second.kill()


def test_following_says_when_it_moves_again_and_when_it_ends() -> None:
    code = "print('ready', flush=True)\nwhile True: time.sleep(0.05)"
    with started(code) as process:
        watcher = follow(process.pid)
        try:
            read_until(watcher, "MainThread")
            os.kill(process.pid, signal.SIGSTOP)
            read_until(watcher, "process-stopped")
            os.kill(process.pid, signal.SIGCONT)
            read_until(watcher, "It moves again")
            process.kill()
            process.wait()
            out, err = watcher.communicate(timeout=20)
        finally:
            watcher.kill()
        assert f"Process {process.pid} has ended." in out.decode()
        assert (watcher.returncode, err) == (3, b"")


def test_following_with_json_ends_with_one_object_at_a_hang(tmp_path: Path) -> None:
    report = tmp_path / "x.md"
    with running("hangs.py", "pipe-full-cycle") as program:
        watcher = follow(program.pid, "--json", "--report", str(report))
        out, err = watcher.communicate(timeout=30)
    assert (watcher.returncode, err) == (3, b"")
    assert json.loads(out)["verdicts"][0]["certainty"] == "proven"
    assert report.read_text().startswith("# ")


# on a terminal


@pytest.mark.parametrize(
    ("columns", "variables"), [(80, {}), pytest.param(160, {"NO_COLOR": "1"}, marks=pytest.mark.slow)]
)
def test_a_tree_fits_the_terminal(columns: int, variables: dict[str, str]) -> None:
    with (
        hung("rayon_fork.py", "pool", "true", "2") as program,
        terminal("attach", "--once", str(program.pid), columns=columns, **variables) as (master, process),
    ):
        shown = drain(master)
        assert process.wait(20) == 3
    coloured = re.search(r"\x1b\[[0-9;]*3[0-7]m", shown)
    assert bool(coloured) == (not variables)
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown).replace("\r", "")
    assert all(len(line) <= columns for line in plain.splitlines())
    assert "PROVEN  rayon-fork-deadlock" in plain
    assert plain.count("✗ dead") >= 6
