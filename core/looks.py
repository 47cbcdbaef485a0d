"""What is seen of a tree that is not ours, look by look, and what a person asks for meanwhile: all said as events.

Used by one thread, that of core.following. Import it late: it brings the whole diagnosis.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from functools import partial
from typing import Literal

import msgspec

from . import events as ev
from . import release
from .commands import Cancel, Command, Dump, Fix, Kill, Propose
from .diagnose.follow import Follower, Look
from .diagnose.investigate import Options
from .diagnose.picture import fit_to_show
from .diagnose.telling import News, Telling
from .dumping import dump
from .errands import Errands
from .model import Strategy, Verdict
from .monitor import DatabaseMonitor
from .sampling import Sampler
from .supervise import signals

# How long the killed may take to be gone.
KILL_S = 5.0

Publish = Callable[[ev.Event, Literal["session", "diagnosis"]], None]


class Looks:
    """Looks at the tree of `root`. `hung`: a hang was seen; `stuck`: it stands; `undecided`: nothing is known."""

    def __init__(self, root: int, *, dsn: str, native: bool, publish: Publish, wake: Callable[[], None]) -> None:
        """`wake` is called from other threads when there is something to `publish_brought`."""
        self._root = root
        self._publish = publish
        self._follower = Follower(root, Options(dsn=dsn, native=native))
        self._sampler = Sampler()
        self._telling = Telling()
        self._database = DatabaseMonitor(dsn) if dsn else None
        self._errands = Errands(wake)
        self._look: Look | None = None
        self._said: dict[str, Verdict] = {}
        self._acted = False  # a fix was carried out, and what came of it is not known yet
        self.stuck = False

    @property
    def hung(self) -> bool:
        return self._telling.hung

    @property
    def undecided(self) -> bool:
        return self._telling.undecided

    def look(self) -> bool:
        """One look; False when the tree is gone."""
        look = self._look = self._follower.look()
        for event in self._sampler.take(look) if look.processes else self._sampler.end():
            self._publish(event, "diagnosis")
        if not look.processes:
            return False
        if self._database is not None:
            sample = self._database.take(time.monotonic(), wanted=True)
            if sample is not None:
                self._publish(sample, "diagnosis")
        if look.finding is not None:
            news = self._telling.hear(look.verdicts, time.monotonic())
            if news is not None:
                self._tell(news, look)
        return True

    def _tell(self, news: News, look: Look) -> None:
        now = {verdict.slug: verdict for verdict in news.verdicts}
        self._withdraw(self._said.keys() - now.keys())
        for slug, verdict in now.items():
            if self._said.get(slug) != verdict:
                fit = msgspec.convert(fit_to_show(verdict), Verdict)
                self._publish(ev.verdict_event(fit), "diagnosis")
        self._said = now
        if news.hangs:
            self._publish(ev.Stuck(phase=None, dead=look.dead), "diagnosis")
        elif self.stuck or self._acted:
            self._publish(ev.Unstuck(), "diagnosis")
        self.stuck, self._acted = news.hangs, False

    def _withdraw(self, slugs: set[str]) -> None:
        for slug in sorted(slugs):
            self._publish(ev.VerdictWithdrawn(slug=slug), "diagnosis")

    # what is asked

    def publish_brought(self) -> None:
        """Says what was asked for and took its time."""
        for event in self._errands.brought():
            self._follower.settle(event.pid)
            self._publish(event, "diagnosis")

    def carry_out(self, command: Command) -> None:
        """Does what a person asks for; the answer is published, of a dump later."""
        match command:
            case Dump(pid, native):
                self._follower.excuse(pid)
                self._errands.send(pid, partial(dump, pid, tuple(self._starts), native=native))
            case Kill():
                self._publish(signals.answer(command, self._starts), "session")
            case Propose():
                self._propose(Strategy.RELEASE, proposed=True)
            case Fix(strategy):
                if ends := self._propose(strategy, proposed=False):
                    self._publish(ev.FixStarted(strategy=strategy), "session")
                    self._release(ends)
            case Cancel():
                raise AssertionError("leaving is for whoever listens")

    def _propose(self, strategy: Strategy, *, proposed: bool) -> tuple[int, ...]:
        """Says the plan, or why there is none; who is to end."""
        dead, verdicts = (self._look.dead, self._look.verdicts) if self._look else ((), ())
        reason = release.refusal(strategy, self._root, dead, verdicts)
        if reason:
            self._publish(ev.FixRefused(strategy=strategy, reason=reason, proposed=proposed), "session")
            return ()
        ends = release.releasable(self._root, dead, verdicts)
        self._publish(release.plan(ends, self._root, proposed=proposed), "session")
        return ends

    def _release(self, ends: tuple[int, ...]) -> None:
        starts = self._starts
        troubles = signals.kill({pid: starts[pid] for pid in ends if pid in starts}, deadline_s=KILL_S)
        for pid in ends:
            said = ev.Signalled(pid=pid, signal=signal.SIGKILL.name, trouble=troubles.get(pid, ""))
            self._publish(said, "session")
        self._follower.forget()
        self._telling.forget()
        self._withdraw(set(self._said))
        self._said, self.stuck, self._acted = {}, False, True

    @property
    def _starts(self) -> dict[int, int]:
        """The processes of the tree with their start times, by PID."""
        return {process.pid: process.start_ticks for process in self._look.processes} if self._look else {}

    def close(self, deadline_s: float) -> None:
        """Asks nothing more; what is under way ends by itself, and is waited for no longer than this."""
        if self._database is not None:
            self._database.close()
        self._errands.close(deadline_s)
