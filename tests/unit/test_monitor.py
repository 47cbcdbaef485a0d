"""Which answers of a database are news, and when verdicts are said and taken back."""

from __future__ import annotations

import msgspec
from cvdebug.core.events import DatabaseSampled, VerdictReached, VerdictWithdrawn
from cvdebug.core.model import Certainty, Culprit, DatabaseSession, Progress, Verdict
from cvdebug.core.monitor import is_same, sample_of
from cvdebug.core.notices import AWAY_JUDGEMENTS, AWAY_S, Notices
from cvdebug.core.observe.activity import Activity


def session(since_s: float, *, state: str = "active", query: str = "COPY") -> DatabaseSession:
    return DatabaseSession(
        pid=1, user="u", database="d", application="a", state=state, wait="", since_s=since_s, query=query
    )


def said(*sessions: DatabaseSession, done: int = 0) -> DatabaseSampled:
    progress = Progress(pid=1, command="COPY", phase="", done=done, total=9, unit="bytes")
    return DatabaseSampled(sessions=sessions, progress=(progress,))


def test_time_that_passes_is_no_change() -> None:
    assert is_same(said(session(3.0)), said(session(5.0)), 2.0)
    assert not is_same(said(session(3.0)), said(session(0.1)), 2.0)
    assert not is_same(said(session(3.0)), said(session(5.0, state="idle")), 2.0)
    assert not is_same(said(session(3.0)), said(session(5.0), done=4), 2.0)
    assert not is_same(said(session(3.0)), said(), 2.0)
    assert not is_same(said(), DatabaseSampled(unknown="gone"), 1.0)


def test_secrets_in_queries_are_hidden() -> None:
    activity = Activity(sessions=(session(1.0, query="SET x = password=hunter2"),))
    assert "hunter2" not in sample_of(activity).sessions[0].query


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def verdict(certainty: Certainty, slug: str = "s", *pids: int) -> Verdict:
    return Verdict(
        slug=slug, title="t", certainty=certainty, culprits=tuple(Culprit(pid=pid, tid=pid) for pid in pids),
        evidence=(), explanation="", fixes=(), disproof="",
    )  # fmt: skip


def told(notices: Notices, *verdicts: Verdict) -> list[tuple[type, str]]:
    return [(type(event), event.slug) for event in notices.tell(verdicts, silent=True, judged=object())]


def test_a_proof_is_said_once_and_taken_back_at_once() -> None:
    notices = Notices(Clock())
    proven = verdict(Certainty.PROVEN, "s", 1)
    assert told(notices, proven) == [(VerdictReached, "s")]
    assert told(notices, proven) == []
    assert told(notices, verdict(Certainty.PROVEN, "s", 1, 2)) == [(VerdictReached, "s")]
    assert told(notices) == [(VerdictWithdrawn, "s")]
    assert told(notices) == []


def test_what_is_likely_may_be_away_for_a_while() -> None:
    clock = Clock()
    notices = Notices(clock)
    likely = verdict(Certainty.LIKELY)
    assert told(notices, likely) == [(VerdictReached, "s")]
    assert notices.stands
    for _ in range(AWAY_JUDGEMENTS - 1):
        clock.now_s += AWAY_S
        assert told(notices) == []
    assert told(notices, likely) == []
    for _ in range(AWAY_JUDGEMENTS - 1):
        assert told(notices) == []
    assert notices.stands
    assert told(notices) == []
    clock.now_s += AWAY_S
    assert told(notices) == [(VerdictWithdrawn, "s")]
    assert not notices.stands


def test_what_is_no_hang_is_said_when_it_lasts() -> None:
    clock = Clock()
    notices = Notices(clock)
    works = verdict(Certainty.NOT_HUNG)
    assert told(notices, works) == []
    clock.now_s = 11.0
    assert told(notices, works) == [(VerdictReached, "s")]
    assert told(notices, msgspec.structs.replace(works, slug="other")) == []
    assert told(notices, verdict(Certainty.UNDECIDED, "u")) == []
