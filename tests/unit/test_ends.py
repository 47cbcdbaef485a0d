"""How runs end: the outcome and the exit code of each way."""

from __future__ import annotations

import signal

import pytest
from cvdebug.core import ends
from cvdebug.core.errors import DatabaseError, UsageError
from cvdebug.core.events import Failed
from cvdebug.core.model import Certainty


@pytest.mark.parametrize(
    ("end", "outcome", "code", "word"),
    [
        (ends.by_subject(0, None), "completed", 0, ""),
        (ends.by_subject(1, Failed(phase=None, what="no room", hint="")), "failed", 1, "no room"),
        (ends.by_subject(1, None), "failed", 1, "the subject was ended with code 1"),
        (ends.by_subject(128 + 9, None), "failed", 1, "the subject was ended by SIGKILL"),
        (ends.by_subject(-9, None), "failed", 1, "the guardian was ended by SIGKILL"),
        (ends.by_error(DatabaseError("gone")), "failed", 1, "gone"),
        (ends.by_error(UsageError("what?")), "failed", 2, "what?"),
        (
            ends.by_error(OSError(28, "No space left on device", "/spool")),
            "failed",
            1,
            "No space left on device (/spool)",
        ),
        (ends.by_person(signal.SIGINT, held=True), "hang", 3, "held"),
        (ends.by_person(signal.SIGTERM, held=True), "interrupted", 143, "SIGTERM"),
        (ends.by_person(signal.SIGINT, held=False), "interrupted", 130, "SIGINT"),
        (ends.by_hang(Certainty.PROVEN), "hang", 3, "nothing can wake it"),
        (ends.by_hang(Certainty.CERTAIN), "hang", 3, "admit nothing else"),
        (ends.by_hang(Certainty.LIKELY), "hang", 3, "not proven"),
        (ends.by_time_limit(5, [7, 8]), "hang", 3, "PID 7, 8 can never go on"),
        (ends.by_time_limit(0.5, []), "timeout", 4, "0.5 s"),
    ],
)
def test_each_way_has_its_outcome_code_and_sentence(end: ends.End, outcome: str, code: int, word: str) -> None:
    assert (end.outcome, end.exit_code) == (outcome, code)
    assert word in end.what


def test_a_full_disk_has_its_advice() -> None:
    assert "Free some space" in ends.by_error(OSError(28, "No space left on device")).hint
    assert ends.by_error(OSError(13, "Permission denied")).hint == ""
