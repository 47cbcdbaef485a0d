"""Numbers in words."""

from __future__ import annotations

import pytest
from cvdebug.tui.text import counted


@pytest.mark.parametrize(
    ("number", "what", "words"),
    [
        (1, "process", "1 process"),
        (0, "thread", "0 threads"),
        (2, "process", "2 processes"),
        (1000, "row", "1,000 rows"),
    ],
)
def test_a_count_with_its_noun(number: int, what: str, words: str) -> None:
    assert counted(number, what) == words
