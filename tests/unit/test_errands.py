"""Small jobs in threads of their own: one a process, and an answer to each."""

from __future__ import annotations

import threading

from cvdebug.core.errands import Errands
from cvdebug.core.events import StacksRead

DEADLINE_S = 10.0


def test_one_job_a_process_at_a_time_and_each_wakes_who_asked() -> None:
    woken, go = threading.Semaphore(0), threading.Event()
    errands = Errands(woken.release)

    def slow() -> StacksRead:
        go.wait(DEADLINE_S)
        return StacksRead(pid=1)

    errands.send(1, slow)
    errands.send(1, lambda: StacksRead(pid=1, native=True))
    errands.send(2, lambda: StacksRead(pid=2))
    assert woken.acquire(timeout=DEADLINE_S)
    assert [event.pid for event in errands.brought()] == [2]
    go.set()
    assert woken.acquire(timeout=DEADLINE_S)
    errands.close(DEADLINE_S)
    assert list(errands.brought()) == [StacksRead(pid=1)]


def test_a_defect_is_an_answer_too() -> None:
    woken = threading.Event()
    errands = Errands(woken.set)

    def fails() -> StacksRead:
        raise ValueError("no such thing")

    errands.send(7, fails)
    assert woken.wait(DEADLINE_S)
    (answer,) = errands.brought()
    assert (answer.pid, answer.asked, answer.stacks) == (7, True, ())
    assert "no such thing" in answer.trouble
