"""The proof as a pure function of two snapshots: one thing wrong, and nothing is proven."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from cvdebug.core.diagnose.proof import NATIVE_OPS_ON_MUSL, Conditions, prove
from cvdebug.core.model import ProcessSnapshot, ThreadSnapshot
from cvdebug.core.observe import proc
from hypothesis import given
from hypothesis import strategies as st

RUST, PYTHON, PLAIN, SHARED = 0x89, 0x189, 0x80, 0x109
ANY = Conditions()


def call(op: int, *, timeout: int = 0, number: int = proc.FUTEX_CALL, stack: int = 0x7FFE) -> tuple[int, ...]:
    return (number, 0x1000, op, 0, timeout, 0, 0, stack, 0x7FFF)


def thread(op: int = RUST, **changes: Any) -> ThreadSnapshot:
    whole = ThreadSnapshot(tid=10, name="python", state="S", syscall=call(op), wchan="", switches=31, cpu_ticks=2)
    return msgspec.structs.replace(whole, **changes)


def process(op: int = RUST, **changes: Any) -> ProcessSnapshot:
    whole = ProcessSnapshot(
        pid=10,
        ppid=9,
        start_ticks=500,
        state="S",
        cmdline=("python",),
        rss_bytes=1,
        signals_caught=0,
        frozen=False,
        threads=(thread(op),),
    )
    return msgspec.structs.replace(whole, **changes)


def mask(*signals: int) -> int:
    return sum(1 << number - 1 for number in signals)


@pytest.mark.parametrize("op", [RUST, PYTHON, PLAIN])
def test_one_thread_in_an_untimed_private_futex_is_dead(op: int) -> None:
    proof = prove(process(op), process(op), ANY)
    assert proof.dead
    assert "only thread" in proof.why


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"threads": (thread(), thread(tid=11))}, "2 threads"),
        ({"threads": ()}, "0 threads"),
        ({"frozen": True}, "cgroup"),
        ({"threads": (thread(state="R"),)}, "it runs"),
        ({"threads": (thread(state="D"),)}, "disk"),
        ({"threads": (thread(state="T"),)}, "stopped"),
        ({"threads": (thread(state="t"),)}, "debugger"),
        ({"threads": (thread(state="Z"),)}, "ended"),
        ({"threads": (thread(state="I"),)}, "state is I"),
        ({"threads": (thread(syscall=None),)}, "cannot be seen"),
        ({"threads": (thread(syscall=call(0x89, number=0)),)}, "not on a futex"),
        ({"threads": (thread(syscall=call(0x86)),)}, "not on a futex"),
        ({"threads": (thread(SHARED),)}, "shared"),
        ({"threads": (thread(syscall=call(RUST, timeout=1)),)}, "timeout"),
        ({"threads": (thread(switches=32),)}, "moved"),
        ({"threads": (thread(syscall=call(RUST, stack=1)),)}, "moved"),
        ({"start_ticks": 501}, "different processes"),
    ],
)
@pytest.mark.parametrize("which", ["first", "second"])
def test_one_sign_against_it_is_enough(changes: dict[str, Any], why: str, which: str) -> None:
    odd, plain = process(**changes), process()
    proof = prove(odd, plain, ANY) if which == "first" else prove(plain, odd, ANY)
    assert not proof.dead
    assert why in proof.why


@given(st.integers(0, 2**64 - 1))
def test_handlers_never_matter_to_a_native_wait(caught: int) -> None:
    for op in (RUST, PLAIN):
        seen = process(op, signals_caught=caught)
        assert prove(seen, seen, ANY).dead


@given(st.sets(st.integers(1, 64)))
def test_any_other_handler_may_end_the_wait_for_a_python_lock(signals: set[int]) -> None:
    seen = process(PYTHON, signals_caught=mask(*signals))
    assert prove(seen, seen, ANY).dead == (signals <= {2, 17, 32, 33})


def test_the_child_s_end_may_raise_sigchld() -> None:
    seen = process(PYTHON, signals_caught=mask(17))
    proof = prove(seen, seen, Conditions(has_children=True))
    assert not proof.dead
    assert "signal 17" in proof.why


def test_known_handlers_are_ignored() -> None:
    seen = process(PYTHON, signals_caught=mask(2, 10))
    assert not prove(seen, seen, ANY).dead
    assert prove(seen, seen, Conditions(known_signals=frozenset({10}))).dead


def test_on_musl_python_locks_look_like_plain_ones() -> None:
    seen = process(PLAIN, signals_caught=mask(15))
    assert not prove(seen, seen, Conditions(native_ops=NATIVE_OPS_ON_MUSL)).dead
