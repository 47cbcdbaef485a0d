"""A native library in a forked child: it waits for threads of its own that the fork did not copy."""

from __future__ import annotations

from collections.abc import Iterator

from ...model import Certainty, Remedy, Verdict
from .. import facts, forks, remedies
from ..card import Card
from ..case import Case

CARD = Card(
    slug="native-pool-fork",
    title="A forked process waits for threads of a native library that the fork did not copy",
    certainty=Certainty.PROVEN,
    explanation=(
        "A library in C, C++ or Rust started threads in the parent: polars for its queries, gRPC for its connections,"
        " tokenizers for its async calls. fork() copied the library's memory, and with it the belief that these threads"
        " exist, or a lock that one of them held; of the threads it copied none. What the child hands over to them is"
        " never done. Seen from outside the child looks idle, and the parent waits for it. Such libraries have to be"
        " used for the first time after the fork, or in a process that was started anew."
    ),
    conditions=(
        "The process was forked, and none of its threads can ever run again; most often it has only one.",
        "Either a thread waits without a timeout on a private futex inside of a foreign library, none of whose own"
        " threads are there,",
        "or its event loop waits for itself alone, while the process inherited the event queue of a tokio runtime whose"
        " threads run in the process above.",
        "Likely: it has one thread, which polls inside of a gRPC call, while gRPC's threads run in the process above.",
    ),
    fixes=(
        remedies.SPAWN,
        Remedy(
            title="Use the library for the first time after the fork",
            cost="the parent has to leave it alone until then; clients and channels are made in each worker",
        ),
        Remedy(
            title="For gRPC: switch its support for forks on",
            cost="only while no thread is inside of a call at the fork; an inherited channel may still fail",
            command="export GRPC_ENABLE_FORK_SUPPORT=1",
        ),
    ),
    disproof=(
        "A context switch of the thread, or a new thread in its /proc/PID/task, would disprove it. With the start"
        " method spawn the same program completes."
    ),
    links=(
        "https://github.com/grpc/grpc/issues/13873",
        "https://github.com/grpc/grpc/issues/15334",
        "https://github.com/grpc/grpc/issues/18321",
        "https://github.com/grpc/grpc/issues/22624",
        "https://github.com/huggingface/tokenizers/pull/1843",
        "https://docs.pola.rs/user-guide/misc/multiprocessing/",
    ),
)


def match(case: Case) -> Iterator[Verdict]:
    """Proven of dead processes; likely of one that polls for gRPC's threads, because its wait has a timeout."""
    for wait in forks.waits(case):
        if forks.in_native_library(case, wait):
            yield forks.verdict(CARD, case, wait, more=_library(case, wait))
    for pid in case.processes:
        if forks.awaits_tokio(case, pid):
            yield _verdict(case, pid, forks.TOKIO, Certainty.PROVEN)
        elif forks.polls_for_grpc(case, pid):
            yield _verdict(case, pid, forks.GRPC, Certainty.LIKELY)


def _library(case: Case, wait: forks.ForkedWait) -> Iterator[str]:
    yield f"{case.who(wait.tid)}: waits inside of {wait.library}"


def _verdict(case: Case, pid: int, names: tuple[str, ...], certainty: Certainty) -> Verdict:
    above, threads = forks.threads_above(case, pid, names)
    return CARD.verdict(
        certainty=certainty,
        culprits=[case.culprit(pid)],
        evidence=(
            f"{case.who(pid)}: has 1 thread; /proc/PID/task lists no other",
            *facts.of_wait(case, pid),
            *(facts.of_stillness(case, pid) if case.is_dead(pid) else facts.of_cpu(case, pid)),
            *facts.of_stack(case, pid),
            f"PID {above}, above it, has {len(threads)} threads of the library: {', '.join(threads)}"
            f" (/proc/{above}/task/TID/comm)",
        ),
        first_aid=remedies.first_aid(case, pid),
    )
