"""Draws verdicts on several threads or processes together where they name the same cause. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import zip_longest

import msgspec

from ..model import Culprit, Remedy, Verdict
from .case import who
from .remedies import RELEASE_TITLE, release

_NAMED = 8


def merge(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """One verdict for each slug, in the order in which they come: culprits united, equal facts told once."""
    groups: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        groups.setdefault(verdict.slug, []).append(verdict)
    return [_united(group) for group in groups.values()]


def _united(group: Sequence[Verdict]) -> Verdict:
    if len(group) == 1 and len(group[0].culprits) < 2:
        return group[0]
    culprits = tuple(dict.fromkeys(culprit for verdict in group for culprit in verdict.culprits))
    return msgspec.structs.replace(
        group[0], culprits=culprits, evidence=_facts(group, culprits), fixes=_fixes(group, culprits)
    )


def _facts(group: Sequence[Verdict], culprits: Sequence[Culprit]) -> tuple[str, ...]:
    """A fact that holds of several is told once, behind their names; facts of no process in particular once.

    The processes' lines are taken in turn, so that facts of one kind stand together.
    """
    holders: dict[str, list[str]] = {}
    known = frozenset(map(who, culprits))
    lines = (line for row in zip_longest(*(verdict.evidence for verdict in group)) for line in row if line)
    for line in dict.fromkeys(lines):
        name, fact = _split(line, known)
        holders.setdefault(fact, []).extend([name] if name else [])
    return tuple(f"{_names(names, culprits)}: {fact}" if names else fact for fact, names in holders.items())


def _names(names: Sequence[str], culprits: Sequence[Culprit]) -> str:
    if len(names) == len(culprits) > 1:
        return "each of them"
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _split(line: str, known: frozenset[str]) -> tuple[str, str]:
    name, _, fact = line.partition(": ")
    return (name, fact) if name in known else ("", line)


def _fixes(group: Sequence[Verdict], culprits: Sequence[Culprit]) -> tuple[Remedy, ...]:
    """Ending the workers is offered when it is offered for all of them, and then with all their PIDs."""
    others = dict.fromkeys(fix for verdict in group for fix in verdict.fixes if fix.title != RELEASE_TITLE)
    released = all(any(fix.title == RELEASE_TITLE for fix in verdict.fixes) for verdict in group)
    return (*((release({culprit.pid for culprit in culprits}),) if released else ()), *others)
