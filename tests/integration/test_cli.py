"""The command line with bad input: one sentence, a documented exit code, no traceback, nothing lost."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cvdebug.core import events as ev

from .driver import COMMAND, Command, until
from .test_runs import SMALL, assert_loaded

SECRET = "hunter2-p%40ss"


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Command]:
    command = Command(tmp_path / "home")
    yield command
    assert until(lambda: not command.left(), 5.0)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["run", "no-such-scenario"], 2, "there is no scenario"),
        (["run", "./missing.toml"], 2, "cannot be read"),
        (["run", "--workers", "0"], 2, "--workers"),
        (["run", "--workers", "many"], 2, "workers"),
        (["run", "--start-method", "frok"], 2, "Did you mean fork?"),
        (["run", "--parallelism", "yes"], 2, "only on, off, unset"),
        (["run", "--fix-with", "spawn"], 2, "Add --fix"),
        (["run", "--fix", "--hold"], 2, "exclude each other"),
        (["run", "--fix", "--fix-with", "magic"], 2, "there is no fix magic"),
        (["run", "--json", "--plain"], 2, "exclude each other"),
        (["run", "--no-such-flag"], 2, "No such option"),
        (["run", "--table", "chunks"], 2, "schema"),
        (["run", "--dsn", ""], 2, "--dsn cannot be ''"),
        (["run", "--record", "/no/such/folder/x"], 2, "cannot be written"),
        (["run", "--lists", "5"], 2, "ivfflat"),
        (["run", "--m", "1000"], 2, "--m cannot be 1000"),
        (["run", "--tokenizer", "/no/such/tokenizer.json"], 2, "does not exist"),
        (["run", "--tokenizer", "/dev/zero"], 2, "not a regular file"),
        (["resume", "no-such-run"], 2, "there is no run"),
        (["resume", "--fix-with", "release"], 2, "live run"),
        (["resume"], 0, "nothing to resume"),
        (["scenarios", "show", "nope"], 2, "there is no scenario"),
        (["search", ""], 2, "nothing to search for"),
        (["frobnicate"], 2, "No such command"),
        (["run", "--input", "/no/such/folder"], 1, "/no/such/folder"),
        (["run", "--dsn", "postgresql://u@127.0.0.1:1/db"], 1, "127.0.0.1"),
        (["search", "x", "--dsn", "postgresql://u@127.0.0.1:1/db"], 1, "127.0.0.1"),
    ],
)
def test_bad_input_is_a_sentence(command: Command, database: str, arguments: list[str], code: int, words: str) -> None:
    if arguments[0] == "run" and "--dsn" not in arguments:
        arguments = [*arguments, "--dsn", database]
    result = command.run(*arguments)
    assert result.code == code, result
    text = result.out + result.err
    assert words in text, result
    assert "Traceback" not in text
    assert command.spools() == []


@pytest.mark.slow
def test_an_empty_and_an_unreadable_corpus_are_named(command: Command, database: str, tmp_path: Path) -> None:
    folder = tmp_path / "cvs"
    folder.mkdir()
    empty = command.events("run", "--input", str(folder), "--dsn", database)
    assert empty.code == 1
    assert str(folder) in empty.one(ev.RunFinished).what
    (folder / "bad.txt").write_bytes(b"\x00\x01")
    unreadable = command.events("run", "--input", str(folder), "--dsn", database)
    assert unreadable.code == 1
    assert unreadable.one(ev.FileSkipped).file == "bad.txt"
    assert "none of the 1 documents" in unreadable.one(ev.RunFinished).what


def test_ones_own_documents_are_stored_and_the_bad_ones_counted(
    command: Command, database: str, tmp_path: Path
) -> None:
    folder = tmp_path / "cvs"
    folder.mkdir()
    (folder / "one.txt").write_text("Zoë Łukasiewicz, engineer. " * 400)
    (folder / "two.MD").write_text("# Ana\n\nTeacher of mathematics in Porto.\n")
    (folder / "bad.txt").write_bytes(b"\x00\x01")
    (folder / "evil[bold]\x1b[31m.txt").write_text("x \x1b]0;title\x07 [/oops] y")
    result = command.events("run", "--input", str(folder), "--dsn", database)
    assert_loaded(database, result)
    assert [skipped.file for skipped in result.all(ev.FileSkipped)] == ["bad.txt"]
    plain = command.run("run", "--input", str(folder), "--dsn", database)
    assert plain.code == 0, plain
    assert "\x1b" not in plain.out
    found = command.run("search", "mathematics teacher", "--dsn", database, "--json")
    assert json.loads(found.out)[0]["source"] == "two.MD"


def test_a_password_is_never_shown_or_written(command: Command, server_dsn_with_password: str, tmp_path: Path) -> None:
    record = tmp_path / "record.jsonl"
    arguments = ("run", "--dsn", server_dsn_with_password, *SMALL, "--parallelism", "on", "--record", str(record))
    for more in ((), ("--json",)):
        result = command.run(*arguments, *more)
        assert result.code == 3, result
        assert "hunter2" not in result.out + result.err
    assert "hunter2" not in record.read_text()
    for path in (tmp_path / "home").rglob("*"):
        if path.is_file():
            assert b"hunter2" not in path.read_bytes(), path
    broken = command.run("run", "--dsn", f"postgresql://u:{SECRET}@127.0.0.1:1/db")
    assert broken.code == 1
    assert "hunter2" not in broken.out + broken.err


def test_a_password_in_the_config_file_is_used_and_never_shown(
    command: Command, server_dsn_with_password: str, tmp_path: Path
) -> None:
    file = tmp_path / "xdg" / "cvdebug" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text(f'dsn = "{server_dsn_with_password}"\ncvs = 24\nbatch = 4\n')
    command.environment["XDG_CONFIG_HOME"] = str(tmp_path / "xdg")
    shown = command.run("config", "show")
    hung = command.events("run", "--parallelism", "on")
    resumed = command.events("resume")
    assert (shown.code, hung.code, resumed.code) == (0, 3, 0), (hung, resumed)
    assert f"{file}:1" in shown.out
    assert not any("hunter2" in text for each in (shown, hung, resumed) for text in (each.out, each.err))
    file.write_text("bacth = 4\n")
    broken = command.run("run")
    assert (broken.code, broken.out) == (2, "")
    assert broken.err == f"cvdebug: {file}:1: there is no setting bacth. Did you mean batch?\n"
    assert command.run("scenarios").code == 0


@pytest.fixture
def server_dsn_with_password(database: str) -> str:
    """The server trusts everybody, so that any password is let in."""
    return database.replace("postgres@", f"postgres:{SECRET}@")


@pytest.mark.slow
def test_a_resume_with_another_tokenizer_is_refused(command: Command, database: str, tmp_path: Path) -> None:
    hung = command.events("run", "--dsn", database, *SMALL, "--parallelism", "on")
    assert hung.code == 3, hung
    other = json.loads((Path(__file__).parents[2] / "core/pipeline/wordpiece.json").read_text())
    other["model"]["unk_token"] = "[UNK]"
    other["truncation"] = None
    other["version"] = "1.0"
    path = tmp_path / "other.json"
    path.write_text(json.dumps(other, indent=3))
    refused = command.events("resume", "--dsn", database, "--tokenizer", str(path))
    assert refused.code == 1, refused
    assert "another tokenizer" in refused.one(ev.RunFinished).what
    assert_loaded(database, command.events("resume", "--dsn", database))


def test_runs_are_listed_and_pruned(command: Command, database: str) -> None:
    assert "No run has left anything" in command.run("runs").out
    assert command.events("run", "--dsn", database, *SMALL, "--parallelism", "on").code == 3
    listed = command.run("runs")
    assert command.spools()[0].name in listed.out
    assert "unfinished" in listed.out
    assert "Removed 1 run." in command.run("runs", "prune").out
    assert command.spools() == []


def test_the_welcome_names_three_commands(command: Command) -> None:
    result = command.run()
    assert result.code == 0
    assert len(result.out.splitlines()) <= 10
    assert max(map(len, result.out.splitlines())) < 80
    assert result.out.count("  cvdebug run") == 3


def test_every_scenario_is_listed_with_what_it_teaches(command: Command) -> None:
    out = command.run("scenarios").out
    scenarios = list((Path(__file__).parents[2] / "scenarios").glob("*.toml"))
    for file in scenarios:
        assert f"\n{file.stem}  " in f"\n{out}"
    assert out.count("exit code") >= 7
    listed = json.loads(command.run("scenarios", "--json").out)
    assert {each["name"] for each in listed} == {file.stem for file in scenarios}
    assert all(each["title"] and each["teaches"] and each["expect"] for each in listed)
    assert "[settings]" in command.run("scenarios", "show", "spawned").out


def test_a_reader_that_goes_away_ends_the_run(command: Command, database: str) -> None:
    line = " ".join([*(f"'{word}'" for word in COMMAND), "run", "--json", "--cvs", "200", "--dsn", f"'{database}'"])
    run = subprocess.run(
        ["bash", "-c", f"{line} | head -n 2"], env=command.environment, capture_output=True, timeout=60, check=False
    )
    assert len(run.stdout.splitlines()) == 2
    assert b"Traceback" not in run.stderr
    assert until(lambda: not command.left(), 10.0)


@pytest.mark.parametrize("variables", [{}, {"NO_COLOR": "1"}])
def test_a_terminal_of_80_columns_shows_bars_that_fit(
    command: Command, database: str, variables: dict[str, str]
) -> None:
    environment = {**command.environment, "COLUMNS": "80", "LINES": "24", "TERM": "xterm-256color", **variables}
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "run", "--plain", "--dsn", database, *SMALL],
        env=environment, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
    )  # fmt: skip
    os.close(slave)
    shown = b""
    try:
        while piece := os.read(master, 65536):
            shown += piece
    except OSError:  # the other end is closed: the command has ended
        pass
    os.close(master)
    assert process.wait(30) == 0, shown
    text = shown.decode()
    assert "completed" in text
    assert "verify" in text
    if variables:
        assert "\x1b[3" not in text.replace("\x1b[3m", "").replace("\x1b[39m", "")
