"""Who counts which chunks: every wanted one exactly once, by the worker that has it at hand."""

from __future__ import annotations

import numpy as np
from cvdebug.core.exits import ended
from cvdebug.core.pipeline.pool import batches, shares
from hypothesis import given
from hypothesis import strategies as st


@given(st.integers(1, 4), st.lists(st.tuples(st.integers(-1, 3), st.booleans()), min_size=1, max_size=60))
def test_every_wanted_chunk_is_counted_once_and_where_it_is(workers: int, chunks: list[tuple[int, bool]]) -> None:
    owners = [owner if owner < workers else -1 for owner, _ in chunks]
    wanted = np.array([index for index, (_, want) in enumerate(chunks) if want], dtype=np.int64)
    held = [[np.flatnonzero(np.array(owners) == number)] for number in range(workers)]
    found = shares(held, wanted, len(chunks))
    assert sorted(np.concatenate(found).tolist()) == wanted.tolist()
    for number, share in enumerate(found):
        assert all(owners[index] in (number, -1) for index in share)
    strays = [sum(owners[index] == -1 for index in share) for share in found]
    assert max(strays) - min(strays) <= 1


def test_batches_hold_everything_in_order() -> None:
    indices = np.arange(10)
    assert [batch.tolist() for batch in batches(indices, 4)] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_an_ending_is_said_in_words() -> None:
    assert ended(-9) == "was ended by SIGKILL"
    assert ended(3) == "ended with exit code 3"
    assert ended(-77) == "was ended by signal 77"
