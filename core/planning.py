"""Which fixes a hung attempt can have, as plans with what was measured of their price. It plans and does nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import msgspec

from . import fix
from .attempt import Attempt
from .events import FixPlanned, FixRefused
from .model import Strategy
from .pipeline.spec import SubjectSpec
from .pricing import Pricing
from .spool import Spool

NO_HANG = "nothing hangs, so there is nothing to fix"


class Terms(NamedTuple):
    """On what a fix depends: whether a worker still owes a result, and whether other people's sessions may be ended."""

    result_pending: bool
    consent: bool


class Planner:
    """Plans for one run. Its numbers come from the spool, its prices from short samples."""

    def __init__(self, spool: Spool, wake: Callable[[], None]) -> None:
        """`wake` is called, in another thread, when there is a price to `take`."""
        self._spool = spool
        self.pricing = Pricing(wake)

    def refusal(
        self, strategy: Strategy, attempt: Attempt, terms: Terms, *, proposed: bool = False
    ) -> FixRefused | None:
        """Why this fix cannot be had now; None when it can."""
        blockers = attempt.blockers
        reason = NO_HANG
        if attempt.stuck:
            pending, consent = terms
            reason = fix.refusal(
                strategy, result_pending=pending, dead=attempt.dead, blockers=blockers, consent=consent
            )
        if not reason:
            return None
        asks = strategy is Strategy.UNBLOCK and attempt.stuck and bool(blockers)
        return FixRefused(strategy=strategy, reason=reason, proposed=proposed, needs_consent=asks)

    def plan(self, strategy: Strategy, attempt: Attempt) -> FixPlanned:
        """The plan, with its price where that was measured."""
        spool = Spool.open(self._spool.path)
        embedded, counted = spool.progress()
        if strategy is Strategy.UNBLOCK:
            return fix.unblock_plan(attempt.blockers, chunks=spool.manifest.chunks, embedded=embedded)
        price = self.pricing.known.get(strategy)
        return fix.plan(
            strategy,
            dead=attempt.dead,
            tree=attempt.tree,
            chunks=spool.manifest.chunks,
            embedded=embedded,
            counted=counted,
            prices=[price] if price else [],
            fault=spool.manifest.settings.fault,
        )

    def proposals(self, attempt: Attempt, terms: Terms) -> Iterator[FixPlanned | FixRefused]:
        """Every plan that makes sense now. One that needs consent comes with the refusal that says what for."""
        if not attempt.stuck:
            yield FixRefused(strategy=fix.DEFAULT, reason=NO_HANG, proposed=True)
            return
        for strategy in [Strategy.UNBLOCK] if attempt.blockers else fix.FOR_WORKERS:
            refused = self.refusal(strategy, attempt, terms, proposed=True)
            if refused is None or refused.needs_consent:
                yield msgspec.structs.replace(self.plan(strategy, attempt), proposed=True)
            if refused is not None:
                yield refused

    def measure(self, spec: SubjectSpec) -> None:
        """Begins to measure the price of `spec.strategy`, unless it is known."""
        assert spec.strategy is not None
        known = self.pricing.known.get(spec.strategy)
        if spec.strategy is not Strategy.UNBLOCK and (known is None or known.chunks_per_s is None):
            self.pricing.measure(spec)

    def measured(self, attempt: Attempt, terms: Terms) -> FixPlanned | None:
        """The plan whose price has been measured since the last call, if it still can be had."""
        price = self.pricing.take()
        if price is None or self.refusal(price.strategy, attempt, terms) is not None:
            return None
        return msgspec.structs.replace(self.plan(price.strategy, attempt), proposed=True)
