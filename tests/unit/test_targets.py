"""What an evidence line speaks of: processes, threads and backends that are there, and nothing else."""

from __future__ import annotations

import time

import pytest
from cvdebug.core import events as ev
from cvdebug.core.model import Culprit, DatabaseSession
from cvdebug.core.seen import ProcessSeen, ThreadSeen
from cvdebug.core.state import RunState, fold
from cvdebug.tui.drawing.targets import Backend, following, targets
from cvdebug.tui.scene import Selection

CULPRITS = (Culprit(pid=20, tid=20), Culprit(pid=20, tid=21))


@pytest.fixture(scope="module")
def state() -> RunState:
    """Processes 10 and 20 (with thread 21), and a session of backend 984."""
    processes = tuple(ProcessSeen(pid=pid, ppid=1, start_ticks=1) for pid in (10, 20))
    threads = tuple(ThreadSeen(pid=pid, tid=tid) for pid, tid in ((10, 10), (20, 20), (20, 21)))
    session = DatabaseSession(
        pid=984, user="u", database="d", application="", state="idle", wait="", since_s=1.0, query=""
    )
    sampled = fold(RunState(), ev.TreeSampled(key=True, processes=processes, threads=threads))
    return fold(sampled, ev.DatabaseSampled(sessions=(session,)))


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("PID 10 waits for data", [Selection(10)]),
        ("worker 1 (PID 20): context switches 13 in both looks", [Selection(20)]),
        ("thread 21 of subject (PID 20): 11% of a core", [Selection(20, 21), Selection(20)]),
        ("thread 20 of PID 20", [Selection(20)]),
        ("children came and went, among them PID 10, 20 and 30", [Selection(10), Selection(20)]),
        ("PIDs 20, and 10", [Selection(20), Selection(10)]),
        ("only dead threads could wake it: threads 21, 10", [Selection(20, 21), Selection(10)]),
        ("TID 21", [Selection(20, 21)]),
        ("the parent has 3 threads, 2 of which never ran Python (/proc/10/task)", [Selection(10)]),
        ("pg_blocking_pids(984): backend 984 (idle in transaction)", [Backend(984)]),
        ("socket 20, whose other end 10 is held by PID 984", [Backend(984)]),
        ("each of them: has 1 thread; /proc/PID/task lists no other", [Selection(20), Selection(20, 21)]),
        ("10 rows of 20 and 21", []),
        ("PID 30 is not of this tree", []),
        ("backend 10", [Selection(10)]),
        ("PID 10000000000000000000000000", []),
        ("", []),
    ],
)
def test_a_line_leads_to_what_it_names(state: RunState, line: str, meant: list[object]) -> None:
    assert list(targets(line, state, CULPRITS)) == meant


def test_without_a_database_no_backend_is_meant() -> None:
    assert targets("backend 984", RunState()) == ()


def test_the_same_key_goes_through_all_that_a_line_names() -> None:
    found = (Selection(10), Selection(20))
    assert following(found, Selection(99)) == Selection(10)
    assert following(found, Selection(10)) == Selection(20)
    assert following(found, Selection(20)) == Selection(10)


def test_long_and_hostile_lines_are_searched_in_no_time(state: RunState) -> None:
    started_s = time.process_time()
    for text in ("PID 1, " * 100_000, "thread " * 100_000, "PID " + "1, " * 100_000, "\x1b[31m[/red]" * 100_000):
        targets(text, state)
    assert time.process_time() - started_s < 1
