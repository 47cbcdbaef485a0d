"""Which verdicts are said when, and when they are taken back: one policy for whoever follows a tree. Pure but for time.

Hangs are said at once, and again when their culprits change; what is no hang only when it lasts. What is said no more
by the looks is withdrawn: a proof at once, the others when they stay away for a while.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from .events import VerdictReached, VerdictWithdrawn, verdict_event
from .model import Certainty, Verdict

# What is no hang is said when it lasts long and the subject says nothing; work in the database sooner, and although it
# counts progress.
DATABASE_WORK = frozenset({"slow-index-build", "db-lock-active-holder"})
LASTING_S, LONG_S = 3.0, 10.0
# A verdict that is not proven can be missing from a look without being wrong.
AWAY_S = 2.0


class Notices:
    """Remembers what was said of one tree. `tell` is called after every look."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since_s: dict[str, float] = {}
        self._said: dict[str, tuple[int, ...]] = {}
        self._last_s: dict[str, float] = {}
        self._proven: set[str] = set()

    def tell(self, verdicts: Sequence[Verdict], *, silent: bool) -> list[VerdictReached | VerdictWithdrawn]:
        """What is to be said now. `silent`: the tree has not said anything itself for a while, or never does."""
        now_s = self._clock()
        self._since_s = {verdict.slug: self._since_s.get(verdict.slug, now_s) for verdict in verdicts}
        self._last_s.update((verdict.slug, now_s) for verdict in verdicts)
        news: list[VerdictReached | VerdictWithdrawn] = [*self._withdrawn(now_s)]
        for verdict in verdicts:
            told = tuple(culprit.pid for culprit in verdict.culprits) if _is_hang(verdict) else ()
            if self._is_due(verdict, now_s, silent=silent) and self._said.get(verdict.slug) != told:
                self._said[verdict.slug] = told
                self._note_certainty(verdict)
                news.append(verdict_event(verdict))
        return news

    def forget(self) -> None:
        """All that was said has been taken back."""
        self._since_s, self._said, self._last_s, self._proven = {}, {}, {}, set()

    def _is_due(self, verdict: Verdict, now_s: float, *, silent: bool) -> bool:
        if verdict.certainty is Certainty.UNDECIDED:
            return False
        if _is_hang(verdict):
            return True
        in_database = verdict.slug in DATABASE_WORK
        lasts_s = now_s - self._since_s[verdict.slug]
        return lasts_s >= (LASTING_S if in_database else LONG_S) and (in_database or silent)

    def _note_certainty(self, verdict: Verdict) -> None:
        self._proven.discard(verdict.slug)
        if verdict.certainty is Certainty.PROVEN:
            self._proven.add(verdict.slug)

    def _withdrawn(self, now_s: float) -> list[VerdictWithdrawn]:
        gone = [
            slug
            for slug in self._said
            if slug not in self._since_s and (slug in self._proven or now_s - self._last_s[slug] >= AWAY_S)
        ]
        for slug in gone:
            del self._said[slug], self._last_s[slug]
        return [VerdictWithdrawn(slug=slug) for slug in gone]


def _is_hang(verdict: Verdict) -> bool:
    return verdict.certainty not in (Certainty.NOT_HUNG, Certainty.UNDECIDED)
