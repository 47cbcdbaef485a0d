"""The named classes of hangs, one file each: evidence in, a verdict or None out. Pure.

To add one: write a module with the members of `Rule`, and name it in RULES, before `deadlock`.
"""

from __future__ import annotations

from typing import Protocol

from ...model import Remedy, Verdict
from ..evidence import Evidence
from . import deadlock, lock_held_across_fork, rayon_fork_deadlock


class Rule(Protocol):
    """What the module of a rule has."""

    @property
    def SLUG(self) -> str: ...
    @property
    def TITLE(self) -> str: ...
    @property
    def EXPLANATION(self) -> str: ...
    @property
    def CONDITIONS(self) -> tuple[str, ...]: ...
    @property
    def FIXES(self) -> tuple[Remedy, ...]: ...
    @property
    def DISPROOF(self) -> str: ...
    @property
    def LINKS(self) -> tuple[str, ...]: ...

    def match(self, evidence: Evidence) -> Verdict | None:
        """A verdict when the evidence shows this class."""


# The first that matches names the hang; `deadlock` takes what the others leave.
RULES: tuple[Rule, ...] = (rayon_fork_deadlock, lock_held_across_fork, deadlock)


def judge(evidence: Evidence) -> Verdict:
    """The verdict on one process that is proven dead."""
    named = (rule.match(evidence) for rule in RULES)
    return next(verdict for verdict in named if verdict is not None)
