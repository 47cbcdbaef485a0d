"""Programs that wait for PostgreSQL: who is named, with a login and without one, and what is no hang."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from cvdebug.core.diagnose.investigate import Options, investigate
from cvdebug.core.model import Certainty

from tests.classes import judged, never_a_hang
from tests.programs import database as programs
from tests.programs import running

CERTAIN, LIKELY = Certainty.CERTAIN, Certainty.LIKELY
LOCKED, OWN, SNAPSHOT = "db-lock-idle-in-transaction", "db-self-deadlock", "db-index-waits-old-snapshot"
ORPHAN, SHARED = "db-orphan-backend", "db-connection-shared-fork"

slow = pytest.mark.slow


@contextmanager
def looking(database: str, login: bool) -> Iterator[Options]:
    programs.make(database)
    yield Options(dsn=database) if login else Options()


@pytest.mark.parametrize(
    ("variant", "slug", "certainty", "login"),
    [
        ("idle-child", LOCKED, LIKELY, False),
        ("self-plain", OWN, CERTAIN, False),
        ("index-concurrently", SNAPSHOT, LIKELY, True),
        ("orphan", ORPHAN, CERTAIN, False),
        ("shared-process", SHARED, CERTAIN, False),
        pytest.param("idle-child", LOCKED, LIKELY, True, marks=slow),
        pytest.param("idle-pool", LOCKED, LIKELY, False, marks=slow),
        pytest.param("idle-pool", LOCKED, LIKELY, True, marks=slow),
        pytest.param("self-plain", OWN, CERTAIN, True, marks=slow),
        pytest.param("self-thread", OWN, CERTAIN, False, marks=slow),
        pytest.param("self-thread", OWN, CERTAIN, True, marks=slow),
        pytest.param("self-helper", OWN, CERTAIN, False, marks=slow),
        pytest.param("self-async", OWN, LIKELY, False, marks=slow),  # another task of the loop might commit
        pytest.param("self-async", OWN, LIKELY, True, marks=slow),
        pytest.param("index-concurrently", LOCKED, LIKELY, False, marks=slow),  # no title tells CONCURRENTLY
        pytest.param("index-thread", SNAPSHOT, LIKELY, True, marks=slow),
        pytest.param("orphan", ORPHAN, CERTAIN, True, marks=slow),
        pytest.param("orphan-asleep", ORPHAN, CERTAIN, False, marks=slow),
        pytest.param("shared-process", SHARED, CERTAIN, True, marks=slow),
        pytest.param("shared-fork", SHARED, CERTAIN, False, marks=slow),
    ],
)
def test_a_wait_for_the_database_is_named(
    database: str, variant: str, slug: str, certainty: Certainty, login: bool
) -> None:
    with looking(database, login) as options, running("database.py", variant, database) as program:
        verdict = judged(program, slug, certainty, options=options)
        workers = (*program.workers, program.pid)
        assert all(culprit.pid in workers or variant == "idle-pool" for culprit in verdict.culprits)
        assert any("backend " in line for line in verdict.evidence)


@slow
@pytest.mark.parametrize("login", [False, True])
def test_the_session_of_somebody_else_that_holds_the_lock_is_named(database: str, login: bool) -> None:
    with (
        looking(database, login) as options,
        psycopg.connect(database, application_name="somebody") as holder,
    ):
        holder.execute("SELECT * FROM chunks")
        with running("database.py", "idle-outside", database) as program:
            verdict = judged(program, LOCKED, LIKELY, options=options)
            evidence = "\n".join(verdict.evidence)
            assert f"backend {holder.info.backend_pid} " in evidence
            assert ("application somebody" in evidence) is login
            assert str(holder.info.backend_pid) in verdict.fixes[0].command
            holder.rollback()
            assert not any(v.slug == LOCKED for v in investigate(program.pid, options).verdicts)


@slow
def test_without_a_login_a_busy_session_leaves_it_open_who_holds_the_lock(database: str) -> None:
    programs.make(database)
    with (
        programs.busy_session(database, "SELECT pg_sleep(10000)") as busy,
        psycopg.connect(database) as holder,
    ):
        try:
            holder.execute("SELECT * FROM elsewhere")
            with running("database.py", "idle-outside", database) as program:
                never_a_hang(program, LOCKED, looks=2)
                never_a_hang(program, "db-lock-active-holder", looks=2, options=Options(dsn=database))
        finally:
            busy.kill()


@pytest.mark.parametrize(
    ("variant", "slug", "login"),
    [
        ("active-holder", "db-lock-active-holder", False),
        ("slow-index", "slow-index-build", True),
        ("long-query-async", "waiting-for-remote", False),
        pytest.param("long-query", "waiting-for-remote", False, marks=slow),
        pytest.param("long-query", "waiting-for-remote", True, marks=slow),
        pytest.param("listen", "idle-waiting-for-work", False, marks=slow),
        pytest.param("listen-select", "idle-waiting-for-work", False, marks=slow),
        pytest.param("listen-select", "idle-waiting-for-work", True, marks=slow),
        pytest.param("active-holder", "db-lock-active-holder", True, marks=slow),
        pytest.param("active-asleep", "db-lock-active-holder", False, marks=slow),
        pytest.param("busy-client", "db-lock-active-holder", False, marks=slow),
        pytest.param("busy-client", "db-lock-active-holder", True, marks=slow),
        pytest.param("slow-index", "slow-index-build", False, marks=slow),
        pytest.param("slow-index-parallel", "slow-index-build", False, marks=slow),
        pytest.param("slow-index-parallel", "slow-index-build", True, marks=slow),
    ],
)
def test_a_server_that_works_is_no_hang(database: str, variant: str, slug: str, login: bool) -> None:
    with looking(database, login) as options, running("database.py", variant, database) as program:
        finding = never_a_hang(program, slug, looks=2, options=options)
        if login and slug == "slow-index-build":
            assert any("pg_stat_progress_create_index" in line for line in finding.verdicts[0].evidence)


@slow
@pytest.mark.parametrize("login", [False, True])
def test_a_stopped_server_process_answers_nobody(database: str, login: bool) -> None:
    with looking(database, login) as options, running("database.py", "long-query", database) as program:
        (backend,) = program.workers
        never_a_hang(program, "waiting-for-remote", looks=1, options=options)
        os.kill(backend, signal.SIGSTOP)
        try:
            verdict = judged(program, "remote-no-reply", LIKELY, options=options)
            assert verdict.fixes[0].command == f"kill -CONT {backend}"
        finally:
            os.kill(backend, signal.SIGCONT)


@slow
def test_waiting_for_notifications_on_an_inherited_connection_is_no_hang(database: str) -> None:
    with running("database.py", "listen", database) as program:
        for login in (False, True):
            options = Options(dsn=database) if login else Options()
            assert not any(v.slug == SHARED for v in investigate(program.pid, options).verdicts)


def test_a_server_that_cannot_be_asked_is_said_and_harms_no_look(database: str) -> None:
    dsn = database.replace("/test_", "/no_such_") + "&password=secret-word"
    with running("database.py", "idle-child", database) as program:
        finding = investigate(program.pid, Options(dsn=dsn))
        assert finding.verdicts
        asked = finding.case.surroundings.activity
        assert asked is not None
        assert "does not exist" in asked.unknown
        assert "secret-word" not in asked.unknown


def test_without_a_database_no_backends_are_looked_for() -> None:
    with running("healthy.py", "lock") as program:
        assert investigate(program.pid).case.surroundings.backends == ()
