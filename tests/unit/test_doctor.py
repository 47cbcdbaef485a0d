"""No check can hang the doctor, end it, or leave anything behind. What they find: test_doctor_checks.py, and in
tests/integration."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from cvdebug.core.doctor import (
    check,
    children,
)
from cvdebug.core.doctor.check import Answer, Check, Machine, Status
from cvdebug.core.doctor.examine import examine
from cvdebug.core.doctor.registry import CHECKS
from cvdebug.core.errors import DatabaseError
from cvdebug.core.settings import Settings

ROOT = Path(__file__).parents[2]
OWN_SERVER = Settings(dsn="postgresql://127.0.0.1:1/x")


def findings(*checks: Check) -> dict[str, tuple[Status, str]]:
    return {found.name: (found.status, found.found) for found in examine(Machine(), checks)}


def raising(error: Exception) -> Check:
    def probe(machine: Machine) -> Answer:
        raise error

    return Check(name="it", why="It is tried.", probe=probe)


def test_a_check_that_hangs_is_failed_at_its_deadline_and_the_others_go_on() -> None:
    hold = threading.Event()

    def hanging(machine: Machine) -> Answer:
        hold.wait(60)
        return check.ok("too late")

    began = time.monotonic()
    found = findings(
        Check(name="first", why="It hangs.", probe=hanging, deadline_s=0.2),
        Check(name="second", why="It does not.", probe=lambda machine: check.ok("fine")),
    )
    hold.set()
    assert found == {"first": (Status.FAILED, "no answer within 0.2 s"), "second": (Status.OK, "fine")}
    assert time.monotonic() - began < 30


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("odd"), "the check itself broke: ValueError: odd"),
        (RecursionError(), "the check itself broke: RecursionError"),
        (BlockingIOError(11, "Resource temporarily unavailable"), "it could not be tried: [Errno 11] Resource"),
        (DatabaseError("it is not there", hint="Start it"), "it is not there"),
        (ModuleNotFoundError("No module named 'psycopg'"), "it needs what cannot be imported: No module named"),
    ],
)
def test_a_check_that_breaks_is_a_failed_check_with_its_reason(error: Exception, said: str) -> None:
    ((status, found),) = findings(raising(error)).values()
    assert status is Status.FAILED
    assert found.startswith(said)


def test_the_advice_of_an_error_is_a_sentence() -> None:
    (found,) = examine(Machine(), [raising(DatabaseError("it is not there", hint="Start it"))])
    assert found.hint == "Start it."
    assert found.why == "It is tried."


def test_variables_of_postgresql_are_away_meanwhile_and_then_there_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "elsewhere")
    seen = Check(name="it", why="", probe=lambda machine: check.ok(os.environ.get("PGHOST", "away")))
    assert [found.found for found in examine(Machine(settings=OWN_SERVER), [seen])] == ["away"]
    assert [found.found for found in examine(Machine(settings=Settings(dsn="env")), [seen])] == ["elsewhere"]
    assert os.environ["PGHOST"] == "elsewhere"


def test_who_stops_listening_leaves_no_child_behind() -> None:
    def waiting(machine: Machine) -> Answer:
        reply = children.ask(["sleep", "60"], environment={**os.environ, "MARK": mark}, deadline_s=60)
        return check.ok(str(reply.code))

    mark = f"doctor-{os.getpid()}-{time.monotonic_ns()}"
    quick = Check(name="quick", why="", probe=lambda machine: check.ok("fine"))
    results = examine(Machine(), [quick, Check(name="slow", why="", probe=waiting)])
    next(results)
    deadline = time.monotonic() + 30
    while not (pids := marked(mark)):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    results.close()
    while any(map(alive, pids)):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_what_checks_share_is_made_once_and_given_back_at_the_end() -> None:
    steps: list[str] = []

    @contextmanager
    def thing() -> Iterator[str]:
        steps.append("made")
        yield "thing"
        steps.append("given back")

    def using(machine: Machine) -> Answer:
        return check.ok(machine.shared.use(thing))

    both = [Check(name=name, why="", probe=using) for name in ("one", "two")]
    assert [found.found for found in examine(Machine(), both)] == ["thing", "thing"]
    assert steps == ["made", "given back"]


def test_a_shared_thing_that_cannot_be_made_is_tried_again() -> None:
    tries: list[str] = []

    def thing() -> AbstractContextManager[str]:
        tries.append("tried")
        raise DatabaseError("no")

    machine = Machine()
    for _ in range(2):
        with pytest.raises(DatabaseError):
            machine.shared.use(thing)
    assert len(tries) == 2


def marked(mark: str) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark.encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def test_an_overdue_child_is_ended_with_all_that_it_started() -> None:
    mark = f"doctor-{os.getpid()}-{time.monotonic_ns()}"
    reply = children.ask(["sh", "-c", "sleep 60 & sleep 60"], environment={**os.environ, "MARK": mark}, deadline_s=0.2)
    assert reply.code is None
    deadline = time.monotonic() + 30
    while marked(mark):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_every_check_has_a_name_of_its_own_and_says_why_it_matters() -> None:
    assert len({each.name for each in CHECKS}) == len(CHECKS)
    assert all(each.why.endswith(".") for each in CHECKS)


def test_the_worst_answer_counts_and_only_its_advice_is_given() -> None:
    both = check.worst_of([check.ok("a", "not this"), check.warning("b", "Do."), check.note("c", "Do.")])
    assert both == Answer(Status.WARNING, "a; b; c", "Do.")


def test_the_readme_names_every_check() -> None:
    text = (ROOT / "README.md").read_text()
    section = text.partition("`cvdebug doctor`")[2]
    assert [each.name for each in CHECKS if f"`{each.name}`" not in section] == []
