"""What a hostile or unlucky user does: damaged spools, odd streams, killed guardians, limits in the wrong moment."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from cvdebug.core import events as ev
from cvdebug.core import journal
from cvdebug.core.model import Phase

from .driver import COMMAND, Command, environment_of, processes, until
from .test_runs import SMALL, assert_loaded, hang, query


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Command]:
    command = Command(tmp_path / "home")
    yield command
    assert until(lambda: not command.left(), 5.0)


@pytest.mark.parametrize("name", ["texts", pytest.param("counts", marks=pytest.mark.slow)])
def test_a_damaged_spool_never_replaces_good_rows(command: Command, database: str, name: str) -> None:
    assert_loaded(database, command.events("run", "--dsn", database, *SMALL))
    before = query(database, "SELECT count(*), md5(string_agg(text, '' ORDER BY id)) FROM cvdebug.chunks")
    hung = hang(command, database, "--seed", "3")
    assert hung.code == 3, hung
    (spool,) = command.spools()
    with (spool / name).open("r+b") as file:
        file.truncate((spool / name).stat().st_size // 2)
    resumed = command.events("resume", "--dsn", database)
    assert resumed.code == 1, resumed
    assert f"the file {name} of run" in resumed.one(ev.RunFinished).what
    assert query(database, "SELECT count(*), md5(string_agg(text, '' ORDER BY id)) FROM cvdebug.chunks") == before
    assert "damaged" in command.run("resume", spool.name, "--dsn", database, "--plain").out
    assert command.run("runs").code == 0


@pytest.mark.slow
def test_a_run_killed_while_tokenizing_stores_each_chunk_once(command: Command, database: str) -> None:
    process = command.start("run", "--dsn", database, "--cvs", "400", "--json")
    assert process.stdout is not None
    for event in map(ev.decode, iter(process.stdout.readline, b"")):
        if isinstance(event, ev.PhaseProgress) and event.phase is Phase.TOKENIZE and event.done >= 128:
            process.kill()
            break
    process.communicate()
    (spool,) = command.spools()
    assert (spool / "chunks").stat().st_size > 0
    assert_loaded(database, command.events("resume", "--dsn", database))


def test_a_guardian_killed_at_once_leaves_no_orphan(command: Command, database: str) -> None:
    """Before the subject has said a word, and so before anybody knows its PID."""
    process = command.start("run", "--dsn", database, "--cvs", "200", "--json")
    guardian = until(lambda: next((pid for pid in processes() if _is_guardian(pid, command)), 0))
    os.kill(guardian, signal.SIGKILL)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    finished = ev.decode(out.splitlines(keepends=True)[-1])
    assert isinstance(finished, ev.RunFinished)
    assert "the guardian was ended by SIGKILL" in finished.what
    assert until(lambda: not command.left(), 5.0)


def _is_guardian(pid: int, command: Command) -> bool:
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return b"guardian.py" in line and command.mark.encode() in environment_of(pid)


@pytest.mark.slow
def test_the_time_limit_over_a_held_hang_is_a_hang(command: Command, database: str) -> None:
    held = hang(command, database, "--hold", "--timeout", "6")
    assert held.code == 3, held
    assert held.all(ev.Held)
    assert "can never go on" in held.one(ev.RunFinished).what


def test_a_server_that_never_answers_can_be_interrupted(command: Command) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        dsn = f"host=127.0.0.1 port={port} user=u dbname=d sslmode=disable"
        process = command.start("run", "--dsn", dsn, *SMALL, "--json")
        connection, _ = listener.accept()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=8)  # the connection attempt would take ten seconds
        connection.close()
    assert process.returncode == 130


@pytest.mark.slow
def test_a_pipe_in_place_of_a_file_blocks_nothing(command: Command, database: str, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo.toml"
    os.mkfifo(fifo)
    assert command.run("run", "--dsn", database, "--record", str(fifo)).code == 2
    assert "not a regular file" in command.run("run", str(fifo)).err
    assert "not a regular file" in command.run("run", "--tokenizer", str(fifo), "--dsn", database).err


@pytest.mark.parametrize(
    ("form", "redirection", "code"),
    [
        ("--json", "> /dev/full", 1),
        pytest.param("--plain", "> /dev/full", 1, marks=pytest.mark.slow),
        pytest.param("--plain", ">&-", 0, marks=pytest.mark.slow),
        pytest.param("--json", ">&- 2>&-", 0, marks=pytest.mark.slow),
    ],
)
def test_odd_output_ends_in_a_sentence(command: Command, database: str, redirection: str, code: int, form: str) -> None:
    line = " ".join([*(f"'{word}'" for word in COMMAND), "run", form, *SMALL, "--dsn", f"'{database}'", redirection])
    run = subprocess.run(["bash", "-c", line], env=command.environment, capture_output=True, timeout=60, check=False)
    assert run.returncode == code, run.stderr
    assert b"Traceback" not in run.stderr
    assert b"Exception ignored" not in run.stderr


@pytest.mark.slow
def test_an_ascii_terminal_gets_question_marks_not_a_traceback(tmp_path: Path, database: str) -> None:
    command = Command(tmp_path / "home", LC_ALL="C", PYTHONIOENCODING="ascii", PYTHONWARNINGS="error")
    result = command.run("run", "--dsn", database, *SMALL)
    assert result.code == 0, result
    assert "Traceback" not in result.err


@pytest.mark.slow
def test_a_deleted_working_folder_does_not_matter(command: Command, database: str, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    process = command.start("run", "--dsn", database, *SMALL, "--json", cwd=gone)
    gone.rmdir()
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, out + err


@pytest.mark.slow
def test_a_resumed_journal_goes_on_counting(command: Command, database: str) -> None:
    hung = hang(command, database)
    (spool,) = command.spools()
    with (spool / "events.jsonl").open("ab") as file:
        file.write(b'{"type":"log","v":1,"te')  # as a kill leaves it
    resumed = command.events("resume", "--dsn", database, "--keep-spool")
    assert_loaded(database, resumed)
    whole = list(journal.read(spool / "events.jsonl"))
    assert [event.seq for event in whole] == list(range(1, len(hung.events) + len(resumed.events) + 1))
    assert "nothing to resume" in command.run("resume", "--dsn", database).err


@pytest.mark.slow
def test_a_resume_takes_its_dsn_from_the_environment_and_asks_when_a_password_is_missing(
    tmp_path: Path, database: str
) -> None:
    secret = database.replace("postgres@", "postgres:hunter2@")
    command = Command(tmp_path / "home", CVDEBUG_DSN=secret)
    assert command.events("run", *SMALL, "--parallelism", "on").code == 3
    without = Command(tmp_path / "home").run("resume")
    assert without.code == 2
    assert "Give --dsn, or CVDEBUG_DSN, again" in without.err
    assert_loaded(database, command.events("resume"))


def test_a_table_that_others_inherit_from_is_refused(command: Command, database: str) -> None:
    assert_loaded(database, command.events("run", "--dsn", database, *SMALL))
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE TABLE cvdebug.kid () INHERITS (cvdebug.chunks)")
    refused = command.events("run", "--dsn", database, *SMALL)
    assert refused.code == 1, refused
    assert "cvdebug.kid inherits from cvdebug.chunks" in refused.one(ev.RunFinished).what
    assert Phase.LOAD not in {event.phase for event in refused.all(ev.PhaseStarted)}


def test_damaged_spools_are_listed_and_pruned(command: Command) -> None:
    folder = command.home / "runs" / "20260101-000000-abcd"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text("{")
    assert "20260101-000000-abcd  damaged" in command.run("runs").out
    assert "Removed 1 run." in command.run("runs", "prune").out
    assert command.spools() == []
