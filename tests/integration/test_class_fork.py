"""Forked children that wait for threads which the fork did not copy: each must be proven, and called by its name."""

from __future__ import annotations

import pytest
from cvdebug.core.diagnose.investigate import investigate
from cvdebug.core.model import Certainty

from tests.classes import judged
from tests.programs import running, until

pytestmark = pytest.mark.skipif("sys.platform != 'linux'", reason="waits are read from /proc")

PROVEN, LIKELY = Certainty.PROVEN, Certainty.LIKELY


def variants(first: str, *others: str) -> list[object]:
    """The arguments of a program: the first variant runs always, the others where time is no matter."""
    return [first, *(pytest.param(other, marks=pytest.mark.slow) for other in others)]


def names(slug: str, arguments: str, certainty: Certainty = PROVEN) -> None:
    program, *rest = arguments.split()
    with running(f"{program}.py", *rest) as started:
        verdict = judged(started, slug, certainty)
        assert {culprit.pid for culprit in verdict.culprits} <= set(started.workers)
        assert all(fix.title and fix.cost for fix in verdict.fixes)


@pytest.mark.parametrize(
    "arguments",
    variants(
        "rayon_fork pool true 2",
        "rayon_fork process garbage 2",
        "rayon_fork fork 1",
        "rayon_fork pool true 3 1",
    ),
)
def test_rayon(arguments: str) -> None:
    names("rayon-fork-deadlock", arguments)


@pytest.mark.parametrize(
    "arguments",
    variants(
        "lock_fork process held",
        "lock_fork fork ended",
        "fork_locks rlock process",
        "fork_locks import fork",
        "fork_locks lock pool",
    ),
)
def test_a_held_lock(arguments: str) -> None:
    names("lock-held-across-fork", arguments)


@pytest.mark.parametrize(
    "arguments",
    variants(
        "fork_locks queue process",
        "fork_locks queue pool",
        "fork_locks handler fork",
        "fork_locks handler process",
        "fork_locks file fork",
    ),
)
def test_logging(arguments: str) -> None:
    names("logging-lock-fork", arguments)


@pytest.mark.parametrize(
    "arguments",
    variants(
        "fork_native tokio fork",
        "fork_native tokio process 2 thread",
        "fork_native tokio pool 2",
        "fork_native tokio fork 1 nested",
        "fork_native polars fork 2",
        "fork_native polars process 1 thread",
        "fork_native polars pool 2",
    ),
)
def test_a_native_pool(arguments: str) -> None:
    names("native-pool-fork", arguments)


@pytest.mark.parametrize("arguments", variants("fork_native grpc fork", "fork_native grpc process 2 thread"))
def test_grpc_polls_and_so_is_only_likely(arguments: str) -> None:
    names("native-pool-fork", arguments, LIKELY)


@pytest.mark.parametrize(
    "arguments",
    variants(
        "fork_native openmp fork",
        "fork_native openmp process 2 thread",
        "fork_native openmp pool 2",
        "fork_native forest fork 1 nested",
    ),
)
def test_openmp(arguments: str) -> None:
    names("openmp-fork-deadlock", arguments)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "slug"),
    [
        ("fork_locks lock process helper", "lock-held-across-fork"),
        ("fork_locks queue fork helper", "logging-lock-fork"),
    ],
)
def test_beside_a_helper_that_only_sleeps_it_is_likely(arguments: str, slug: str) -> None:
    names(slug, arguments, LIKELY)


def test_each_cause_in_a_tree_is_named() -> None:
    with running("fork_locks.py", "both", "fork") as program:
        logs, locks = program.workers
        verdicts = until(lambda: found if len(found := investigate(program.pid).verdicts) > 1 else ())
        culprits = {verdict.slug: [culprit.pid for culprit in verdict.culprits] for verdict in verdicts}
        assert culprits == {"logging-lock-fork": [logs], "lock-held-across-fork": [locks]}
