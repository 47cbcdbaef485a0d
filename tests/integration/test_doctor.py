"""`cvdebug doctor` as a user runs it: lines, JSON, exit codes, and nothing left behind."""

from __future__ import annotations

import json
import signal
from pathlib import Path

from cvdebug.core.doctor.registry import CHECKS

from .driver import DEADLINE_S, Command, environment_of, until

NAMES = [check.name for check in CHECKS]


def test_the_command_as_json(open_folder: Path) -> None:
    home = open_folder / "doctor"
    home.mkdir(mode=0o755)
    command = Command(home)
    result = command.run("doctor", "--json")
    report = json.loads(result.out)
    statuses = {check["name"]: check["status"] for check in report["checks"]}
    assert list(statuses) == NAMES
    assert report["schema"] == 1
    assert (result.code == 1) == ("failed" in statuses.values()) == (report["status"] == "failed")
    sure = ("settings", "packages", "start-methods", "postgresql", "table")
    assert [name for name in sure if statuses[name] != "ok"] == [], result
    assert all(check["found"] and check["why"] for check in report["checks"])
    assert report["taken_s"] > 0
    assert until(lambda: not command.left(), 5.0)


CLOSED = "postgresql://somebody:s3kret@127.0.0.1:1/x"


def test_the_command_in_lines(tmp_path: Path) -> None:
    """Without a terminal nothing is wrapped; what failed is said with why it matters and what to do."""
    result = Command(tmp_path, CVDEBUG_WORKERS="many\x1b[31m", PGPASSWORD="s3kret").run("doctor", "--dsn", CLOSED)
    assert result.code == 1
    lines = result.out.splitlines()
    (at,) = [number for number, line in enumerate(lines) if line.startswith("✗ failed  postgresql")]
    assert "Connection refused" in lines[at]
    assert lines[at + 1].strip() == "The vectors are stored there."
    assert lines[at + 2].strip().startswith("→ Is the server running")
    assert "✗ failed  settings" in result.out
    assert "2 failed" in lines[-1] or "failed" in lines[-1]
    assert "s3kret" not in result.out + result.err
    assert "\x1b" not in result.out
    assert all(line == line.rstrip() for line in lines)
    assert not result.err


def test_wrong_flags_are_usage_errors(tmp_path: Path) -> None:
    result = Command(tmp_path).run("doctor", "--embedder", "oracle")
    assert result.code == 2
    assert "oracle" in result.err
    assert not result.out


def test_an_interrupt_leaves_nothing(tmp_path: Path) -> None:
    command = Command(tmp_path)
    process = command.start("doctor", "--dsn", CLOSED)
    try:
        until(lambda: any(b"TOKENIZERS_PARALLELISM=true" in environment_of(pid) for pid in command.left()))
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=DEADLINE_S)
    finally:
        process.kill()
    assert process.returncode == 130
    assert b"Traceback" not in err
    assert until(lambda: not command.left(), 5.0)
