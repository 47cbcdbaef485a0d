"""Rules as pure functions: what those about forks ask for, and that they name nothing without it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from cvdebug.core.diagnose.card import Card
from cvdebug.core.diagnose.case import Case, Variable, who
from cvdebug.core.diagnose.closure import close
from cvdebug.core.diagnose.judge import judge
from cvdebug.core.diagnose.listing import Idleness
from cvdebug.core.diagnose.merge import merge
from cvdebug.core.diagnose.rules import RULES
from cvdebug.core.model import (
    Certainty,
    Descriptor,
    DescriptorKind,
    Frame,
    ProcessSnapshot,
    Stack,
    ThreadSnapshot,
    TreeSnapshot,
    Verdict,
    Wait,
    WaitKind,
)
from cvdebug.core.observe import proc
from cvdebug.core.observe.surroundings import numbers, numbers_of_variables
from hypothesis import given
from hypothesis import strategies as st

RUST, PYTHON, PLAIN = 0x89, 0x189, 0x80
ROOT, PARENT = 5, 9

LATCH = Frame(function="<rayon_core::latch::LockLatch>::wait_and_reset", module="/x/tokenizers.abi3.so", native=True)
STRIPPED = Frame(function="0x7f00", module="/x/tokenizers/tokenizers.abi3.so", native=True)
LIBC = Frame(function="0x7fb6", module="/lib/libc.so.6", native=True)
LOCK = Frame(function="PyThread_acquire_lock_timed", module="/lib/libpython3.11.so.1.0", native=True)
POLARS = Frame(function="0x7f00", module="/x/_polars_runtime.abi3.so", native=True)
RAYON_IN_POLARS = Frame(function="rayon_core::latch", module="/x/_polars_runtime.abi3.so", native=True)
GOMP = Frame(function="0x7f00", module="/x/scikit_learn.libs/libgomp-e985bcbb.so.1.0.0", native=True)
QUEUE = Frame(function="0x7f0", module="/usr/lib/python3.11/lib-dynload/_queue.cpython-311-x86_64.so", native=True)
NAMELESS = Frame(function="0x7f8e22ab8838", native=True)
LINE = Frame(function="embed_all", file="/home/me/pipeline.py", line=214)
EVENT = Frame(function="Condition.wait", file="/usr/lib/python3.11/threading.py", line=327)
ENTER = Frame(function="Condition.__enter__", file="/usr/lib/python3.11/threading.py", line=299)
EMIT = Frame(function="StreamHandler.emit", file="/usr/lib/python3.11/logging/__init__.py", line=1113)
FORMAT = Frame(function="LogRecord.getMessage", file="/usr/lib/python3.11/logging/__init__.py", line=377)
HANDLE = Frame(function="Handler.handle", file="/usr/lib/python3.11/logging/__init__.py", line=978)
SELECT = Frame(function="EpollSelector.select", file="/usr/lib/python3.11/selectors.py", line=468)
LOOP = Frame(function="BaseEventLoop._run_once", file="/usr/lib/python3.11/asyncio/base_events.py", line=1884)
CALL = Frame(function="_blocking", file="/x/site-packages/grpc/_channel.py", line=1152)
TRUE = Variable(name="TOKENIZERS_PARALLELISM", value="true")
SLEEP = Wait(kind=WaitKind.SLEEP, text="sleeps", timed=True)
EPOLL = (
    Descriptor(3, DescriptorKind.EPOLL, 0, ""),
    Descriptor(4, DescriptorKind.EVENTFD, 0, ""),
    Descriptor(6, DescriptorKind.EPOLL, 0, ""),
)


def thread(op: int, tid: int, *, name: str = "python") -> ThreadSnapshot:
    call = (proc.FUTEX_CALL, 0x1000, op, 0, 0, 0, 0, 0x7FFE, 0x7FFF)
    return ThreadSnapshot(tid=tid, name=name, state="S", syscall=call, wchan="", switches=31, cpu_ticks=2)


def process(pid: int, ppid: int, *threads: ThreadSnapshot, forked: bool) -> ProcessSnapshot:
    return ProcessSnapshot(
        pid=pid,
        ppid=ppid,
        start_ticks=500,
        state="S",
        cmdline=("python",),
        rss_bytes=1,
        signals_caught=0,
        frozen=False,
        threads=threads,
        forked=forked,
    )


def futex(pid: int, op: int) -> Wait:
    return Wait(kind=WaitKind.FUTEX, text="waits on a private futex", pids=(pid,), address=0x1000, op=op)


def case(
    op: int,
    *frames: Frame,
    pid: int = 10,
    wait: Wait | None = None,
    others: dict[int, tuple[Wait, tuple[Frame, ...]]] | None = None,
    above: tuple[str, ...] = (),
    forked: bool = True,
    descriptors: tuple[Descriptor, ...] = (),
    **changes: Any,
) -> Case:
    """A parent that waits for a forked child, whose main thread has this stack. `others` are more threads of the child,
    with what they wait for and where; without frames they never ran Python. `above` names the parent's."""
    others = others or {}
    native = tuple(thread(RUST, 200 + n, name=name) for n, name in enumerate(above))
    parent = process(PARENT, ROOT, thread(PYTHON, PARENT), *native, forked=False)
    child = process(pid, PARENT, *(thread(op, tid) for tid in (pid, *others)), forked=forked)
    waits = {
        PARENT: Wait(kind=WaitKind.CHILD, text=f"waits for its child PID {pid} to end", pids=(pid,)),
        **{each.tid: futex(PARENT, RUST) for each in native},
        pid: wait or futex(pid, op),
        **{tid: each for tid, (each, _) in others.items()},
    }
    first = TreeSnapshot(
        root=PARENT,
        at_s=0.0,
        processes=(parent, child),
        waits=waits,
        programs={PARENT: "python3.11", pid: "python3.11"},
        descriptors={pid: descriptors},
    )
    second = msgspec.structs.replace(first, at_s=0.05)
    stacks = {pid: frames, PARENT: (LINE,), **{tid: where for tid, (_, where) in others.items() if where}}
    whole = Case(
        first=first,
        second=second,
        closure=close(first, second),
        parallelism={pid: TRUE},
        roles={pid: f"worker {pid}"},
        stacks={tid: Stack(tid=tid, name="", frames=where) for tid, where in stacks.items()},
    )
    return msgspec.structs.replace(whole, **changes)


def verdict(*arguments: Any, **changes: Any) -> Verdict:
    return judge(case(*arguments, **changes))[0]


@pytest.mark.parametrize("frame", [LATCH, STRIPPED])
def test_rayon_is_named_by_symbol_or_by_library(frame: Frame) -> None:
    assert verdict(RUST, LIBC, frame, LINE).slug == "rayon-fork-deadlock"


def test_rayon_stands_in_for_a_variable_that_cannot_be_read() -> None:
    unknown = {10: Variable(name="TOKENIZERS_PARALLELISM", unknown="refused")}
    assert verdict(RUST, LIBC, LATCH, LINE, parallelism=unknown).slug == "rayon-fork-deadlock"
    assert verdict(RUST, LIBC, STRIPPED, LINE, parallelism=unknown).slug == "native-pool-fork"


@pytest.mark.parametrize("value", [None, "Off"])
def test_tokenizers_with_its_guard_on_is_another_pool(value: str | None) -> None:
    variable = Variable(name="TOKENIZERS_PARALLELISM", value=value)
    assert verdict(RUST, LIBC, LATCH, LINE, parallelism={10: variable}).slug == "native-pool-fork"


@pytest.mark.parametrize(
    ("frames", "changes"),
    [
        ((LIBC, LATCH, LINE), {"forked": False}),
        ((LIBC, LATCH, LINE), {"stacks": {}, "no_stacks": {10: "the kernel refused."}}),
        ((LIBC, LINE, LATCH), {}),
        ((LIBC, LATCH, LINE), {"others": {11: (futex(10, RUST), ())}}),
    ],
)
def test_a_library_is_not_named_without_each_of_its_signs(frames: tuple[Frame, ...], changes: dict[str, Any]) -> None:
    found = verdict(RUST, *frames, **changes)
    assert (found.slug, found.certainty) == ("deadlock", Certainty.PROVEN)


@pytest.mark.parametrize(
    ("op", "frame", "slug"),
    [
        (RUST, POLARS, "native-pool-fork"),
        (RUST, RAYON_IN_POLARS, "native-pool-fork"),
        (PLAIN, GOMP, "openmp-fork-deadlock"),
    ],
)
def test_other_libraries_are_named_by_their_path(op: int, frame: Frame, slug: str) -> None:
    found = verdict(op, LIBC, frame, NAMELESS, LINE)
    assert found.slug == slug
    assert any(frame.module.rpartition("/")[2] in line for line in found.evidence)


def test_threads_of_another_library_that_began_anew_hide_nothing() -> None:
    found = verdict(PLAIN, LIBC, GOMP, LINE, others={11: (futex(10, PYTHON), ()), 12: (futex(10, PYTHON), ())})
    assert (found.slug, [culprit.tid for culprit in found.culprits]) == ("openmp-fork-deadlock", [10])
    assert "worker 10 (PID 10): its process has 2 more threads, dead as well, 2 of which never ran Python" in (
        line.partition(" (/proc")[0] for line in found.evidence
    )


def test_a_loop_that_waits_for_itself_below_tokio_is_a_native_pool() -> None:
    alone = Wait(kind=WaitKind.EPOLL, text="waits in epoll", pids=(10,))
    whole: dict[str, Any] = {"wait": alone, "descriptors": EPOLL, "above": ("tokio-rt-worker",)}
    assert verdict(PLAIN, SELECT, LOOP, **whole).slug == "native-pool-fork"
    for odd in ({"descriptors": EPOLL[:1]}, {"above": ("other",)}, {"forked": False}):
        assert verdict(PLAIN, SELECT, LOOP, **{**whole, **odd}).slug == "asyncio-await-never"


def test_a_grpc_call_without_the_threads_of_grpc_is_likely_hung() -> None:
    polls = Wait(kind=WaitKind.EPOLL, text="waits in epoll", timed=True, pids=(10,))
    whole: dict[str, Any] = {"wait": polls, "above": ("event_engine", "event_engine")}
    found = verdict(PLAIN, CALL, LINE, **whole)
    assert (found.slug, found.certainty) == ("native-pool-fork", Certainty.LIKELY)
    own = {11: (msgspec.structs.replace(futex(10, PLAIN), timed=True), ())}
    for odd in ({"above": ()}, {"others": own}, {"forked": False}):
        assert verdict(PLAIN, CALL, LINE, **{**whole, **odd}).certainty not in (Certainty.PROVEN, Certainty.LIKELY)


@pytest.mark.parametrize("frames", [(LIBC, LOCK, LINE), (LIBC, LIBC, LINE), (LIBC, LOCK, ENTER, LINE)])
def test_a_python_lock_in_a_forked_process_is_named(frames: tuple[Frame, ...]) -> None:
    assert verdict(PYTHON, *frames).slug == "lock-held-across-fork"


@pytest.mark.parametrize(
    ("frames", "slug"),
    [
        ((LIBC, LOCK, EMIT, HANDLE, LINE), "logging-lock-fork"),
        ((LIBC, LOCK, ENTER, LINE, HANDLE), "logging-lock-fork"),
        ((LIBC, LOCK, LINE, FORMAT, EMIT, HANDLE), "lock-held-across-fork"),
    ],
)
def test_a_lock_on_a_records_way_is_loggings(frames: tuple[Frame, ...], slug: str) -> None:
    assert [found.slug for found in judge(case(PYTHON, *frames))] == [slug]


@pytest.mark.parametrize(
    ("op", "frames", "forked"),
    [
        (PYTHON, (LIBC, LOCK, EVENT, LINE), True),
        (PYTHON, (LIBC, LOCK), True),
        (PYTHON, (LIBC, Frame(function="_queue_SimpleQueue_get", module="/x/_queue.so", native=True), LINE), True),
        (PYTHON, (LIBC, LOCK, QUEUE, LINE), True),
        (PYTHON, (LINE,), True),
        (PYTHON, (LIBC, LOCK, LINE), False),
        (RUST, (LIBC, LOCK, LINE), True),
    ],
)
def test_other_waits_are_no_held_lock(op: int, frames: tuple[Frame, ...], forked: bool) -> None:
    assert verdict(op, *frames, forked=forked).slug not in ("lock-held-across-fork", "logging-lock-fork")


def test_a_lock_that_another_thread_of_the_child_may_hold_was_not_held_at_the_fork() -> None:
    rests: tuple[Wait, tuple[Frame, ...]] = (futex(10, PYTHON), (LIBC, LOCK, EVENT))
    works: tuple[Wait, tuple[Frame, ...]] = (futex(10, PYTHON), (LIBC, LOCK, LINE))
    slug = "lock-held-across-fork"
    assert verdict(PYTHON, LIBC, LOCK, LINE, others={11: rests}).slug == slug
    assert verdict(PYTHON, LIBC, LOCK, LINE, others={11: works}).slug != slug


def test_beside_a_thread_that_only_sleeps_it_is_likely() -> None:
    sleeps = {11: (SLEEP, (LINE,))}
    idle = {11: Idleness(endless=True, talks=False)}
    known: dict[str, Any] = {"others": sleeps, "idle": idle, "sources": {10: "ids = tokenizer.encode_batch(texts)"}}
    found = verdict(RUST, LINE, **known)
    assert (found.slug, found.certainty) == ("rayon-fork-deadlock", Certainty.LIKELY)
    assert verdict(RUST, LINE, **{**known, "sources": {10: "ids = other(texts)"}}).certainty is Certainty.NOT_HUNG
    locked = verdict(PYTHON, LINE, **{**known, "sources": {10: "with lock:"}})
    assert (locked.slug, locked.certainty) == ("lock-held-across-fork", Certainty.LIKELY)


@pytest.mark.parametrize(
    ("source", "slug"),
    [
        ("item = queue.get()", "deadlock"),
        ("with lock:", "lock-held-across-fork"),
        ("with locks.get(key):", "lock-held-across-fork"),
        ("", "lock-held-across-fork"),
    ],
)
def test_without_symbols_the_source_tells_a_queue_from_a_lock(source: str, slug: str) -> None:
    found = verdict(PYTHON, LIBC, LINE, sources={10: source})
    assert found.slug == slug
    assert any(line.endswith(f"pipeline.py:214: {source}" if source else ":214") for line in found.evidence)


@given(st.sampled_from(["", "off", "false", "f", "no", "n", "0"]), st.data())
def test_false_is_false_in_any_case(word: str, data: st.DataObject) -> None:
    cased = "".join(data.draw(st.sampled_from([letter.lower(), letter.upper()])) for letter in word)
    assert not Variable(name="X", value=cased).is_true
    assert Variable(name="X", value=cased + "x").is_true


def test_a_verdict_can_be_checked_by_hand() -> None:
    found = verdict(RUST, LIBC, LATCH, LINE, above=("python", "python"), result_pending=False)
    assert found.evidence == (
        "worker 10 (PID 10): has 1 thread; /proc/PID/task lists no other",
        f"worker 10 (PID 10): waits in system call {proc.FUTEX_CALL} (futex), op 0x89 (private, FUTEX_WAIT_BITSET),"
        " no timeout: only a thread of the same process could wake it (/proc/PID/syscall)",
        "worker 10 (PID 10): context switches 31 in both looks, 0.05 s apart (/proc/PID/status)",
        "worker 10 (PID 10): native stack: <rayon_core::latch::LockLatch>::wait_and_reset (tokenizers.abi3.so)",
        "worker 10 (PID 10): Python line: embed_all at /home/me/pipeline.py:214",
        "the parent, PID 9, has 3 threads, 2 of which never ran Python (/proc/9/task)",
        "TOKENIZERS_PARALLELISM=true in the live environment",
    )
    assert found.fixes[0].command == "kill -9 10"


@pytest.mark.parametrize("card", [rule.CARD for rule in RULES.values()], ids=lambda card: card.slug)
def test_a_rule_explains_itself(card: Card) -> None:
    assert card.slug.lower().replace("_", "-") == card.slug
    assert len(card.explanation.split(". ")) >= 3
    assert card.title
    assert card.conditions
    assert card.disproof
    assert all(fix.title and fix.cost for fix in card.fixes)
    assert all(link.startswith("https://") for link in card.links)
    assert RULES.keys() >= set(card.yields_to)


def test_verdicts_of_one_cause_become_one() -> None:
    pids = [12, 11, 13]
    verdicts = [verdict(RUST, LIBC, LATCH, LINE, pid=pid, result_pending=False) for pid in pids]
    other = verdict(PYTHON, LIBC, LOCK, LINE, pid=14)
    first, second = merge([*verdicts, other])
    assert second == other
    assert [culprit.pid for culprit in first.culprits] == pids
    assert first.evidence[0] == "each of them: has 1 thread; /proc/PID/task lists no other"
    assert first.evidence.count("TOKENIZERS_PARALLELISM=true in the live environment") == 1
    assert first.fixes[0].command == "kill -9 11 12 13"
    assert len({fix.title for fix in first.fixes}) == len(first.fixes)


def test_ending_workers_is_offered_for_all_or_for_none() -> None:
    pending = [verdict(RUST, LIBC, LATCH, LINE, pid=pid, result_pending=pid == 12) for pid in (11, 12)]
    (merged,) = merge(pending)
    assert not any("kill" in fix.command for fix in merged.fixes)


def test_facts_that_differ_stay_with_their_process() -> None:
    other_line = msgspec.structs.replace(LINE, line=99)
    one, two = (verdict(RUST, LIBC, LATCH, line, pid=pid) for pid, line in ((10, LINE), (11, other_line)))
    (merged,) = merge([one, two])
    assert "worker 10 (PID 10): Python line: embed_all at /home/me/pipeline.py:214" in merged.evidence
    assert "worker 11 (PID 11): Python line: embed_all at /home/me/pipeline.py:99" in merged.evidence


def test_what_holds_of_several_threads_is_told_once() -> None:
    one = verdict(RUST, LIBC, LATCH, LINE, pid=10)
    culprits = tuple(msgspec.structs.replace(one.culprits[0], tid=tid) for tid in (10, 11))
    lines = [f"{who(culprit)}: {fact}" for culprit, fact in ((culprits[0], "rests"), (culprits[1], "rests"))]
    (merged,) = merge(
        [msgspec.structs.replace(one, culprits=culprits, evidence=(*lines, f"{who(culprits[1])}: sings"))]
    )
    assert merged.evidence == ("each of them: rests", f"{who(culprits[1])}: sings")


def test_nothing_merges_into_nothing() -> None:
    assert merge([]) == []


def test_a_version_or_a_word_names_no_descriptor() -> None:
    assert numbers(b"A=8.4.2\0B=7\0PATH=/usr/lib/python3.11:/dev/fd/5\0--fd=12\0ID=5628e6ea4ea0\0fd9") == {7, 5, 12, 9}


def test_a_variable_that_counts_tells_no_descriptor() -> None:
    environment = (
        b"SHLVL=3\0PYTEST_XDIST_WORKER_COUNT=4\0NODE_CHANNEL_FD=5\0MAKEFLAGS= -j --jobserver-auth=6,7\0X=/dev/fd/8"
    )
    assert numbers_of_variables(environment) == {5, 6, 7, 8}
