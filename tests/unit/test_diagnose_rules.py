"""Rules as pure functions: what each asks for, and that they name nothing without it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from cvdebug.core.diagnose.evidence import Evidence, Variable, is_true
from cvdebug.core.diagnose.merge import merge
from cvdebug.core.diagnose.rules import RULES, judge
from cvdebug.core.model import Certainty, Frame, ProcessSnapshot, Stack
from cvdebug.core.observe import proc
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.test_diagnose_proof import PYTHON, RUST, process, thread

LATCH = Frame(function="<rayon_core::latch::LockLatch>::wait_and_reset", module="/x/other.so", native=True)
STRIPPED = Frame(function="0x7f00", module="/x/tokenizers/tokenizers.abi3.so", native=True)
LIBC = Frame(function="0x7fb6", module="/lib/libc.so.6", native=True)
LOCK = Frame(function="PyThread_acquire_lock_timed", module="/lib/libpython3.11.so.1.0", native=True)
FOREIGN = Frame(function="poll_join", module="/x/_polars_runtime.abi3.so", native=True)
QUEUE = Frame(function="0x7f0", module="/usr/lib/python3.11/lib-dynload/_queue.cpython-311-x86_64.so", native=True)
LINE = Frame(function="embed_all", file="/home/me/pipeline.py", line=214)
EVENT = Frame(function="Condition.wait", file="/usr/lib/python3.11/threading.py", line=327)
TRUE = Variable(name="TOKENIZERS_PARALLELISM", value="true")


def evidence(op: int, *frames: Frame, pid: int = 10, **changes: Any) -> Evidence:
    seen: ProcessSnapshot = process(pid=pid, threads=(thread(op, tid=pid),), forked=changes.pop("forked", True))
    whole = Evidence(
        first=seen,
        second=seen,
        gap_s=0.05,
        parallelism=TRUE,
        role=f"worker {pid}",
        stack=Stack(tid=pid, name="MainThread", frames=frames),
    )
    return msgspec.structs.replace(whole, **changes)


@pytest.mark.parametrize("frame", [LATCH, STRIPPED])
def test_rayon_is_named_by_symbol_or_by_library(frame: Frame) -> None:
    assert judge(evidence(RUST, LIBC, frame, LINE)).slug == "rayon-fork-deadlock"


@pytest.mark.parametrize(
    "odd",
    [
        {"parallelism": Variable(name="TOKENIZERS_PARALLELISM")},
        {"parallelism": Variable(name="TOKENIZERS_PARALLELISM", value="Off")},
        {"parallelism": Variable(name="TOKENIZERS_PARALLELISM", unknown="refused")},
        {"forked": False},
        {"stack": None, "no_stack": "the kernel refused."},
        {"stack": Stack(tid=10, name="", frames=(LIBC, FOREIGN, LINE))},
        {"stack": Stack(tid=10, name="", frames=(LIBC, LINE, LATCH))},
    ],
)
def test_rayon_is_not_named_without_each_of_its_signs(odd: dict[str, Any]) -> None:
    verdict = judge(evidence(RUST, LIBC, LATCH, LINE, **odd))
    assert (verdict.slug, verdict.certainty) == ("deadlock", Certainty.PROVEN)


@pytest.mark.parametrize("frames", [(LIBC, LOCK, LINE), (LIBC, LIBC, LINE)])
def test_a_python_lock_in_a_forked_process_is_named(frames: tuple[Frame, ...]) -> None:
    assert judge(evidence(PYTHON, *frames)).slug == "lock-held-across-fork"


@pytest.mark.parametrize(
    ("op", "frames", "forked"),
    [
        (PYTHON, (LIBC, LOCK, EVENT, LINE), True),
        (PYTHON, (LIBC, FOREIGN, LINE), True),
        (PYTHON, (LIBC, LOCK), True),
        (PYTHON, (LIBC, Frame(function="_queue_SimpleQueue_get", module="/x/_queue.so", native=True), LINE), True),
        (PYTHON, (LIBC, LOCK, QUEUE, LINE), True),
        (PYTHON, (LINE,), True),
        (PYTHON, (LIBC, LOCK, LINE), False),
        (RUST, (LIBC, LOCK, LINE), True),
    ],
)
def test_other_waits_are_no_held_lock(op: int, frames: tuple[Frame, ...], forked: bool) -> None:
    assert judge(evidence(op, *frames, forked=forked)).slug == "deadlock"


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
    verdict = judge(evidence(PYTHON, LIBC, LINE, source=source))
    assert verdict.slug == slug
    assert any(line.endswith(f"pipeline.py:214: {source}" if source else ":214") for line in verdict.evidence)


@given(st.sampled_from(["", "off", "false", "f", "no", "n", "0"]), st.data())
def test_false_is_false_in_any_case(word: str, data: st.DataObject) -> None:
    cased = "".join(data.draw(st.sampled_from([letter.lower(), letter.upper()])) for letter in word)
    assert not is_true(Variable(name="X", value=cased))
    assert is_true(Variable(name="X", value=cased + "x"))


def test_a_verdict_can_be_checked_by_hand() -> None:
    parent = process(pid=9, threads=(thread(tid=9), thread(tid=20), thread(tid=21)))
    known: dict[str, Any] = {"parent": parent, "parent_python_tids": frozenset({9}), "result_pending": False}
    verdict = judge(evidence(RUST, LIBC, LATCH, LINE, **known))
    assert verdict.evidence == (
        "worker 10 (PID 10): has 1 thread; /proc/PID/task lists no other",
        f"worker 10 (PID 10): waits in system call {proc.FUTEX_CALL} (futex), op 0x89 (private, FUTEX_WAIT_BITSET),"
        " no timeout: only a thread of the same process could wake it (/proc/PID/syscall)",
        "worker 10 (PID 10): context switches 31 in both looks, 0.05 s apart (/proc/PID/status)",
        "worker 10 (PID 10): native stack: <rayon_core::latch::LockLatch>::wait_and_reset (other.so)",
        "worker 10 (PID 10): Python line: embed_all at /home/me/pipeline.py:214",
        "the parent, PID 9, has 3 threads, 2 of which never ran Python (/proc/9/task)",
        "TOKENIZERS_PARALLELISM=true in the live environment",
    )
    assert verdict.fixes[0].command == "kill -9 10"
    assert all(fix.title and fix.cost for fix in verdict.fixes)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule.SLUG))
def test_a_rule_explains_itself(rule: Any) -> None:
    assert rule.SLUG.lower().replace("_", "-") == rule.SLUG
    assert len(rule.EXPLANATION.split(". ")) >= 3
    assert rule.TITLE
    assert rule.CONDITIONS
    assert rule.FIXES
    assert rule.DISPROOF
    assert all(link.startswith("https://") for link in rule.LINKS)


def test_verdicts_of_one_cause_become_one() -> None:
    pids = [12, 11, 13]
    verdicts = [judge(evidence(RUST, LIBC, LATCH, LINE, pid=pid, result_pending=False)) for pid in pids]
    other = judge(evidence(PYTHON, LIBC, LOCK, LINE, pid=14))
    first, second = merge([*verdicts, other])
    assert second == other
    assert [culprit.pid for culprit in first.culprits] == pids
    assert first.evidence[0] == "each of them: has 1 thread; /proc/PID/task lists no other"
    assert first.evidence.count("TOKENIZERS_PARALLELISM=true in the live environment") == 1
    assert first.fixes[0].command == "kill -9 11 12 13"
    assert len({fix.title for fix in first.fixes}) == len(first.fixes)


def test_ending_workers_is_offered_for_all_or_for_none() -> None:
    pending = [judge(evidence(RUST, LIBC, LATCH, LINE, pid=pid, result_pending=pid == 12)) for pid in (11, 12)]
    (verdict,) = merge(pending)
    assert not any("kill" in fix.command for fix in verdict.fixes)


def test_facts_that_differ_stay_with_their_process() -> None:
    other_line = msgspec.structs.replace(LINE, line=99)
    one, two = (judge(evidence(RUST, LIBC, LATCH, line, pid=pid)) for pid, line in ((1, LINE), (11, other_line)))
    (verdict,) = merge([one, two])
    assert "worker 1 (PID 1): Python line: embed_all at /home/me/pipeline.py:214" in verdict.evidence
    assert "worker 11 (PID 11): Python line: embed_all at /home/me/pipeline.py:99" in verdict.evidence


def test_nothing_merges_into_nothing() -> None:
    assert merge([]) == []
