"""The bell that wakes a loop, rung at every bad moment."""

from __future__ import annotations

import os
import select

from cvdebug.core.bell import Bell


def is_heard(bell: Bell) -> bool:
    return bool(select.select([bell.fd], [], [], 0)[0])


def test_it_is_heard_until_it_is_hushed() -> None:
    bell = Bell()
    try:
        assert not is_heard(bell)
        for _ in range(100_000):  # more than a pipe holds
            bell.ring()
        assert is_heard(bell)
        while is_heard(bell):
            bell.hush()
        bell.hush()
    finally:
        bell.close()


def test_rung_after_its_end_it_writes_to_nobody_else() -> None:
    bell = Bell()
    bell.close()
    ends = [os.pipe2(os.O_NONBLOCK) for _ in range(8)]  # these get the numbers that were given back
    try:
        bell.ring()
        assert not select.select([read for read, _ in ends], [], [], 0)[0]
    finally:
        for fd in (fd for end in ends for fd in end):
            os.close(fd)
