"""What a fix is: which processes end, what is kept, what is done anew, at which price. It plans and does nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from .events import FixPlanned, Price
from .model import Strategy
from .settings import Fault, Settings

DEFAULT = Strategy.SERIAL
# For a hang that no database session is to blame for.
FOR_WORKERS = tuple(strategy for strategy in Strategy if strategy is not Strategy.UNBLOCK)


def settings_for(strategy: Strategy, settings: Settings) -> Settings:
    """The settings of the subject that `strategy` starts (`release` and `unblock` start none: unchanged)."""
    if strategy is Strategy.SERIAL:
        return msgspec.structs.replace(settings, parallelism="off")
    if strategy in (Strategy.RELEASE, Strategy.UNBLOCK):
        return settings
    return msgspec.structs.replace(settings, start_method=strategy.value)


class Blocker(NamedTuple):
    """A database session that holds the lock: the server's number for it, its application name, and all in words."""

    pid: int
    application: str
    words: str


def refusal(
    strategy: Strategy,
    *,
    result_pending: bool,
    dead: Sequence[int],
    blockers: Sequence[Blocker] = (),
    consent: bool = False,
) -> str:
    """Why this fix cannot be had here; empty when it can.

    `dead` are the workers that are proven dead, `consent` says that other people's sessions may be ended.
    """
    if strategy is Strategy.UNBLOCK and not blockers:
        return "no database session is known whose end would let the subject go on"
    if strategy is Strategy.UNBLOCK and not consent:
        names = ", ".join(_session(blocker) for blocker in blockers)
        return f"it would end {names}, which is not this run's own and loses its transaction: add --yes to allow that"
    if strategy is not Strategy.UNBLOCK and blockers:
        return "the run waits for a database session, and would wait for it again: unblock is the fix"
    if strategy is Strategy.RELEASE and not dead:
        return "no worker is proven dead, so there is none whose end would let the subject go on"
    if strategy is Strategy.RELEASE and result_pending:
        return (
            "the workers still owe vectors: ending them alone would lose the work in their hands, "
            "and the subject would not go on"
        )
    return ""


def _session(blocker: Blocker) -> str:
    name = f" ({blocker.application})" if blocker.application else ""
    return f"database session {blocker.pid}{name}"


def unblock_plan(blockers: Sequence[Blocker], *, chunks: int, embedded: int) -> FixPlanned:
    """The plan of `unblock`. Numbers as in `plan`."""
    return FixPlanned(
        strategy=Strategy.UNBLOCK,
        ends=(),
        kept=embedded,
        to_embed=0,
        to_count=0,
        steps=(
            *(f"End {_session(blocker)}; its transaction is rolled back: {blocker.words}" for blocker in blockers),
            f"Keep {embedded:,} of {chunks:,} vectors",
            "The subject, which waits for the lock, goes on by itself: store, index and verify",
        ),
        prices=(),
    )


def plan(
    strategy: Strategy,
    *,
    dead: Sequence[int],
    tree: Sequence[int],
    chunks: int,
    embedded: int,
    counted: int,
    prices: Sequence[Price],
    fault: Fault = "none",
) -> FixPlanned:
    """The plan of a fix, from what the spool holds and what is proven dead.

    `chunks`, `embedded` and `counted` are numbers of chunks; `tree` is every process of the run; `fault` is the
    scenario's.
    """
    released = strategy is Strategy.RELEASE
    ends = tuple(dead) if released else tuple(tree)
    return FixPlanned(
        strategy=strategy,
        ends=ends,
        kept=embedded,
        to_embed=chunks - embedded,
        to_count=chunks - counted,
        steps=tuple(_steps(strategy, ends, chunks, embedded, counted, fault)),
        prices=tuple(prices),
    )


def _steps(
    strategy: Strategy, ends: Sequence[int], chunks: int, embedded: int, counted: int, fault: Fault
) -> list[str]:
    what = "the proven-dead workers" if strategy is Strategy.RELEASE else "the whole hung tree"
    steps = [f"End {what}: PID {', '.join(map(str, ends))}", f"Keep {embedded:,} of {chunks:,} vectors"]
    if strategy is not Strategy.RELEASE:
        means = "; ".join(filter(None, (_AVOIDS.get(fault, ""), _MEANS[strategy])))
        steps.append(f"Start a new subject on the same spool: {means}")
    if chunks > embedded:
        steps.append(f"Embed the remaining {chunks - embedded:,}")
    who = "in the subject, which holds its own thread pool" if strategy is Strategy.RELEASE else "in new workers"
    steps.append(f"Clean up anew: count the tokens of {chunks - counted:,} chunks {who}")
    steps.append("Convert, store, index and verify")
    return steps


_MEANS = {
    Strategy.SERIAL: "TOKENIZERS_PARALLELISM=false, so no batch call waits for pool threads",
    Strategy.SPAWN: "workers are new interpreters with thread pools of their own",
    Strategy.FORKSERVER: "workers are forked from a clean server process that never tokenized",
    Strategy.THREAD: "workers are threads of the subject, where the pool's threads live",
}
# How a new subject gets to its end where a scenario's fault, and not the toggle, made the old one hang.
_AVOIDS: dict[Fault, str] = {
    "kill-worker": "no worker is killed in it",
    "log-lock": "nothing is being logged when it forks",
    "queue-join": "it reads what its workers say before it joins them",
    "shared-connection": "its workers inherit no connection",
}
