"""One run, as its observer has it: starts the subject, merges what it says with what is seen, judges, and fixes.

`Session.events` is the one ordered stream that every front end and the journal are fed from. It runs in the thread
that iterates it, never forks and never tokenizes. Whatever happens, leaving it ends the tree and gives spool, lock
and server back.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from . import events as ev
from . import fix, launch
from .attempt import Attempt
from .backing import Backing
from .commands import Cancel, Command, Fix
from .errors import CvdebugError, ExitCode, sentences
from .fix import Blocker
from .hold import commands as hold_commands
from .journal import Journal
from .model import Strategy
from .pipeline.spec import SubjectSpec
from .publisher import Publisher
from .scenario import Scenario
from .settings import Resolved, Settings
from .spool import Spool
from .state import RunState
from .versions import versions

OnHang = Literal["end", "fix", "hold"]


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
    """Runs one request. `events` may be iterated once; `cancel` and `fix` may be called from any thread or signal.

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
        self._commands: deque[Strategy | signal.Signals] = deque()
        self._wake_read, self._wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._began = time.monotonic()
        self.interruptible = False
        self._fixed = False
        self._held = False

    @property
    def state(self) -> RunState:
        """Everything so far."""
        return self._publisher.state

    def send(self, command: Command) -> None:
        """Asks for something; the answer comes as events."""
        if isinstance(command, Cancel):
            self._command(command.by)
        elif isinstance(command, Fix):
            self._command(command.strategy)

    def cancel(self, by: signal.Signals = signal.SIGINT) -> None:
        """Ends the run as if by that signal: exit code 128+N."""
        self._command(by)

    def fix(self, strategy: Strategy) -> None:
        """Fixes a held hang by `strategy`."""
        self._command(strategy)

    def _command(self, command: Strategy | signal.Signals) -> None:
        self._commands.append(command)
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
            yield self._interrupted(next((c for c in self._commands if isinstance(c, signal.Signals)), signal.SIGINT))
        finally:
            self._close()

    def _run(self) -> Iterator[ev.Event]:
        self._backing = Backing(self._settings)
        self._backing.check_words()
        spool = self._take_spool()
        yield self._publish(self._introduction(spool))
        self.interruptible = True
        orphans = self._backing.open(spool.manifest.run)
        if self._request.spool is None:
            self._backing.bring_trouble(spool.manifest.run)
        self.interruptible = False
        if orphans:
            plural = "s" if orphans > 1 else ""
            yield self._publish(ev.Log(text=f"ended {orphans} database session{plural} of an earlier attempt"))
        if self._request.spool is not None:
            self._adopt(self._request.strategy)
        while self._finished is None:
            yield from self._attempt(spool, self._backing.dsn)

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

    def _spec(self, spool: Spool, dsn: str) -> SubjectSpec:
        return SubjectSpec(
            run=spool.manifest.run,
            spool=str(spool.path),
            settings=public(self._settings),
            dsn=dsn,
            observer_pid=os.getpid(),
            strategy=self._strategy,
        )

    def _attempt(self, spool: Spool, dsn: str) -> Iterator[ev.Event]:
        """One subject, until it ends, the run is over, or a fix wants a new one."""
        before = self._strategy
        with Attempt(spool, self._spec(spool, dsn), self._publisher) as attempt:
            while attempt.exit_code is None and self._finished is None and self._strategy is before:
                yield from attempt.step(self._wake_read)
                yield from self._obey(attempt, spool, dsn)
            if attempt.exit_code is not None and self._finished is None:
                yield self._conclude(attempt.exit_code)

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

    def _obey(self, attempt: Attempt, spool: Spool, dsn: str) -> Iterator[ev.Event]:
        """Commands from outside, a hang, the time limit."""
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake_read, 4096)
        while self._commands and self._finished is None:
            command = self._commands.popleft()
            if isinstance(command, Strategy):
                if attempt.stuck:
                    yield from self._fix(attempt, command, spool, dsn)
            else:
                yield self._interrupted(command)
        if self._finished is None and attempt.exit_code is None and attempt.stuck:
            yield from self._at_hang(attempt, spool, dsn)
        if self._finished is None and self._settings.timeout_s is not None:
            yield from self._at_time_limit(self._settings.timeout_s, attempt)

    def _interrupted(self, by: signal.Signals) -> ev.Event:
        if self._held and by is signal.SIGINT:
            return self._finish("hang", ExitCode.HANG, what="the hung tree was held, and is ended now")
        return self._finish("interrupted", 128 + by, what=f"interrupted by {by.name}")

    def _at_hang(self, attempt: Attempt, spool: Spool, dsn: str) -> Iterator[ev.Event]:
        if self._request.on_hang == "fix" and not self._fixed:
            yield from self._fix(attempt, self._request.strategy, spool, dsn)
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

    def _fix(self, attempt: Attempt, strategy: Strategy, spool: Spool, dsn: str) -> Iterator[ev.Event]:
        """Plans a fix, says the plan, carries it out."""
        self._fixed = True
        blockers = attempt.blockers
        strategy = Strategy.UNBLOCK if blockers else strategy
        reason = fix.refusal(
            strategy,
            result_pending=self.state.result_pending,
            dead=attempt.dead,
            blockers=blockers,
            consent=self._request.yes,
        )
        if reason:
            yield self._publish(ev.FixRefused(strategy=strategy, reason=reason))
            if self._request.on_hang == "fix":
                yield self._finish("hang", ExitCode.HANG, what=f"{strategy} is refused: {reason}")
            return
        if strategy is Strategy.UNBLOCK:
            yield from self._unblock(attempt, blockers, spool)
            return
        settings = fix.settings_for(strategy, self._settings)
        spec = msgspec.structs.replace(self._spec(spool, dsn), settings=public(settings), strategy=strategy)
        price = launch.measure_price(spec, self._wake_read)
        embedded, counted = Spool.open(spool.path).progress()
        yield self._publish(
            fix.plan(
                strategy,
                dead=attempt.dead,
                tree=attempt.tree,
                chunks=Spool.open(spool.path).manifest.chunks,
                embedded=embedded,
                counted=counted,
                prices=[price],
            )
        )
        yield self._publish(ev.FixStarted(strategy=strategy))
        if strategy is Strategy.RELEASE:
            attempt.release()
        else:
            self._adopt(strategy)

    def _unblock(self, attempt: Attempt, blockers: Sequence[Blocker], spool: Spool) -> Iterator[ev.Event]:
        """Ends the sessions that hold the lock; the subject goes on as it is."""
        assert self._backing is not None
        chunks, (embedded, _) = Spool.open(spool.path).manifest.chunks, Spool.open(spool.path).progress()
        yield self._publish(fix.unblock_plan(blockers, chunks=chunks, embedded=embedded))
        yield self._publish(ev.FixStarted(strategy=Strategy.UNBLOCK))
        for blocker in blockers:
            self._backing.end_session(spool.manifest.run, blocker.pid, blocker.application)
        attempt.resume()

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
