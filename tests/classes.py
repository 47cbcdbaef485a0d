"""Judging the small programs of tests/programs: what a hang must be called, and what a healthy one must not be."""

from __future__ import annotations

import time

from cvdebug.core.diagnose.investigate import Finding, Options, investigate
from cvdebug.core.diagnose.judge import is_hang
from cvdebug.core.model import Certainty, Verdict

from tests.programs import Program, until

# One variant of each class runs in `make test`; the others are marked slow.


def judged(program: Program, slug: str, certainty: Certainty, *, options: Options = Options()) -> Verdict:  # noqa: B008
    """The verdict of this slug, once a look gives it as its first and is that sure; a later look must say the same.

    `ready` is said before a program gets stuck, so that the first looks may say something else, but no other hang, and
    may be less sure, but never surer.
    """
    order = list(Certainty)  # the strongest first

    def look() -> Verdict | None:
        finding = investigate(program.pid, options)
        verdict = finding.verdicts[0]
        if any(culprit.pid in finding.case.no_stacks for culprit in verdict.culprits):
            return None  # on a busy machine py-spy may miss a moment; what it did not read cannot be named
        assert verdict.slug == slug or not is_hang(verdict), (verdict.slug, verdict.evidence)
        if verdict.slug != slug:
            return None
        assert order.index(verdict.certainty) >= order.index(certainty), (verdict.certainty, verdict.evidence)
        return verdict if verdict.certainty is certainty else None

    found, again = until(look, deadline_s=30), until(look, deadline_s=10)
    assert found is not None
    assert again is not None
    assert set(found.culprits) <= set(again.culprits)  # others may have come to the same place since
    return found


def never_a_hang(program: Program, slug: str, *, looks: int = 3, options: Options = Options()) -> Finding:  # noqa: B008
    """Looks until the program is recognised as `slug`, and some more: no look may say that it hangs."""
    seen = 0
    end_s = time.monotonic() + 30
    while True:
        finding = investigate(program.pid, options)
        assert finding.verdicts, "the program ended"
        assert not any(is_hang(verdict) for verdict in finding.verdicts), finding.verdicts
        seen += finding.verdicts[0].slug == slug
        if seen >= looks:
            return finding
        assert time.monotonic() < end_s, [verdict.slug for verdict in finding.verdicts]
