"""What a sampler says of looks: changes, bounded, in the order in which a fold can follow. No process is looked at."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from cvdebug.core import events as ev
from cvdebug.core import pulse
from cvdebug.core.diagnose.follow import Look
from cvdebug.core.model import ProcessSnapshot, ThreadSnapshot
from cvdebug.core.sampling import EVERY_S, Sampler
from cvdebug.core.state import RunState, fold


@pytest.fixture(autouse=True)
def no_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    """The numbers of these tests are nobody's: their files in /proc are empty."""
    monkeypatch.setattr(pulse, "read", lambda path: b"")


def process(pid: int, tids: Iterable[int] = (), *, start: int = 7, words: tuple[str, ...] = ("x",)) -> ProcessSnapshot:
    threads = tuple(
        ThreadSnapshot(tid=tid, name="t", state="S", syscall=None, wchan="", switches=0, cpu_ticks=0)
        for tid in (pid, *tids)
    )
    return ProcessSnapshot(
        pid=pid, ppid=1, start_ticks=start, state="S", cmdline=words, rss_bytes=1 << 20, signals_caught=0,
        frozen=False, threads=threads,
    )  # fmt: skip


class Tree:
    """A tree that is looked at in steps of a quarter of a second, and what was said of it."""

    def __init__(self, sampler: Sampler | None = None) -> None:
        self.sampler = sampler or Sampler()
        self.at_s = 100.0
        self.ran: dict[int, float] = {}
        self.state = RunState()
        self.said: list[ev.Event] = []

    def look(self, *processes: ProcessSnapshot, after_s: float = EVERY_S, dead: tuple[int, ...] = ()) -> list[ev.Event]:
        self.at_s += after_s
        marks = {p.pid: {t.tid: self._mark(t.tid) for t in p.threads} for p in processes}
        look = Look(
            processes=processes, finding=None, verdicts=(), dead=dead, root_dead=False, taken_s=0.0, at_s=self.at_s,
            marks=marks,
        )  # fmt: skip
        news = list(self.sampler.take(look))
        for event in news:
            self.state = fold(self.state, event)
        self.said += news
        return news

    def _mark(self, tid: int) -> bytes:
        return b"%d 5 9" % (self.ran.get(tid, 0.0) * 1e9)

    @property
    def rows(self) -> int:
        samples = [event for event in self.said if isinstance(event, ev.TreeSampled)]
        return sum(len(sample.processes) + len(sample.threads) for sample in samples)


def test_it_begins_with_a_keyframe_and_says_nothing_of_a_tree_that_rests() -> None:
    tree = Tree()
    (first,) = tree.look(process(10, [11]), process(20))
    assert isinstance(first, ev.TreeSampled)
    assert first.key
    tree.look(process(10, [11]), process(20))
    assert list(tree.state.processes) == [10, 20]
    assert list(tree.state.threads) == [10, 11, 20]
    resting = process(10, [11]), process(20)
    tree.look(*resting)
    assert [tree.look(*resting) for _ in range(500)] == [[]] * 500


def test_processor_time_is_that_between_samples() -> None:
    tree = Tree()
    root = process(10, [11])
    tree.look(root)
    tree.ran = {10: 0.1, 11: 0.25}
    tree.look(root)
    assert tree.state.threads[10].cpu == pytest.approx(0.4)
    assert tree.state.threads[11].cpu == pytest.approx(1.0)
    assert tree.state.processes[10].cpu == pytest.approx(1.4)
    tree.look(root)
    assert tree.state.processes[10].cpu == tree.state.threads[11].cpu == 0.0


def test_looks_between_samples_and_noise_are_not_said() -> None:
    tree = Tree()
    root = process(10)
    tree.look(root)
    tree.ran = {10: 0.1}
    assert tree.look(root, after_s=0.05) == []
    for step in range(1, 50):
        tree.ran = {10: 0.1 * step + 0.0002 * (step % 3)}
        tree.look(root)
    assert tree.rows <= 6


def test_children_that_come_and_go_are_not_mentioned_and_not_remembered() -> None:
    tree = Tree()
    root = process(10)
    tree.look(root)
    for n in range(300):
        tree.look(root, *(process(1000 + 10 * n + k) for k in range(10)))
    assert list(tree.state.processes) == [10]
    assert tree.rows <= 3
    tree.look(root, process(5000))
    tree.look(root, process(5000))
    assert list(tree.state.processes) == [10, 5000]


def test_a_reused_number_is_another_process() -> None:
    tree = Tree()
    root = process(10)
    tree.look(root, process(20, [21], start=5))
    tree.look(root, process(20, [21], start=5))
    gone = tree.look(root, process(20, start=6))
    assert [event.gone for event in gone if isinstance(event, ev.TreeSampled)] == [(20,)]
    assert 20 not in tree.state.threads
    tree.look(root, process(20, start=6))
    assert tree.state.processes[20].start_ticks == 6
    assert list(tree.state.threads) == [10, 20]


def test_a_role_and_a_death_are_said_when_they_become_known() -> None:
    roles: dict[int, str] = {}
    tree = Tree(Sampler(roles=lambda pid: roles.get(pid, "")))
    both = process(10), process(20)
    tree.look(*both)
    roles[20] = "worker 1"
    tree.look(*both)
    assert tree.state.processes[20].role == "worker 1"
    tree.look(*both, after_s=0.01, dead=(20,))
    assert [process.dead for process in tree.state.processes.values()] == [False, True]
    tree.look(*both, after_s=0.01)
    assert not tree.state.processes[20].dead


def test_secrets_and_endless_command_lines_do_not_travel() -> None:
    tree = Tree()
    tree.look(process(10, words=("serve", "--password", "hunter2", "x" * 100_000)))
    (seen,) = tree.state.processes.values()
    assert seen.command[:3] == ("serve", "--password", "***")
    assert sum(map(len, seen.command)) < 1100


def test_a_large_lively_tree_is_sampled_less_often() -> None:
    tree = Tree()
    crowd = [process(pid * 100, range(pid * 100 + 1, pid * 100 + 10)) for pid in range(1, 101)]
    tree.look(*crowd)
    before = tree.rows
    for step in range(40):
        tree.ran = {tid: 0.2 * step * (step % 2) for pid in range(1, 101) for tid in range(pid * 100, pid * 100 + 10)}
        tree.look(*crowd)
    assert tree.rows - before <= 7 * 1100


def test_the_end_takes_everything_away() -> None:
    tree = Tree()
    tree.look(process(10), process(20))
    for event in tree.sampler.end():
        tree.state = fold(tree.state, event)
    assert (tree.state.processes, tree.state.threads) == ({}, {})
    assert list(tree.sampler.end()) == []


def test_a_keyframe_holds_what_the_changes_add_up_to() -> None:
    tree = Tree()
    root = process(10)
    for step in range(200):
        tree.ran = {10: step * 0.25 * (step % 2)}
        tree.look(root, *([process(20)] if step % 40 < 20 else []))
    keys = [event for event in tree.said[1:] if isinstance(event, ev.TreeSampled) and event.key]
    assert keys
    state = RunState()
    for event in tree.said:
        if event in keys:
            assert isinstance(event, ev.TreeSampled)
            assert {p.pid for p in event.processes} == {10, 20} or {p.pid for p in event.processes} == {10}
        state = fold(state, event)
    assert state == tree.state
