"""Glances: what runs is noticed, and what has come to rest is seen as it is now."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Iterator

import pytest
from cvdebug.core.observe import proc, tree
from cvdebug.core.observe.glance import Glance

from tests.programs import until

STEPS = "import sys\nfor line in sys.stdin: sum(range(10**6)); print(flush=True)"


@pytest.fixture
def steps() -> Iterator[subprocess.Popen[str]]:
    """Does a step for each line that it gets, and rests between."""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", STEPS], stdin=pipe, stdout=pipe, text=True) as process:
        step(process)
        yield process


def step(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    assert process.stdout.readline() == "\n"


def rests(glance: Glance, pid: int) -> bool:
    return pid in glance.look(pid)[1]


def test_what_ran_since_it_was_read_is_read_anew_when_it_rests(steps: subprocess.Popen[str]) -> None:
    glance, pid = Glance(), steps.pid
    until(lambda: rests(glance, pid))
    before = glance.look(pid)[0][pid]
    step(steps)
    seen, resting = glance.look(pid)
    assert (seen[pid], resting) == (before, frozenset())
    until(lambda: rests(glance, pid))
    assert glance.look(pid)[0][pid].threads[0].switches == proc.snapshot([pid])[pid].threads[0].switches
    assert glance.look(pid)[0][pid].threads[0].switches > before.threads[0].switches


def test_what_is_watched_is_read_although_it_runs(steps: subprocess.Popen[str]) -> None:
    glance, pid = Glance(), steps.pid
    until(lambda: rests(glance, pid))
    before = glance.look(pid)[0][pid]
    step(steps)
    seen, resting = glance.look(pid, watched={pid})
    assert seen[pid].threads[0].switches > before.threads[0].switches
    assert not resting


def test_who_is_gone_is_forgotten(steps: subprocess.Popen[str]) -> None:
    glance, pid = Glance(), steps.pid
    assert glance.look(pid)[0].keys() == {pid}
    steps.kill()
    steps.wait()
    assert glance.look(pid) == ({}, frozenset())
    assert glance.known == ()


def test_who_belongs_to_the_tree_is_asked_anew_only_when_something_was_started(
    steps: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    walks: list[int] = []
    members = tree.members

    def counted(root: int, known: Iterable[tree.Known] = ()) -> list[int]:
        walks.append(root)
        return members(root, known)

    monkeypatch.setattr(tree, "members", counted)
    newest = b"1"
    monkeypatch.setattr("cvdebug.core.observe.glance._newest", lambda: newest)
    glance = Glance()
    for _ in range(20):
        assert glance.look(steps.pid)[0].keys() == {steps.pid}
    assert len(walks) == 1
    newest = b"2"
    for _ in range(20):
        glance.look(steps.pid)
    assert len(walks) == 2
    for _ in range(40):  # who was only handed over to the tree is found as well
        glance.look(steps.pid)
    assert len(walks) == 3
    newest = b""  # the kernel does not tell
    for _ in range(8):
        glance.look(steps.pid)
    assert len(walks) == 5
