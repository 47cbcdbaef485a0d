"""One run, as its observer has it: starts the subject, merges what it says with what is seen, judges, and fixes.

`Session.events` is the one ordered stream that every front end and the journal are fed from. It runs in the thread
that iterates it, never forks and never tokenizes. Whatever happens, leaving it ends the tree and gives spool, lock
and server back.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from . import ends, fix, launch
from . import events as ev
from .attempt import Attempt
from .backing import Backing
from .bell import Bell
from .commands import Cancel, Command, Dump, Fix, Kill, Propose
from .errands import Errands
from .errors import CvdebugError, DatabaseError, sentences
from .hold import commands as hold_commands
from .interrupt import interrupt
from .journal import Journal
from .model import Strategy
from .pipeline.spec import SubjectSpec
from .planning import Planner, Terms
from .publisher import Publisher
from .scenario import Scenario
from .settings import Resolved, Settings
from .spool import Spool
from .state import RunState
from .versions import versions

OnHang = Literal["end", "fix", "hold"]

# How long the end of a run waits for a look that a person asked for; it ends by itself.
ERRANDS_S = 0.2


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What to run. `resolved.settings.dsn` may hold a password; it goes to the subject and nowhere else.

    `yes` lets a fix end other people's database sessions. With `spool` an earlier run is taken up, by `strategy`.
    """

    scenario: Scenario
    resolved: Resolved
    on_hang: OnHang = "end"
    strategy: Strategy = fix.DEFAULT
    yes: bool = False
    record: Path | None = None
    spool: Spool | None = None


class Session:
    """Runs one request. `events` may be iterated once; `send` and `cancel` may be called from any thread or signal.

    While `interruptible`, the session may wait for a server, or for a look to end: a signal handler that raises
    KeyboardInterrupt after `cancel` ends that wait.
    """

    def __init__(self, request: Request) -> None:
        self._request = request
        self._settings = request.resolved.settings
        self._strategy: Strategy | None = None
        self._publisher = Publisher()
        self._spool: Spool | None = None
        self._backing: Backing | None = None
        self._planner: Planner | None = None
        self._commands: deque[Command] = deque()
        self._bell = Bell()
        self._errands = Errands(self._bell.ring)
        self._began = time.monotonic()
        self.interruptible = False
        self._interrupting = threading.RLock()
        self._thread_id = 0
        self._renews = False
        self._fixed = False
        self._held = False

    @property
    def state(self) -> RunState:
        """Everything so far."""
        return self._publisher.state

    def send(self, command: Command) -> None:
        """Asks for something; the answer comes as events."""
        self._commands.append(command)
        self._bell.ring()
        if isinstance(command, Cancel) and threading.get_ident() != self._thread_id:
            with self._interrupting:
                if self.interruptible:
                    interrupt(self._thread_id)

    def cancel(self, by: signal.Signals = signal.SIGINT) -> None:
        """Ends the run as if by that signal: exit code 128+N."""
        self.send(Cancel(by))

    # the run

    def events(self) -> Iterator[ev.Event]:
        """Everything that happens, in order, down to `run-finished`."""
        try:
            yield from self._run()
        except (CvdebugError, OSError) as error:
            yield self._finish(ends.by_error(error))
        except KeyboardInterrupt:
            yield self._interrupted(next((c.by for c in self._commands if isinstance(c, Cancel)), signal.SIGINT))
        finally:
            self._close()

    def _run(self) -> Iterator[ev.Event]:
        self._thread_id = threading.get_ident()
        self._backing = Backing(self._settings)
        self._backing.check_words()
        spool = self._take_spool()
        yield self._publish(self._introduction(spool))
        with self._may_be_interrupted():
            orphans = self._backing.open(spool.manifest.run)
            if self._request.spool is None:
                self._backing.bring_trouble(spool.manifest.run)
            self._settings = self._backing.serve(resumed=self._request.spool is not None)
        self._heed_cancel()
        if orphans:
            plural = "s" if orphans > 1 else ""
            yield self._publish(ev.Log(text=f"ended {orphans} database session{plural} of an earlier attempt"))
        if self._request.spool is not None:
            self._adopt(self._request.strategy)
        self._planner = Planner(spool, self._bell.ring)
        while self._finished is None:
            yield from self._attempt(spool, self._backing.dsn, self._planner)

    @contextlib.contextmanager
    def _may_be_interrupted(self) -> Iterator[None]:
        self.interruptible = True
        try:
            self._heed_cancel()
            yield
        finally:
            with self._interrupting:
                self.interruptible = False

    def _heed_cancel(self) -> None:
        """Raises KeyboardInterrupt when the end was asked for already."""
        if any(isinstance(command, Cancel) for command in self._commands):
            raise KeyboardInterrupt

    def _take_spool(self) -> Spool:
        if self._request.record:
            self._publisher.record(Journal(self._request.record))
        spool = self._request.spool
        if spool is None:
            written = public(self._settings)
            spool = Spool.create(
                scenario=self._request.scenario.path, settings=written, secret_dsn=written.dsn != self._settings.dsn
            )
        self._spool = spool
        spool.lock()
        self._publisher.record(Journal(spool.path / "events.jsonl", append=True))
        return spool

    def _introduction(self, spool: Spool) -> ev.RunStarted:
        return ev.RunStarted(
            run=spool.manifest.run,
            scenario=self._request.scenario.name,
            title=self._request.scenario.title,
            resumed=self._request.spool is not None,
            settings=msgspec.to_builtins(public(self._settings)),
            origins=self._request.resolved.origins,
            versions=versions(),
            spool=str(spool.path),
        )

    def _adopt(self, strategy: Strategy) -> None:
        self._strategy = strategy
        self._settings = fix.settings_for(strategy, self._settings)

    def _spec(self, spool: Spool, dsn: str, strategy: Strategy | None) -> SubjectSpec:
        settings = fix.settings_for(strategy, self._settings) if strategy else self._settings
        return SubjectSpec(
            run=spool.manifest.run,
            spool=str(spool.path),
            settings=public(settings),
            dsn=dsn,
            observer_pid=os.getpid(),
            strategy=strategy,
        )

    def _attempt(self, spool: Spool, dsn: str, planner: Planner) -> Iterator[ev.Event]:
        """One subject, until it ends, the run is over, or a fix wants a new one."""
        self._renews = self._held = False
        spec = self._spec(spool, dsn, self._strategy)
        with Attempt(spool, spec, self._publisher, self._may_be_interrupted) as attempt:
            while attempt.exit_code is None and self._finished is None and not self._renews:
                yield from attempt.step(self._bell.fd)
                yield from self._obey(_Now(attempt, spool, dsn, planner))
            if attempt.exit_code is not None and self._finished is None:
                yield self._finish(ends.by_subject(attempt.exit_code, self.state.failure))
        if self._finished is None:
            yield from attempt.farewell()

    # decisions

    def _obey(self, now: _Now) -> Iterator[ev.Event]:
        """Commands from outside, what was brought for them, a hang, the time limit."""
        self._bell.hush()
        while self._commands and self._finished is None and not self._renews:
            yield from self._carry_out(self._commands.popleft(), now)
        if self._finished is not None or self._renews:
            return
        for event in self._errands.brought():
            now.attempt.settled(event.pid)
            yield self._publish(event)
        priced = now.planner.measured(now.attempt, self._terms)
        if priced is not None:
            yield self._publish(priced)
        if now.attempt.exit_code is None and now.attempt.stuck:
            yield from self._at_hang(now)
        else:
            self._held = False
        limit_s = self._settings.timeout_s
        if self._finished is None and limit_s is not None and time.monotonic() - self._began >= limit_s:
            yield self._finish(ends.by_time_limit(limit_s, now.attempt.dead))

    def _carry_out(self, command: Command, now: _Now) -> Iterator[ev.Event]:
        if isinstance(command, Cancel):
            yield self._interrupted(command.by)
        elif isinstance(command, Propose):
            yield from map(self._publish, now.planner.proposals(now.attempt, self._terms))
            if command.measure is not None and now.attempt.stuck:
                now.planner.measure(self._spec(now.spool, now.dsn, command.measure))
        elif isinstance(command, Fix):
            yield from self._fix(command.strategy, now, consent=command.yes)
        elif isinstance(command, Dump):
            from .dumping import dump  # by now it has been imported, by whoever looks at the tree

            job = partial(dump, command.pid, now.attempt.tree, native=command.native, ask=now.attempt.ask)
            now.attempt.excuse(command.pid)
            self._errands.send(command.pid, job)
        elif isinstance(command, Kill):
            yield self._publish(now.attempt.signal(command))

    def _interrupted(self, by: signal.Signals) -> ev.Event:
        return self._finish(ends.by_person(by, held=self._held))

    def _at_hang(self, now: _Now) -> Iterator[ev.Event]:
        attempt = now.attempt
        if self._request.on_hang == "fix" and not self._fixed:
            yield from self._fix_unasked(now)
        elif self._request.on_hang != "hold":
            yield self._finish(ends.by_hang(attempt.certainty))
        elif not self._held:
            self._held = True
            yield self._publish(ev.Held(pids=attempt.tree, commands=hold_commands(attempt.dead, attempt.tree)))

    # fixes

    def _fix_unasked(self, now: _Now) -> Iterator[ev.Event]:
        """The fix that was asked for before the run began: whoever reads its plan reads a measured price."""
        self._fixed = True
        strategy = Strategy.UNBLOCK if now.attempt.blockers else self._request.strategy
        if now.planner.refusal(strategy, now.attempt, self._terms) is None and strategy is not Strategy.UNBLOCK:
            now.planner.pricing.note(launch.measure_price(self._spec(now.spool, now.dsn, strategy), self._bell.fd))
        for event in self._fix(strategy, now):
            yield event
            if isinstance(event, ev.FixRefused):
                yield self._finish(ends.by_refusal(event))

    def _fix(self, strategy: Strategy, now: _Now, *, consent: bool = False) -> Iterator[ev.Event]:
        """Plans a fix, says the plan, carries it out."""
        terms = self._terms._replace(consent=consent or self._request.yes)
        refused = now.planner.refusal(strategy, now.attempt, terms)
        if refused is not None:
            yield self._publish(refused)
            return
        yield self._publish(now.planner.plan(strategy, now.attempt))
        if strategy is Strategy.UNBLOCK:
            try:
                self._end_blockers(now)
            except DatabaseError as error:
                reason = sentences(error.what, error.hint).removesuffix(".")
                yield self._publish(ev.FixRefused(strategy=strategy, reason=reason))
                return
        yield self._publish(ev.FixStarted(strategy=strategy))
        yield from (self._publish(ev.VerdictWithdrawn(slug=slug)) for slug in self.state.verdicts)
        self._held = False
        if strategy is Strategy.UNBLOCK:
            now.attempt.resume()
        elif strategy is Strategy.RELEASE:
            now.attempt.release()
        else:
            self._adopt(strategy)
            self._renews = True
        now.planner.pricing.forget()

    def _end_blockers(self, now: _Now) -> None:
        """Ends the database sessions that the subject waits for. Raises DatabaseError where that is not allowed."""
        assert self._backing is not None
        for blocker in now.attempt.blockers:
            with self._may_be_interrupted():
                self._backing.end_session(now.spool.manifest.run, blocker.pid, blocker.application)

    @property
    def _terms(self) -> Terms:
        return Terms(self.state.result_pending, self._request.yes)

    # the end

    @property
    def _finished(self) -> ev.RunFinished | None:
        return self.state.finished

    def _publish(self, event: ev.Event) -> ev.Event:
        return self._publisher.publish(event)

    def _finish(self, end: ends.End) -> ev.Event:
        next_command = ""
        if end.outcome != "completed" and self._worth_keeping():
            next_command = f"cvdebug resume {self.state.run}"
        return self._publish(
            ev.RunFinished(
                outcome=end.outcome,
                exit_code=int(end.exit_code),
                elapsed_s=time.monotonic() - self._began,
                what=end.what,
                hint=sentences(end.hint, self._publisher.trouble) if self._publisher.trouble else end.hint,
                next_command=next_command,
            )
        )

    def _worth_keeping(self) -> bool:
        """Whether the spool holds work that a resume would save."""
        with contextlib.suppress(CvdebugError):
            return self._spool is not None and Spool.open(self._spool.path).manifest.stage in ("loaded", "tokenized")
        return False

    def _close(self) -> None:
        if self._planner is not None:
            self._planner.pricing.stop()
        self._errands.close(ERRANDS_S)
        self._publisher.close()
        if self._spool is not None:
            keep = self._settings.keep_spool if self.state.status == "completed" else self._worth_keeping()
            if self._request.spool is not None and self.state.status != "completed":
                keep = True  # somebody else may hold it, or it was worth keeping before
            if keep:
                self._spool.close()
            else:
                self._spool.remove()
        self._bell.close()
        if self._backing is not None:
            self._backing.close()  # last: a server may take its time


class _Now(NamedTuple):
    """What a command is about."""

    attempt: Attempt
    spool: Spool
    dsn: str
    planner: Planner


def public(settings: Settings) -> Settings:
    """The settings as they may be written down: a DSN without its password."""
    if settings.dsn is None:
        return settings
    from .database.dsn import without_password  # imported here: `attach` and `ps` must work without psycopg

    return msgspec.structs.replace(settings, dsn=without_password(settings.dsn))
