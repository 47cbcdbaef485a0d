"""Which verdicts are said when, and when they are taken back: one policy for whoever follows a tree. Pure but for time.

Hangs are said at once, and again when their culprits change; what is no hang only when it lasts. What is said no more
by the looks is withdrawn: a proof at once, the others when they stay away for a while.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from .diagnose.judge import is_hang
from .events import VerdictReached, VerdictWithdrawn, verdict_event
from .model import Certainty, Verdict

# What is no hang is said when it lasts long and the subject says nothing; work in the database sooner, and although it
# counts progress.
DATABASE_WORK = frozenset({"slow-index-build", "db-lock-active-holder"})
LASTING_S, LONG_S = 3.0, 10.0
# A verdict that is not proven can be missing from a look without being wrong: something stirred that does not matter,
# as a server process that has to answer its postmaster. One such look makes two judgements without it, as two have to
# agree.
AWAY_S, AWAY_JUDGEMENTS = 2.0, 3


class Notices:
    """Remembers what was said of one tree. `tell` is called after every look."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since_s: dict[str, float] = {}
        self._said: dict[str, tuple[int, ...]] = {}
        self._last_s: dict[str, float] = {}
        self._proven: set[str] = set()
        self._doubtful: set[str] = set()
        self._judged: object = None
        self._missed: dict[str, int] = {}

    @property
    def stands(self) -> bool:
        """Whether a hang was said that is not proven, and has not been taken back."""
        return any(slug in self._doubtful for slug in self._said)

    def tell(
        self, verdicts: Sequence[Verdict], *, silent: bool, judged: object
    ) -> list[VerdictReached | VerdictWithdrawn]:
        """What is to be said now. `silent`: the tree has not said anything itself for a while, or never does.

        `judged` is what the verdicts come from: another object, another judgement.
        """
        now_s = self._clock()
        self._since_s = {verdict.slug: self._since_s.get(verdict.slug, now_s) for verdict in verdicts}
        self._last_s.update((verdict.slug, now_s) for verdict in verdicts)
        self._count_missed(judged)
        news: list[VerdictReached | VerdictWithdrawn] = [*self._withdrawn(now_s)]
        for verdict in verdicts:
            told = tuple(culprit.pid for culprit in verdict.culprits) if is_hang(verdict) else ()
            if self._is_due(verdict, now_s, silent=silent) and self._said.get(verdict.slug) != told:
                self._said[verdict.slug] = told
                self._note_certainty(verdict)
                news.append(verdict_event(verdict))
        return news

    def forget(self) -> None:
        """All that was said has been taken back."""
        self._since_s, self._said, self._last_s, self._missed = {}, {}, {}, {}
        self._proven, self._doubtful, self._judged = set(), set(), None

    def _is_due(self, verdict: Verdict, now_s: float, *, silent: bool) -> bool:
        if verdict.certainty is Certainty.UNDECIDED:
            return False
        if is_hang(verdict):
            return True
        in_database = verdict.slug in DATABASE_WORK
        lasts_s = now_s - self._since_s[verdict.slug]
        return lasts_s >= (LASTING_S if in_database else LONG_S) and (in_database or silent)

    def _note_certainty(self, verdict: Verdict) -> None:
        self._proven.discard(verdict.slug)
        self._doubtful.discard(verdict.slug)
        if verdict.certainty is Certainty.PROVEN:
            self._proven.add(verdict.slug)
        elif is_hang(verdict):
            self._doubtful.add(verdict.slug)

    def _count_missed(self, judged: object) -> None:
        """Counts the judgements in a row from which something that was said is missing."""
        newer, self._judged = judged is not self._judged, judged
        for slug in self._said:
            self._missed[slug] = 0 if slug in self._since_s else self._missed.get(slug, 0) + newer

    def _withdrawn(self, now_s: float) -> list[VerdictWithdrawn]:
        gone = [
            slug
            for slug in self._said
            if slug not in self._since_s and (slug in self._proven or self._is_away(slug, now_s))
        ]
        for slug in gone:
            del self._said[slug], self._last_s[slug]
            self._doubtful.discard(slug)
        return [VerdictWithdrawn(slug=slug) for slug in gone]

    def _is_away(self, slug: str, now_s: float) -> bool:
        return self._missed.get(slug, 0) >= AWAY_JUDGEMENTS and now_s - self._last_s[slug] >= AWAY_S
