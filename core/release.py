"""The one fix for somebody else's tree: to end only what is proven dead, so that the others may go on. It plans only.

Who has started a tree knows how to start it anew; here only those processes are given up that can never go on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .errors import sentences
from .events import FixPlanned, VerdictReached
from .model import Certainty, Strategy, Verdict

_NAMED = 8


def releasable(root: int, dead: Iterable[int], verdicts: Iterable[Verdict | VerdictReached]) -> tuple[int, ...]:
    """The processes, dead as a whole, that a proof names as the cause, without the root."""
    proven = (verdict for verdict in verdicts if verdict.certainty == Certainty.PROVEN)
    named = dict.fromkeys(culprit.pid for verdict in proven for culprit in verdict.culprits)
    whole = frozenset(dead)
    return tuple(pid for pid in named if pid in whole and pid != root)


def plan(ends: Sequence[int], root: int, *, proposed: bool) -> FixPlanned:
    """The plan: what ends, what that costs, and what may come of it."""
    shown = ", ".join(map(str, ends[:_NAMED])) + (f" and {len(ends) - _NAMED} more" if len(ends) > _NAMED else "")
    return FixPlanned(
        strategy=Strategy.RELEASE,
        ends=tuple(ends),
        kept=0,
        to_embed=0,
        to_count=0,
        steps=(
            f"End the proven-dead {'process' if len(ends) == 1 else 'processes'} with SIGKILL: PID {shown}",
            "It costs the work that they have in hand, which they could never have finished, and nothing else",
            "Whoever waits for them gets the news: SIGCHLD, the end of a pipe, a closed connection",
            f"What becomes of process {root} is its own affair: it may go on without them, start others, or fail",
        ),
        prices=(),
        proposed=proposed,
    )


def refusal(strategy: Strategy, root: int, dead: Sequence[int], verdicts: Sequence[Verdict]) -> str:
    """Why this tree cannot be fixed that way; empty when it can."""
    if strategy is not Strategy.RELEASE:
        return "cvdebug did not start this program, and cannot start it anew"
    if releasable(root, dead, verdicts):
        return ""
    proven = [verdict for verdict in verdicts if verdict.certainty is Certainty.PROVEN]
    if not proven:
        return "no process is proven dead, and what may still go on is not ended"
    if root in dead:
        return sentences(
            f"only process {root} itself is to blame, and to end the root is to end the program",
            "k sends it a signal; start it again when the cause is mended",
        ).removesuffix(".")
    return "the threads that are dead belong to processes that live on in others: ending them would end those too"
