"""A process that a cgroup holds frozen."""

from __future__ import annotations

from collections.abc import Iterator

from ...model import Certainty, Remedy, Verdict
from ..card import Card
from ..case import Case

CARD = Card(
    slug="process-frozen",
    title="A cgroup holds the process frozen",
    certainty=Certainty.CERTAIN,
    explanation=(
        "The kernel's freezer stops all processes of a cgroup without a signal: docker pause, systemctl freeze and the"
        " suspension of a container or a session do it. Their threads look like sleepers in whatever call they were"
        " in, so that a healthy program looks deadlocked. Nothing of it runs until somebody thaws the cgroup; then it"
        " goes on where it was."
    ),
    conditions=("The cgroup of the process, or one above it, says that it is frozen, in both looks.",),
    fixes=(
        Remedy(title="Thaw the container", cost="none", command="docker unpause CONTAINER"),
        Remedy(title="Thaw the unit", cost="none", command="systemctl thaw UNIT"),
        Remedy(
            title="Thaw the cgroup itself",
            cost="whoever froze it may rely on it",
            command="echo 0 > /sys/fs/cgroup/GROUP/cgroup.freeze  # version 1: echo THAWED > .../freezer.state",
        ),
    ),
    disproof="`frozen 0` in cgroup.events, or THAWED in freezer.state, of every cgroup above the process.",
)


def match(case: Case) -> Iterator[Verdict]:
    """Certain for each process that is frozen in both looks."""
    for process in case.second.processes:
        before = case.before.get(process.pid)
        if process.frozen and before is not None and before.frozen and process.threads:
            name = case.who(process.threads[0].tid)
            yield CARD.verdict(
                culprits=[case.culprit(process.threads[0].tid)],
                evidence=(
                    f"{name}: the cgroup in /proc/PID/cgroup, or one above it, is frozen in both looks"
                    " (cgroup.events: frozen 1; version 1: freezer.state)",
                    f"{name}: its threads wait in the kernel in {_waits(case, process.pid)} (/proc/PID/wchan)",
                ),
            )


def _waits(case: Case, pid: int) -> str:
    return ", ".join(dict.fromkeys(thread.wchan for thread in case.threads(pid) if thread.wchan)) or "a call"
