"""The named classes of hangs, and of programs that only look hung: one file each, a case in, verdicts out. Pure.

To add one: write a module with the members of `Rule` into this folder. It is found by being there.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable
from typing import Protocol, cast

from ...model import Verdict
from ..card import Card
from ..case import Case


class Rule(Protocol):
    """What the module of a rule has."""

    @property
    def CARD(self) -> Card: ...

    def match(self, case: Case) -> Iterable[Verdict]:
        """A verdict for each thing in the case that is of this class; none when the evidence does not show it."""


def _found() -> dict[str, Rule]:
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    modules = [cast("Rule", importlib.import_module(f"{__name__}.{name}")) for name in names]
    return {module.CARD.slug: module for module in modules}


RULES: dict[str, Rule] = _found()
