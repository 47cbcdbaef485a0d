"""From a case to its verdicts: every rule is asked, and what one cause explains is said once. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ..model import HANGS, Certainty, Verdict
from . import idlers, named
from .case import Case
from .merge import merge
from .rules import RULES, Rule, deadlock

_ORDER = tuple(Certainty)


def is_hang(verdict: Verdict) -> bool:
    """Whether a verdict says that something hangs."""
    return verdict.certainty in HANGS


def judge(case: Case) -> tuple[Verdict, ...]:
    """The verdicts on a case, the most certain first; none only when the tree is gone.

    Where something hangs only that is said; where something shows that nothing hangs, nothing undecided is.
    """
    verdicts = _asked(case, RULES)
    hangs = [verdict for verdict in verdicts if is_hang(verdict)]
    if not hangs and case.idle:
        circles = {slug: rule for slug, rule in RULES.items() if rule.CARD.beside_idlers}
        hangs = [idlers.weakened(case, v) for v in _asked(idlers.without(case), circles) if is_hang(v)]
    if not hangs and (handled := idlers.requests(case)):
        circles = {slug: rule for slug, rule in RULES.items() if rule.CARD.beside_handlers}
        aside = _asked(idlers.without(case, frozenset().union(*handled.values())), circles)
        hangs = [idlers.unasked(case, idlers.weakened(case, v), handled) for v in aside if is_hang(v)]
    if not hangs and (aside_named := named.without(case)) is not None:
        circles = {slug: rule for slug, rule in RULES.items() if rule.CARD.beside_idlers or rule is deadlock}
        hangs = [named.weakened(case, v) for v in _asked(aside_named, circles) if is_hang(v)]
    healthy = [verdict for verdict in verdicts if verdict.certainty is Certainty.NOT_HUNG]
    return tuple(sorted(hangs or healthy or verdicts, key=lambda verdict: _ORDER.index(verdict.certainty)))


def _asked(case: Case, rules: Mapping[str, Rule]) -> list[Verdict]:
    found = _without_unnamed([verdict for rule in rules.values() for verdict in rule.match(case)])
    return _without_weaker(merge(found))


def _without_unnamed(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Leaves out the deadlocks of processes for which another rule has a name."""
    slug = deadlock.CARD.slug
    named = {culprit.pid for v in verdicts if v.slug != slug and is_hang(v) for culprit in v.culprits}
    return [v for v in verdicts if v.slug != slug or named.isdisjoint(culprit.pid for culprit in v.culprits)]


def _without_weaker(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """Leaves out the verdicts that yield to another one that is there."""
    everything = list(verdicts)
    slugs = {verdict.slug for verdict in everything}
    return [verdict for verdict in everything if slugs.isdisjoint(RULES[verdict.slug].CARD.yields_to)]
