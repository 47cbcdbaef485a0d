"""Runs as their users have them: how they end, what the table then holds, and that nothing is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from cvdebug.core import events as ev
from cvdebug.core import journal
from cvdebug.core.model import Phase, Strategy
from cvdebug.core.state import RunState, fold

from .driver import Command, Result, until

SMALL = ("--cvs", "24", "--batch", "4")


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Command]:
    command = Command(tmp_path / "home")
    yield command
    assert until(lambda: not command.left(), 5.0)


def query(dsn: str, text: str) -> tuple[object, ...]:
    with psycopg.connect(dsn) as connection:
        row = connection.execute(text.encode()).fetchone()
    assert row is not None
    return row


def assert_loaded(dsn: str, result: Result) -> None:
    """The table holds exactly the run's chunks, each normal and counted, under a valid index."""
    assert result.code == 0, result
    verified = result.one(ev.Verified)
    rows, distinct, bad_norms, uncounted, tokens = query(
        dsn,
        "SELECT count(*), count(DISTINCT (source, ordinal)),"
        " count(*) FILTER (WHERE abs(vector_norm(embedding) - 1) > 1e-4),"
        " count(*) FILTER (WHERE token_count NOT BETWEEN 1 AND 510), sum(token_count) FROM cvdebug.chunks",
    )
    embed = [event for event in result.all(ev.PhaseFinished) if event.phase is Phase.EMBED][-1]
    assert rows == distinct == verified.rows == embed.total
    assert (bad_norms, uncounted, tokens) == (0, 0, verified.tokens)
    assert query(dsn, "SELECT count(*) FROM pg_index WHERE NOT indisvalid") == (0,)
    assert query(dsn, "SELECT count(*) FROM pg_indexes WHERE tablename = 'chunks' AND indexdef LIKE '%hnsw%'") == (1,)


def hang(command: Command, database: str, *more: str) -> Result:
    return command.events("run", "--dsn", database, *SMALL, "--parallelism", "on", *more)


def test_a_run_goes_through_every_phase_and_leaves_no_spool(command: Command, database: str) -> None:
    result = command.events("run", "--dsn", database, *SMALL)
    assert_loaded(database, result)
    assert [event.phase for event in result.all(ev.PhaseFinished)] == list(Phase)
    assert result.one(ev.RunFinished).outcome == "completed"
    assert [event.seq for event in result.events] == list(range(1, len(result.events) + 1))
    tokenized = result.one(ev.Tokenized)
    assert tokenized.parallelism == "off"
    assert tokenized.tokens > 1000
    assert len(result.one(ev.Verified).searches) == 3
    assert command.spools() == []


@pytest.mark.parametrize(
    "method", ["spawn", *(pytest.param(method, marks=pytest.mark.slow) for method in ("forkserver", "thread"))]
)
def test_the_toggle_harms_no_other_start_method(command: Command, database: str, method: str) -> None:
    assert_loaded(database, hang(command, database, "--start-method", method))


def test_unset_completes_after_a_fork(command: Command, database: str) -> None:
    result = command.events("run", "--dsn", database, *SMALL, "--parallelism", "unset")
    assert_loaded(database, result)


def test_on_and_fork_is_proven_dead_with_every_vector_kept(command: Command, database: str) -> None:
    result = hang(command, database)
    assert result.code == 3, result
    verdict = result.all(ev.VerdictReached)[-1]
    assert (verdict.slug, verdict.certainty) == ("rayon-fork-deadlock", "proven")
    assert {culprit.role for culprit in verdict.culprits} == {"worker 1", "worker 2"}
    workers = {event.pid for event in result.all(ev.WorkerStarted)}
    assert {culprit.pid for culprit in verdict.culprits} == workers
    evidence = "\n".join(verdict.evidence)
    assert "futex" in evidence
    assert "tokenizers" in evidence
    assert "TOKENIZERS_PARALLELISM=true" in evidence
    stuck = result.all(ev.Stuck)[-1]
    assert stuck.phase is Phase.CLEANUP
    assert set(stuck.dead) == workers
    assert Phase.STORE not in {event.phase for event in result.all(ev.PhaseStarted)}
    finished = result.one(ev.RunFinished)
    assert finished.next_command.startswith("cvdebug resume ")
    again = command.events(*finished.next_command.split()[1:], "--dsn", database)
    assert_loaded(database, again)
    embedded = again.one(ev.Embedded)
    assert embedded.computed == 0
    assert embedded.kept > 0
    assert command.spools() == []


@pytest.mark.parametrize(
    "strategy",
    [
        pytest.param(s, marks=() if s in (Strategy.RELEASE, Strategy.SERIAL) else pytest.mark.slow)
        for s in Strategy
        if s is not Strategy.UNBLOCK
    ],
)
def test_every_fix_completes_without_embedding_again(command: Command, database: str, strategy: Strategy) -> None:
    result = hang(command, database, "--fix", "--fix-with", strategy)
    assert_loaded(database, result)
    plan = result.one(ev.FixPlanned)
    total = result.one(ev.Verified).rows
    assert (plan.strategy, plan.kept, plan.to_embed, plan.to_count) == (strategy, total, 0, total)
    price = plan.prices[0]
    assert price.strategy is strategy
    assert price.chunks_per_s
    state = RunState()
    for event in result.events:
        state = fold(state, event)
    assert (state.vectors_kept, state.vectors_computed) == (total, 0)
    subjects = result.all(ev.SubjectStarted)
    assert len(subjects) == (1 if strategy is Strategy.RELEASE else 2)
    cleanups = [event for event in result.all(ev.PhaseFinished) if event.phase is Phase.CLEANUP]
    assert len(cleanups) == 1
    assert not cleanups[0].kept


def test_a_hang_in_the_embedder_refuses_release_and_is_fixed_by_serial(command: Command, database: str) -> None:
    arguments = ("run", "tokenize-in-workers", "--dsn", database, *SMALL, "--parallelism", "on")
    refused = command.events(*arguments, "--fix", "--fix-with", "release")
    assert refused.code == 3, refused
    assert refused.all(ev.Stuck)[-1].phase is Phase.EMBED
    assert refused.all(ev.PhaseProgress)[-1].done == 0 or not [
        event for event in refused.all(ev.PhaseProgress) if event.phase is Phase.EMBED
    ]
    assert "owe vectors" in refused.one(ev.FixRefused).reason
    fixed = command.events(*arguments, "--fix")
    assert_loaded(database, fixed)
    assert fixed.one(ev.FixPlanned).kept == 0


def test_a_bad_vector_is_named_and_harms_nothing(command: Command, database: str) -> None:
    assert_loaded(database, command.events("run", "--dsn", database, *SMALL))
    before = query(database, "SELECT count(*), md5(string_agg(text, '' ORDER BY id)) FROM cvdebug.chunks")
    result = command.events("run", "bad-vector", "--dsn", database, *SMALL, "--seed", "7")
    assert result.code == 1, result
    failed = result.one(ev.Failed)
    assert failed.phase is Phase.CONVERT
    assert "NaN" in failed.what
    assert "window" in failed.what
    assert query(database, "SELECT count(*), md5(string_agg(text, '' ORDER BY id)) FROM cvdebug.chunks") == before
    assert query(database, "SELECT count(*) FROM pg_indexes WHERE tablename = 'chunks' AND indexdef LIKE '%hnsw%'") == (
        1,
    )


def test_hold_keeps_the_tree_for_other_tools_until_it_is_interrupted(command: Command, database: str) -> None:
    process = command.start("run", "--dsn", database, *SMALL, "--parallelism", "on", "--hold", "--json")
    assert process.stdout is not None
    lines = iter(process.stdout.readline, b"")
    held = next(event for event in map(ev.decode, lines) if isinstance(event, ev.Held))
    py_spy = next(line for line in held.commands if "py-spy dump --native --pid" in line)
    shown = subprocess.run(["bash", "-c", py_spy], capture_output=True, text=True, timeout=60, check=True)
    assert "LockLatch" in shown.stdout
    assert any(line.startswith("gdb -p") for line in held.commands)
    assert any("strace" in line for line in held.commands)
    assert set(held.pids) <= set(command.left())
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 3


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGINT, 130),
        pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow),
        pytest.param(signal.SIGHUP, 129, marks=pytest.mark.slow),
    ],
)
def test_an_interrupted_run_can_be_resumed(command: Command, database: str, number: signal.Signals, code: int) -> None:
    process = command.start("run", "--dsn", database, "--cvs", "120", "--batch", "4", "--json")
    assert process.stdout is not None
    lines = iter(process.stdout.readline, b"")
    next(e for e in map(ev.decode, lines) if isinstance(e, ev.PhaseStarted) and e.phase is Phase.EMBED)
    process.send_signal(number)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == code
    finished = ev.decode(out.splitlines(keepends=True)[-1])
    assert isinstance(finished, ev.RunFinished)
    assert finished.outcome == "interrupted"
    assert until(lambda: not command.left(), 5.0)
    assert_loaded(database, command.events("resume", "--dsn", database))


def test_the_time_limit_ends_a_run_without_a_verdict(command: Command, database: str) -> None:
    result = command.events("run", "--dsn", database, "--cvs", "20000", "--timeout", "1.5")
    assert result.code == 4, result
    assert result.one(ev.RunFinished).outcome == "timeout"


def test_the_record_is_the_stream(command: Command, database: str, tmp_path: Path) -> None:
    record = tmp_path / "run.jsonl"
    result = command.events("run", "--dsn", database, *SMALL, "--record", str(record))
    assert result.code == 0, result
    assert list(journal.read(record)) == result.events


def test_a_stopped_observer_does_not_block_the_pipeline(command: Command, database: str) -> None:
    process = command.start("run", "--dsn", database, "--cvs", "60", "--batch", "1", "--json")
    assert process.stdout is not None
    lines = iter(process.stdout.readline, b"")
    next(e for e in map(ev.decode, lines) if isinstance(e, ev.PhaseStarted) and e.phase is Phase.EMBED)
    process.send_signal(signal.SIGSTOP)
    try:
        loaded = "SELECT coalesce(pg_stat_get_live_tuples(to_regclass('cvdebug.chunks')), 0) > 0"
        until(lambda: query(database, loaded)[0], 60.0)
    finally:
        process.send_signal(signal.SIGCONT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    finished = [event for event in map(ev.decode, out.splitlines(keepends=True)) if isinstance(event, ev.PhaseFinished)]
    assert [event.phase for event in finished] == list(Phase)[2:]


def test_a_second_run_on_the_table_says_who_holds_it(command: Command, database: str) -> None:
    first = command.start("run", "--dsn", database, "--cvs", "400", "--json")
    assert first.stdout is not None
    lines = iter(first.stdout.readline, b"")
    started = next(e for e in map(ev.decode, lines) if isinstance(e, ev.RunStarted))
    next(e for e in map(ev.decode, lines) if isinstance(e, ev.PhaseStarted))
    second = command.events("run", "--dsn", database, *SMALL)
    assert second.code == 1, second
    assert started.run in second.one(ev.RunFinished).what
    first.communicate(timeout=120)
    assert first.returncode == 0


def test_a_killed_guardian_takes_its_tree_along(command: Command, database: str) -> None:
    process = command.start("run", "--dsn", database, *SMALL, "--parallelism", "on", "--hold", "--json")
    assert process.stdout is not None
    events = map(ev.decode, iter(process.stdout.readline, b""))
    held = next(event for event in events if isinstance(event, ev.Held))
    guardian = int(Path(f"/proc/{held.pids[0]}/stat").read_text().rpartition(")")[2].split()[1])
    assert guardian != process.pid
    os.kill(guardian, signal.SIGKILL)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 1
    finished = ev.decode(out.splitlines(keepends=True)[-1])
    assert isinstance(finished, ev.RunFinished)
    assert "without a word" in finished.what


def test_a_resume_ends_the_sessions_that_the_killed_run_left_on_the_server(command: Command, database: str) -> None:
    hung = hang(command, database)
    run = hung.one(ev.RunStarted).run
    with psycopg.connect(database, application_name=f"cvdebug:{run}:load", autocommit=True) as orphan:
        other = psycopg.connect(database, application_name="cvdebug:another-run:load", autocommit=True)
        resumed = command.events("resume", run, "--dsn", database)
        assert_loaded(database, resumed)
        assert any("ended 1 database session" in log.text for log in resumed.all(ev.Log))
        with pytest.raises(psycopg.OperationalError):
            orphan.execute("SELECT 1")
        assert other.execute("SELECT 1").fetchone() == (1,)
        other.close()


def test_a_scenario_of_ones_own(command: Command, database: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        'title = "Mine"\nteaches = "x"\n[settings]\ncvs = 12\nindex = "ivfflat"\nmetric = "ip"\nworkers = 3\n'
    )
    result = command.events("run", str(path), "--dsn", database)
    assert result.code == 0, result
    started = result.one(ev.RunStarted)
    assert (started.scenario, started.title, started.origins["cvs"]) == ("mine", "Mine", str(path))
    assert len(result.all(ev.WorkerStarted)) == 3
    assert result.one(ev.IndexChosen).kind == "ivfflat"
    assert query(database, "SELECT count(*) FROM pg_indexes WHERE indexdef LIKE '%vector_ip_ops%'") == (1,)


def test_a_killed_worker_is_named_and_the_run_can_be_resumed(command: Command, database: str) -> None:
    process = command.start("run", "--dsn", database, "--cvs", "120", "--batch", "4", "--json")
    assert process.stdout is not None
    events = map(ev.decode, iter(process.stdout.readline, b""))
    worker = next(event for event in events if isinstance(event, ev.WorkerStarted))
    next(event for event in events if isinstance(event, ev.PhaseProgress) and event.phase is Phase.EMBED)
    os.kill(worker.pid, signal.SIGKILL)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    finished = ev.decode(out.splitlines(keepends=True)[-1])
    assert isinstance(finished, ev.RunFinished)
    assert f"worker 1 (PID {worker.pid}) was ended by SIGKILL" in finished.what
    assert_loaded(database, command.events("resume", "--dsn", database))


def test_the_embedded_server_by_hand(open_folder: Path) -> None:
    home = open_folder / "by-hand"
    home.mkdir(mode=0o755)
    command = Command(home)
    url = command.run("db", "url")
    assert url.code == 0, url
    dsn = url.out.strip()
    try:
        assert query(dsn, "SELECT current_database()") == ("cvdebug",)
        assert command.run("db", "psql", "-Atc", "SELECT 6 * 7").out.strip() == "42"
    finally:
        stopped = command.run("db", "stop")
    assert stopped.code == 0, stopped
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(dsn).close()
