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

from . import events as ev
from . import fix, launch
from .attempt import Attempt
from .backing import Backing
from .commands import Cancel, Command, Dump, Fix, Kill, Propose
from .errands import Errands
from .errors import CvdebugError, ExitCode, sentences
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

    While `interruptible`, the session may wait for a server: a signal handler that raises KeyboardInterrupt after
    `cancel` ends that wait.
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
        self._wake_read, self._wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._errands = Errands(self._wake)
        self._began = time.monotonic()
        self.interruptible = False
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
        self._wake()
        if isinstance(command, Cancel) and self.interruptible and threading.get_ident() != self._thread_id:
            interrupt(self._thread_id)

    def cancel(self, by: signal.Signals = signal.SIGINT) -> None:
        """Ends the run as if by that signal: exit code 128+N."""
        self.send(Cancel(by))

    def _wake(self) -> None:
        with contextlib.suppress(OSError):  # the session is over, or its ear is full
            os.write(self._wake_write, b".")

    # the run

    def events(self) -> Iterator[ev.Event]:
        """Everything that happens, in order, down to `run-finished`."""
        try:
            yield from self._run()
        except CvdebugError as error:
            yield self._finish("failed", error.exit_code, what=error.what, hint=error.hint)
        except OSError as error:
            where = f" ({error.filename})" if error.filename else ""
            yield self._finish("failed", ExitCode.FAILED, what=f"the system refused: {error.strerror}{where}")
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
        self.interruptible = True
        self._heed_cancel()
        orphans = self._backing.open(spool.manifest.run)
        if self._request.spool is None:
            self._backing.bring_trouble(spool.manifest.run)
        self.interruptible = False
        self._heed_cancel()
        if orphans:
            plural = "s" if orphans > 1 else ""
            yield self._publish(ev.Log(text=f"ended {orphans} database session{plural} of an earlier attempt"))
        if self._request.spool is not None:
            self._adopt(self._request.strategy)
        self._planner = Planner(spool, self._wake)
        while self._finished is None:
            yield from self._attempt(spool, self._backing.dsn, self._planner)

    def _heed_cancel(self) -> None:
        """Raises KeyboardInterrupt when the end was asked for before there is a tree."""
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
        with Attempt(spool, self._spec(spool, dsn, self._strategy), self._publisher) as attempt:
            while attempt.exit_code is None and self._finished is None and not self._renews:
                yield from attempt.step(self._wake_read)
                yield from self._obey(_Now(attempt, spool, dsn, planner))
            if attempt.exit_code is not None and self._finished is None:
                yield self._conclude(attempt.exit_code)
        if self._finished is None:
            yield from attempt.farewell()

    def _conclude(self, exit_code: int) -> ev.Event:
        failure = self.state.failure
        if exit_code == 0:
            return self._finish("completed", ExitCode.COMPLETED)
        if failure is not None:
            return self._finish("failed", ExitCode.FAILED, what=failure.what, hint=failure.hint)
        if exit_code < 0:
            who, how = "guardian", f"by {_signal_name(-exit_code)}"
        else:
            who, how = "subject", f"by {_signal_name(exit_code - 128)}" if exit_code > 128 else f"with code {exit_code}"
        return self._finish("failed", ExitCode.FAILED, what=f"the {who} was ended {how}, without a word")

    # decisions

    def _obey(self, now: _Now) -> Iterator[ev.Event]:
        """Commands from outside, what was brought for them, a hang, the time limit."""
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake_read, 4096)
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
        if self._finished is None and self._settings.timeout_s is not None:
            yield from self._at_time_limit(self._settings.timeout_s, now.attempt)

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
            self._errands.send(("dump", command.pid), job)
        elif isinstance(command, Kill):
            yield self._publish(now.attempt.signal(command))

    def _interrupted(self, by: signal.Signals) -> ev.Event:
        if self._held and by is signal.SIGINT:
            return self._finish("hang", ExitCode.HANG, what="the hung tree was held, and is ended now")
        return self._finish("interrupted", 128 + by, what=f"interrupted by {by.name}")

    def _at_hang(self, now: _Now) -> Iterator[ev.Event]:
        attempt = now.attempt
        if self._request.on_hang == "fix" and not self._fixed:
            yield from self._fix_unasked(now)
        elif self._request.on_hang != "hold":
            sure = "nothing can wake it" if attempt.proven else "that is not proven, but likely"
            yield self._finish("hang", ExitCode.HANG, what=f"the run hangs, and {sure}")
        elif not self._held:
            self._held = True
            yield self._publish(ev.Held(pids=attempt.tree, commands=hold_commands(attempt.dead, attempt.tree)))

    def _at_time_limit(self, timeout_s: float, attempt: Attempt) -> Iterator[ev.Event]:
        if time.monotonic() - self._began < timeout_s:
            return
        over = f"the time limit of {timeout_s:g} s is over"
        if attempt.dead:
            pids = ", ".join(map(str, attempt.dead))
            yield self._finish("hang", ExitCode.HANG, what=f"{over}, and PID {pids} can never go on")
        else:
            hint = "Give it more time, or look where it is with py-spy dump while it runs."
            yield self._finish("timeout", ExitCode.TIMEOUT, what=f"{over}, and no hang is proven", hint=hint)

    # fixes

    def _fix_unasked(self, now: _Now) -> Iterator[ev.Event]:
        """The fix that was asked for before the run began: whoever reads its plan reads a measured price."""
        self._fixed = True
        strategy = Strategy.UNBLOCK if now.attempt.blockers else self._request.strategy
        if now.planner.refusal(strategy, now.attempt, self._terms) is None and strategy is not Strategy.UNBLOCK:
            now.planner.pricing.note(launch.measure_price(self._spec(now.spool, now.dsn, strategy), self._wake_read))
        for event in self._fix(strategy, now):
            yield event
            if isinstance(event, ev.FixRefused):
                yield self._finish("hang", ExitCode.HANG, what=f"{strategy} is refused: {event.reason}")

    def _fix(self, strategy: Strategy, now: _Now, *, consent: bool = False) -> Iterator[ev.Event]:
        """Plans a fix, says the plan, carries it out."""
        terms = self._terms._replace(consent=consent or self._request.yes)
        refused = now.planner.refusal(strategy, now.attempt, terms)
        if refused is not None:
            yield self._publish(refused)
            return
        blockers = now.attempt.blockers
        yield self._publish(now.planner.plan(strategy, now.attempt))
        yield self._publish(ev.FixStarted(strategy=strategy))
        yield from (self._publish(ev.VerdictWithdrawn(slug=slug)) for slug in self.state.verdicts)
        self._held = False
        if strategy is Strategy.UNBLOCK:
            assert self._backing is not None
            for blocker in blockers:
                self._backing.end_session(now.spool.manifest.run, blocker.pid, blocker.application)
            now.attempt.resume()
        elif strategy is Strategy.RELEASE:
            now.attempt.release()
        else:
            self._adopt(strategy)
            self._renews = True
        now.planner.pricing.forget()

    @property
    def _terms(self) -> Terms:
        return Terms(self.state.result_pending, self._request.yes)

    # the end

    @property
    def _finished(self) -> ev.RunFinished | None:
        return self.state.finished

    def _publish(self, event: ev.Event) -> ev.Event:
        return self._publisher.publish(event)

    def _finish(self, outcome: ev.Outcome, exit_code: int, *, what: str = "", hint: str = "") -> ev.Event:
        if self._publisher.trouble:
            hint = sentences(hint, self._publisher.trouble)
        next_command = ""
        if outcome != "completed" and self._worth_keeping():
            next_command = f"cvdebug resume {self.state.run}"
        return self._publish(
            ev.RunFinished(
                outcome=outcome,
                exit_code=int(exit_code),
                elapsed_s=time.monotonic() - self._began,
                what=what,
                hint=hint,
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
        if self._backing is not None:
            self._backing.close()
        self._publisher.close()
        if self._spool is not None:
            keep = self._settings.keep_spool if self.state.status == "completed" else self._worth_keeping()
            if self._request.spool is not None and self.state.status != "completed":
                keep = True  # somebody else may hold it, or it was worth keeping before
            if keep:
                self._spool.close()
            else:
                self._spool.remove()
        os.close(self._wake_read)
        os.close(self._wake_write)


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


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
