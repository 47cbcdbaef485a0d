"""Which of the verdicts of a followed tree are worth saying: a hang, and its end, at once; the rest calmly. Pure.

A tree is looked at several times a second, and a busy program is in many places: only what has changed is said.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from ..model import Certainty, Verdict
from .judge import is_hang

# What is no hang is said again, when it changed, at most this often.
CALM_S = 5.0


class News(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be said now. `first`: nothing was before. `moves_again`: a hang was said, and is over."""

    verdicts: tuple[Verdict, ...]
    first: bool = False
    moves_again: bool = False

    @property
    def hangs(self) -> bool:
        """Whether something hangs."""
        return any(map(is_hang, self.verdicts))


class Telling:
    """Hears the verdicts of each look, and says what of them is new. `hung`: a hang was among them, at some time."""

    def __init__(self) -> None:
        self.hung = False
        self._said: tuple[Verdict, ...] | None = None
        self._before: tuple[Verdict, ...] = ()
        self._said_s = 0.0

    @property
    def undecided(self) -> bool:
        """Whether nothing is known of the tree, as of the last look."""
        return all(verdict.certainty is Certainty.UNDECIDED for verdict in self._before)

    def hear(self, verdicts: tuple[Verdict, ...], now_s: float) -> News | None:
        """What is new with these verdicts, at a time in seconds that only grows; None when nothing is.

        What is no hang is said when two looks agree on it, and then not too often. While nothing is known, as after
        a debugger has moved the dead, what was said before stands.
        """
        before, self._before = self._before, verdicts
        hangs = any(map(is_hang, verdicts))
        self.hung = self.hung or hangs
        if not verdicts:
            return None
        if self._said is None:
            return self._tell(News(verdicts=verdicts, first=True), now_s)
        if names(verdicts) == names(self._said):
            return None
        hung = any(map(is_hang, self._said))
        settled = names(verdicts) == names(before) and (hung or now_s - self._said_s >= CALM_S)
        if hangs or settled:
            return self._tell(News(verdicts=verdicts, moves_again=hung and not hangs), now_s)
        return None

    def forget(self) -> None:
        """Somebody has acted on the tree: what was said of it holds no more."""
        self._said, self._before = None, ()

    def _tell(self, news: News, now_s: float) -> News:
        self._said, self._said_s = news.verdicts, now_s
        return news


def names(verdicts: Iterable[Verdict]) -> frozenset[tuple[object, ...]]:
    """What makes verdicts different from those before: the cause, how sure it is, and whom a hang is about."""
    return frozenset(
        (v.slug, v.certainty, frozenset(culprit.pid for culprit in v.culprits) if is_hang(v) else ()) for v in verdicts
    )
