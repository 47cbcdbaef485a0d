"""Which verdicts of a followed tree are said when."""

from __future__ import annotations

from cvdebug.core.diagnose.telling import CALM_S, News, Telling
from cvdebug.core.model import Certainty, Culprit, Verdict


def verdict(slug: str, certainty: Certainty, *pids: int) -> Verdict:
    culprits = tuple(Culprit(pid=pid, tid=pid) for pid in pids)
    return Verdict(
        slug=slug, title="", certainty=certainty, culprits=culprits, evidence=(), explanation="", fixes=(), disproof=""
    )


BUSY = (verdict("busy", Certainty.NOT_HUNG),)
WAITS = (verdict("waits", Certainty.NOT_HUNG),)
DEAD = (verdict("deadlock", Certainty.PROVEN, 1),)
UNKNOWN = (verdict("undecided", Certainty.UNDECIDED),)


def test_the_first_verdicts_are_said_at_once() -> None:
    telling = Telling()
    assert telling.undecided
    assert telling.hear((), 0.0) is None
    assert telling.hear(BUSY, 0.1) == News(verdicts=BUSY, first=True)
    assert telling.hear(BUSY, 0.2) is None
    assert (telling.hung, telling.undecided) == (False, False)
    assert Telling().hear(UNKNOWN, 0.0) == News(verdicts=UNKNOWN, first=True)


def test_what_is_no_hang_is_said_calmly_and_when_two_looks_agree() -> None:
    telling = Telling()
    telling.hear(BUSY, 0.0)
    assert telling.hear(WAITS, 1.0) is None
    assert telling.hear(WAITS, 1.1) is None
    assert telling.hear(BUSY, CALM_S) is None
    assert telling.hear(WAITS, CALM_S + 1) is None
    assert telling.hear(WAITS, CALM_S + 2) == News(verdicts=WAITS)


def test_a_hang_and_its_end_are_said_at_once() -> None:
    telling = Telling()
    telling.hear(BUSY, 0.0)
    said = telling.hear(DEAD, 0.1)
    assert said == News(verdicts=DEAD)
    assert said.hangs
    assert telling.hear(DEAD, 0.2) is None
    more = (verdict("deadlock", Certainty.PROVEN, 1, 2),)
    assert telling.hear(more, 0.3) == News(verdicts=more)
    assert telling.hear(BUSY, 0.4) is None
    assert telling.hear(BUSY, 0.5) == News(verdicts=BUSY, moves_again=True)
    assert telling.hung


def test_while_nothing_is_known_what_was_said_stands() -> None:
    """A debugger moves the dead, and the proof is made anew: nothing has moved by itself."""
    telling = Telling()
    telling.hear(DEAD, 0.0)
    for now_s in (0.1, 0.2, 0.3):
        assert telling.hear((), now_s) is None
    assert telling.hear(DEAD, 0.4) is None
    assert telling.hear((), 0.5) is None
    assert telling.hear(BUSY, 0.6) is None
    assert telling.hear(BUSY, 0.7) == News(verdicts=BUSY, moves_again=True)


def test_after_somebody_acted_everything_is_new() -> None:
    telling = Telling()
    telling.hear(DEAD, 0.0)
    telling.forget()
    assert telling.hear(DEAD, 0.1) == News(verdicts=DEAD, first=True)
    assert telling.hung
