"""What a rule says about itself: the texts that every verdict of it carries, and that `cvdebug explain` shows. Pure."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from ..model import Certainty, Culprit, Remedy, Verdict


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """One class of hangs, or of programs that only look hung.

    `certainty` is the strongest that the rule gives. `conditions` are sentences that must all hold. `yields_to` are the
    slugs of rules that say more: where one of them matched as well, this one is left out. `beside_idlers` says that
    its evidence shows the circle itself, so that it is likely even where threads live that only sleep in a loop.
    `beside_handlers` says that nobody waits so for a signal, so that it is likely even where a handler could end it.
    """

    slug: str
    title: str
    certainty: Certainty
    explanation: str
    conditions: tuple[str, ...]
    fixes: tuple[Remedy, ...]
    disproof: str
    links: tuple[str, ...] = ()
    yields_to: tuple[str, ...] = ()
    beside_idlers: bool = False
    beside_handlers: bool = False

    def verdict(
        self,
        *,
        culprits: Iterable[Culprit],
        evidence: Iterable[str],
        certainty: Certainty | None = None,
        first_aid: Iterable[Remedy] = (),
    ) -> Verdict:
        """A verdict of this class. `first_aid` are fixes for the case at hand; they come before the general ones."""
        return Verdict(
            slug=self.slug,
            title=self.title,
            certainty=certainty or self.certainty,
            culprits=tuple(dict.fromkeys(culprits)),
            evidence=tuple(dict.fromkeys(evidence)),
            explanation=self.explanation,
            fixes=(*first_aid, *self.fixes),
            disproof=self.disproof,
            links=self.links,
        )
