"""Events as a run, a hang, and a tree that is followed would say them: for tests that need them by hand."""

from __future__ import annotations

from collections.abc import Iterator

from cvdebug.core import events as ev
from cvdebug.core.model import (
    Culprit,
    Edge,
    Frame,
    Graph,
    Node,
    NodeKind,
    Phase,
    Remedy,
    WaitKind,
)
from cvdebug.core.seen import ProcessSeen, StackSeen, ThreadSeen, Waking

from .stage import START

SUBJECT, WORKER_1, WORKER_2 = 4100, 4101, 4102
POOL_THREAD = 4105


def stamped(events: list[ev.Event], *, at: float = START, every_s: float = 0.1) -> list[ev.Event]:
    """The events with times and places, `every_s` apart."""
    return [ev.stamp(event, at=at + n * every_s, source="session", seq=n + 1) for n, event in enumerate(events)]


def beginning(parallelism: str = "on") -> Iterator[ev.Event]:
    """A run up to its two workers."""
    yield ev.RunStarted(
        run="20260101-120000-abcd", scenario="cv-pipeline", title="The whole pipeline", resumed=False,
        settings={"parallelism": parallelism, "workers": 2}, origins={}, spool="/tmp/spool",
        versions={"python": "3.11.7", "tokenizers": "0.22.2"},
    )  # fmt: skip
    yield ev.SubjectStarted(pid=SUBJECT, start_method="fork", workers=2, parallelism=parallelism)
    yield ev.PhaseStarted(phase=Phase.LOAD, total=400, unit="CVs")
    yield ev.PhaseFinished(phase=Phase.LOAD, done=400, total=400)
    yield ev.PhaseStarted(phase=Phase.TOKENIZE, total=400, unit="CVs")
    yield ev.PhaseFinished(phase=Phase.TOKENIZE, done=400, total=400)
    yield ev.PhaseStarted(phase=Phase.EMBED, total=1013, unit="chunks")
    for number, pid in ((1, WORKER_1), (2, WORKER_2)):
        yield ev.WorkerStarted(role=f"worker {number}", pid=pid)


def tree(*, dead: bool) -> ev.TreeSampled:
    """The subject with a pool thread, and two workers of one thread each."""
    command = ("python", "-m", "cvdebug.core.pipeline.subject")
    processes = [
        ProcessSeen(pid=SUBJECT, ppid=4000, start_ticks=1, role="subject", command=command, state="S", cpu=0.02,
                    rss_bytes=61_000_000),
        *(
            ProcessSeen(pid=pid, ppid=SUBJECT, start_ticks=2, role=f"worker {number}", command=command, dead=dead,
                        state="S" if dead else "R", cpu=0.0 if dead else 0.97, rss_bytes=45_000_000, forked=True)
            for number, pid in ((1, WORKER_1), (2, WORKER_2))
        ),
    ]  # fmt: skip
    threads = [
        ThreadSeen(pid=SUBJECT, tid=SUBJECT, name="MainThread", state="S", status="dead" if dead else "waits",
                   wait=f"waits for data on pipe 771, whose write end is held by PID {WORKER_1}", kind=WaitKind.POLL,
                   wakers=(Waking(WORKER_1), Waking(WORKER_2)), why="" if not dead else "only dead ones could wake it",
                   place="at wait (multiprocessing/connection.py:947)"),
        ThreadSeen(pid=SUBJECT, tid=POOL_THREAD, name="rayon-0", state="S", status="dead" if dead else "waits",
                   wait="waits on a private futex", kind=WaitKind.FUTEX),
        *(
            ThreadSeen(pid=pid, tid=pid, name="MainThread", state="S" if dead else "R", cpu=0.0 if dead else 0.97,
                       status="dead" if dead else "runs", kind=WaitKind.FUTEX if dead else WaitKind.RUNNING,
                       wait="waits on a private futex" if dead else "runs", why="nobody could wake it" if dead else "",
                       place="at encode_batch (tokenizer.py:88)", source="return tokenizer.encode_batch(texts)")
            for pid in (WORKER_1, WORKER_2)
        ),
    ]  # fmt: skip
    return ev.TreeSampled(key=True, processes=tuple(processes), threads=tuple(threads))


def stacks() -> list[ev.Event]:
    """The stack of the first worker, with native frames."""
    frames = (
        Frame(function="syscall", module="/lib/libc.so.6", native=True),
        Frame(function="rayon_core::latch::LockLatch::wait", module="tokenizers.abi3.so", native=True),
        Frame(function="encode_batch", file="/project/tokenizer.py", line=88),
        Frame(function="run", file="/project/worker.py", line=41),
    )
    raw = {1: "_RNvMs0_NtCs1234_10rayon_core5latchNtB5_9LockLatch4wait"}
    return [ev.StacksRead(pid=WORKER_1, native=True, taken_s=0.05,
                          stacks=(StackSeen(tid=WORKER_1, name="MainThread", frames=frames, raw=raw),))]  # fmt: skip


def graph() -> Graph:
    """The subject waits for its workers, who wait for nobody."""
    nodes = [
        Node(id=str(pid), kind=NodeKind.PROCESS, label=f"PID {pid}", pid=pid, live=False)
        for pid in (SUBJECT, WORKER_1, WORKER_2)
    ]
    nodes += [
        Node(id=f"{pid}/{pid}", kind=NodeKind.THREAD, label=f"PID {pid} (MainThread)", pid=pid, tid=pid, live=False)
        for pid in (SUBJECT, WORKER_1, WORKER_2)
    ]
    nodes.append(Node(id="nobody", kind=NodeKind.REMOTE, label="nobody", live=False))
    edges = [
        Edge(source=f"{SUBJECT}/{SUBJECT}", target=str(pid), kind=WaitKind.POLL, text="waits for data on pipe 771")
        for pid in (WORKER_1, WORKER_2)
    ]
    edges += [
        Edge(source=f"{pid}/{pid}", target="nobody", kind=WaitKind.FUTEX, text="waits on a private futex")
        for pid in (WORKER_1, WORKER_2)
    ]
    ends = tuple(f"{pid}/{pid}" for pid in (WORKER_1, WORKER_2))
    return Graph(
        nodes=tuple(nodes), edges=tuple(edges), stuck=(f"{SUBJECT}/{SUBJECT}", *ends), heart=ends, dead_ends=ends
    )


def verdict() -> ev.VerdictReached:
    """The fork deadlock, proven."""
    return ev.VerdictReached(
        slug="rayon-fork-deadlock", title="A native thread pool did not survive the fork", certainty="proven",
        culprits=tuple(Culprit(pid=pid, tid=pid, role=f"worker {n}") for n, pid in ((1, WORKER_1), (2, WORKER_2))),
        evidence=(
            f"PID {WORKER_1} has one thread, which waits on a private futex without a timeout",
            f"PID {WORKER_2} has one thread, which waits on a private futex without a timeout",
            f"PID {SUBJECT} waits for data on pipe 771, whose write end is held by PID {WORKER_1}",
        ),
        explanation="The parent's batch call started a pool of native threads. The fork copied the memory, not them.",
        fixes=(Remedy(title="Set TOKENIZERS_PARALLELISM=false", cost="batch calls use one core",
                      command="export TOKENIZERS_PARALLELISM=false"),
               Remedy(title="Start workers by spawn", cost="a new interpreter for each worker")),
        disproof="A thread of the worker that runs again.", links=("https://github.com/huggingface/tokenizers",),
    )  # fmt: skip


def hang() -> list[ev.Event]:
    """A run that embedded everything and is proven dead in its cleanup."""
    return stamped([
        *beginning(),
        ev.PhaseFinished(phase=Phase.EMBED, done=1013, total=1013),
        ev.PhaseStarted(phase=Phase.CLEANUP, total=1013, unit="chunks"),
        tree(dead=True),
        *stacks(),
        ev.GraphDrawn(graph=graph()),
        verdict(),
        ev.Stuck(phase=Phase.CLEANUP, dead=(WORKER_1, WORKER_2)),
        ev.Held(pids=(SUBJECT, WORKER_1, WORKER_2), commands=(f"py-spy dump --native --pid {WORKER_1}",)),
    ])  # fmt: skip


def running() -> list[ev.Event]:
    """A run that embeds."""
    return stamped([*beginning("off"), ev.PhaseProgress(phase=Phase.EMBED, done=400), tree(dead=False)])


__all__ = ["beginning", "graph", "hang", "running", "stacks", "stamped", "tree", "verdict"]
