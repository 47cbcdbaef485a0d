"""The closure on hand-made looks: what keeps a thread alive, and what does not."""

from __future__ import annotations

import signal

import msgspec
import pytest
from cvdebug.core.diagnose.closure import Closure, close
from cvdebug.core.model import ProcessSnapshot, ThreadSnapshot, TreeSnapshot, Wait, WaitKind

CALL = (202, 1, 0x189, 0, 0, 0, 0, 0x7FFE00000000, 0x7FFE00000001)


def thread(tid: int, *, switches: int = 5, state: str = "S") -> ThreadSnapshot:
    return ThreadSnapshot(tid=tid, name="", state=state, syscall=CALL, wchan="", switches=switches, cpu_ticks=0)


def process(
    pid: int, *, tids: tuple[int, ...] = (), ppid: int = 1, caught: tuple[int, ...] = (), frozen: bool = False
) -> ProcessSnapshot:
    return ProcessSnapshot(
        pid=pid,
        ppid=ppid,
        start_ticks=9,
        state="S",
        cmdline=("python",),
        rss_bytes=0,
        signals_caught=sum(1 << (number - 1) for number in caught),
        frozen=frozen,
        threads=tuple(thread(tid) for tid in (pid, *tids)),
    )


def lock(*pids: int, op: int = 0x189) -> Wait:
    return Wait(kind=WaitKind.FUTEX, text="waits on a lock", pids=pids, op=op)


def pipe(*pids: int, external: str = "") -> Wait:
    return Wait(kind=WaitKind.PIPE_READ, text="waits on a pipe", pids=pids, external=external, inodes=(7,))


def wait_for(*pids: int) -> Wait:
    return Wait(kind=WaitKind.CHILD, text="waits for a child", pids=pids)


SLEEP = Wait(kind=WaitKind.SLEEP, text="sleeps", timed=True)


def tree(
    processes: tuple[ProcessSnapshot, ...],
    waits: dict[int, Wait],
    *,
    programs: dict[int, str] | None = None,
    couriers: tuple[frozenset[int], ...] = (),
) -> TreeSnapshot:
    return TreeSnapshot(
        root=processes[0].pid,
        at_s=0.0,
        processes=processes,
        waits=waits,
        programs=programs or {process.pid: "python3.11" for process in processes},
        couriers=couriers,
    )


def again(first: TreeSnapshot, *moved: int) -> TreeSnapshot:
    """The same tree, in which these threads went to sleep once more."""
    return msgspec.structs.replace(
        first,
        waits={},
        processes=tuple(
            msgspec.structs.replace(
                process,
                threads=tuple(thread(t.tid, switches=6 if t.tid in moved else 5) for t in process.threads),
            )
            for process in first.processes
        ),
    )


def dead(closure: Closure) -> set[int]:
    return {thread.tid for thread in closure.dead_threads}


def test_a_lone_thread_on_a_private_futex_is_dead() -> None:
    first = tree((process(10),), {10: lock()})
    closure = close(first, again(first))
    assert closure.dead_processes == (10,)
    assert closure.threads[10].why == "nobody could wake it"


def test_a_circle_of_processes_is_dead_and_says_who_could_wake_whom() -> None:
    first = tree((process(10), process(11, ppid=10)), {10: wait_for(11), 11: pipe(10, 11)})
    closure = close(first, again(first))
    assert closure.dead_processes == (10, 11)
    assert closure.threads[10].wakers == ((11, None),)
    assert closure.threads[11].wakers == ((10, None),)
    assert closure.threads[10].why == "only dead threads could wake it: PID 11"


def test_threads_of_one_process_that_wait_for_each_other_are_dead() -> None:
    first = tree((process(10, tids=(12,)),), {10: lock(10), 12: lock(10)})
    closure = close(first, again(first))
    assert dead(closure) == {10, 12}
    assert closure.threads[10].wakers == ((10, 12),)


@pytest.mark.parametrize("moved", [10, 11])
def test_whatever_moves_keeps_alive_all_that_wait_for_it(moved: int) -> None:
    first = tree((process(10), process(11, ppid=10)), {10: wait_for(11), 11: pipe(10)})
    closure = close(first, again(first, moved))
    assert dead(closure) == set()
    assert closure.threads[moved].why == "it moved between the two looks"


def test_a_process_that_appears_or_ends_keeps_alive_all_that_wait_for_it() -> None:
    first = tree((process(10),), {10: pipe(10, 11)})
    with_child = tree((process(10), process(11, ppid=10)), {10: pipe(10, 11), 11: lock()})
    for one, other in ((first, with_child), (with_child, first)):
        assert 10 not in dead(close(one, again(other)))


def test_another_process_with_the_same_number_is_not_the_same() -> None:
    first = tree((process(10),), {10: lock()})
    reused = msgspec.structs.replace(process(10), start_ticks=10)
    assert dead(close(first, tree((reused,), {}))) == set()


def test_a_thread_that_appears_or_ends_keeps_its_process_alive() -> None:
    one, two = (tree((process(10, tids=tids),), {10: lock(10), 12: lock(10)}) for tids in ((), (12,)))
    assert dead(close(one, again(two))) == set()
    assert dead(close(two, again(one))) == set()


@pytest.mark.parametrize(
    "wait",
    [
        SLEEP,
        pipe(10, external="a pipe end that nobody visible holds"),
        Wait(kind=WaitKind.FUTEX, text="", timed=True),
        Wait(kind=WaitKind.STOPPED, text="", external="it is stopped by a signal"),
        pipe(10, 99),
    ],
    ids=["sleep", "unseen", "timed", "stopped", "held outside of the tree"],
)
def test_a_wait_that_something_else_can_end_keeps_alive(wait: Wait) -> None:
    first = tree((process(10), process(11)), {10: wait, 11: pipe(10)})
    assert dead(close(first, again(first))) == set()


def test_a_wait_that_was_not_seen_keeps_alive() -> None:
    first = tree((process(10),), {})
    assert dead(close(first, again(first))) == set()


@pytest.mark.parametrize("when", ["first", "second"])
def test_a_frozen_process_is_not_dead(when: str) -> None:
    first = tree((process(10),), {10: lock()})
    frozen = tree((process(10, frozen=True),), {10: Wait(kind=WaitKind.FROZEN, text="", external="it is frozen")})
    looks = (frozen, again(frozen)) if when == "first" else (first, frozen)
    assert dead(close(*looks)) == set()


@pytest.mark.parametrize("wait", [lock(), pipe(10), wait_for(11)])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGALRM, 40])
def test_a_python_handler_may_release_the_main_thread(wait: Wait, number: int) -> None:
    first = tree((process(10, caught=(number,)), process(11, ppid=10)), {10: wait, 11: lock()})
    closure = close(first, again(first))
    assert dead(closure) == {11}
    assert f"signal {int(number)} " in closure.threads[10].why


@pytest.mark.parametrize("op", [0x89, 0x80])
def test_a_handler_does_not_release_a_native_wait(op: int) -> None:
    first = tree((process(10, caught=(signal.SIGTERM,)),), {10: lock(op=op)})
    assert dead(close(first, again(first))) == {10}


def test_on_musl_a_plain_futex_is_a_python_lock() -> None:
    first = tree((process(10, caught=(signal.SIGTERM,)),), {10: lock(op=0x80)})
    musl = msgspec.structs.replace(first, musl=frozenset({10}))
    assert dead(close(musl, again(first))) == set()


@pytest.mark.parametrize("number", [signal.SIGINT, 32, 33, signal.SIGSEGV, signal.SIGBUS])
def test_handlers_that_release_nothing_do_not_count(number: int) -> None:
    first = tree((process(10, caught=(number,)),), {10: lock()})
    assert dead(close(first, again(first))) == {10}


def test_a_known_handler_does_not_count() -> None:
    first = tree((process(10, caught=(signal.SIGUSR1,)),), {10: lock()})
    assert dead(close(first, again(first))) == set()
    assert dead(close(first, again(first), known_signals=frozenset({int(signal.SIGUSR1)}))) == {10}


def test_a_handler_in_a_program_that_is_not_python_may_do_anything() -> None:
    processes = (process(10, tids=(12,), caught=(signal.SIGTERM,)),)
    first = tree(processes, {10: lock(10, op=0x89), 12: lock(10, op=0x89)}, programs={10: "server"})
    assert dead(close(first, again(first))) == set()


@pytest.mark.parametrize(("program", "dead"), [("make", True), ("supervisord", False)])
def test_a_handler_of_make_only_ends_what_it_started(program: str, dead: bool) -> None:
    processes = process(10, caught=(signal.SIGTERM, signal.SIGCHLD)), process(11, ppid=10)
    first = tree(processes, {10: wait_for(11), 11: lock(11)}, programs={10: program, 11: "python3"})
    threads = close(first, again(first)).threads
    assert not threads[11].live
    assert threads[10].live is not dead


def test_the_wakeup_descriptor_of_a_handler_may_wake_any_reader_of_its_process() -> None:
    processes = (process(10, tids=(12,), caught=(signal.SIGTERM,)),)
    first = tree(processes, {10: lock(op=0x89), 12: pipe(10)})
    assert dead(close(first, again(first))) == {10}


@pytest.mark.parametrize(("child", "gone"), [(lock(), {10, 11}), (SLEEP, set())])
def test_a_handler_for_the_end_of_a_child_counts_when_the_child_can_end(child: Wait, gone: set[int]) -> None:
    first = tree((process(10, caught=(signal.SIGCHLD,)), process(11, ppid=10)), {10: lock(), 11: child})
    assert dead(close(first, again(first))) == gone


def test_a_living_thread_may_end_the_process_that_others_wait_for() -> None:
    """A watchdog: the worker is dead, and whoever waits for it is not."""
    processes = (process(10), process(11, ppid=10), process(12, ppid=10))
    first = tree(processes, {10: wait_for(11), 11: lock(), 12: SLEEP})
    assert dead(close(first, again(first))) == {11}


def test_a_plain_program_ends_only_what_is_below_it() -> None:
    programs = {10: "python3", 11: "python3", 12: "sleep"}
    beside = tree(
        (process(10), process(11, ppid=10), process(12, ppid=10)),
        {10: wait_for(11), 11: lock(), 12: SLEEP},
        programs=programs,
    )
    assert dead(close(beside, again(beside))) == {10, 11}
    above = tree(
        (process(12), process(10, ppid=12), process(11, ppid=10)),
        {10: wait_for(11), 11: lock(), 12: SLEEP},
        programs=programs,
    )
    assert dead(close(above, again(above))) == {11}


def test_the_end_of_a_process_does_not_release_a_semaphore() -> None:
    semaphore = Wait(kind=WaitKind.SHARED_FUTEX, text="", pids=(10, 11), op=0x109)
    first = tree((process(10), process(11), process(12)), {10: semaphore, 11: semaphore, 12: SLEEP})
    assert dead(close(first, again(first))) == {10, 11}


@pytest.mark.parametrize(
    ("group", "moved", "gone"),
    [
        ({11, 12}, (11, 12), set()),
        ({11, 99}, (11,), set()),
        ({11, 0}, (11,), set()),
        ({11, 12}, (11,), {10}),
        ({10, 99}, (11,), {10}),
    ],
    ids=["two that move", "somebody outside", "somebody unseen", "only one moves", "none of them moves"],
)
def test_open_files_may_travel_between_processes_that_move(
    group: set[int], moved: tuple[int, ...], gone: set[int]
) -> None:
    first = tree(
        (process(10), process(11), process(12)),
        {10: pipe(10), 11: SLEEP, 12: SLEEP},
        couriers=(frozenset(group),),
    )
    assert dead(close(first, again(first, *moved))) == gone


def test_a_first_thread_that_has_ended_is_neither_dead_nor_alive() -> None:
    ended = Wait(kind=WaitKind.ENDED, text="has ended", external="it has ended")
    first = tree((process(10, tids=(12,)),), {10: ended, 12: pipe(10)})
    closure = close(first, again(first))
    assert dead(closure) == {12}
    assert closure.dead_processes == (10,)
