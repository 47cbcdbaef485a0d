"""One subject of a run, from its start until nothing of it is left: what it says, and what is seen of it."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING

from . import events as ev
from . import lastwords, launch
from .errors import InputError
from .fix import Blocker
from .model import Certainty, Phase, Verdict
from .observe import proc
from .pipeline.spec import SubjectSpec
from .publisher import Publisher
from .spool import Spool
from .tail import Tail

if TYPE_CHECKING:
    from .diagnose.follow import Look

LOOK_EVERY_S = 0.1
# While the subject has just fallen silent, which may be the beginning of a hang.
LOOK_CLOSELY_EVERY_S, CLOSELY_S = 0.04, 1.0
# The part of one core that proofs may take: more than elsewhere, as a verdict is wanted at once.
PACE = 0.04
LOOK_PACE = 0.1
# How long a killed process may take to go.
END_S = 5.0
# After so long without a word of the subject more is asked than whether it is dead; and after so long an unproven hang
# is believed.
PAUSE_S, SILENCE_S = 0.4, 1.0
# In these phases the subject waits for the database, and says little.
IN_DATABASE = (Phase.STORE, Phase.INDEX)
# What is no hang is said when it lasts long and the subject says nothing; work in the database sooner, and although it
# counts progress.
DATABASE_WORK = frozenset({"slow-index-build", "db-lock-active-holder"})
LASTING_S, LONG_S = 3.0, 10.0
# The verdict that another session's open transaction holds the lock, which the end of that session would free.
LOCKED = "db-lock-idle-in-transaction"
_READ_BYTES = 1 << 16


class Attempt:
    """`exit_code` is None while anything of the tree lives; `stuck` says that it can never go on by itself."""

    def __init__(self, spool: Spool, spec: SubjectSpec, publisher: Publisher) -> None:
        self.exit_code: int | None = None
        self.stuck = False
        self._publisher = publisher
        self._tail = Tail(spool.path / "output.log")
        with (spool.path / "output.log").open("ab") as output:
            self._tree = launch.start_subject(spec, output, keep_open=(spool.lock_fd,))
        from .diagnose.follow import Follower  # while the subject starts: it is not needed before, and takes its time
        from .diagnose.investigate import Options
        from .observe import faults

        os.set_blocking(self._tree.events_fd, False)
        self._partial = b""
        self._pipe_open = True
        options = Options(
            roles=self._role,
            dsn=spec.dsn,
            notes=self._notes,
            known_signals=frozenset({int(lastwords.SIGNAL)}),
            ask=lambda pid, deadline_s: faults.dump(pid, spool.path, deadline_s),
        )
        self._follower = Follower(self._root, options, pace=PACE, look_pace=LOOK_PACE)
        self._look: Look | None = None
        self._next_look = time.monotonic() + LOOK_EVERY_S
        self._said: dict[str, tuple[int, ...]] = {}
        self._since_s: dict[str, float] = {}
        self._heard_s = time.monotonic()

    @property
    def dead(self) -> tuple[int, ...]:
        """The workers that are proven dead, and are not only waiting for others that are."""
        proven = [v for v in self._look.verdicts if v.certainty is Certainty.PROVEN] if self._look else []
        culprits = dict.fromkeys(culprit.pid for verdict in proven for culprit in verdict.culprits)
        return tuple(pid for pid in culprits if pid != self._tree.subject_pid)

    @property
    def blockers(self) -> tuple[Blocker, ...]:
        """The database sessions that hold a lock which the subject waits for, and do nothing."""
        slugs = {verdict.slug for verdict in self._look.verdicts} if self._look else set()
        if self._look is None or self._look.finding is None or LOCKED not in slugs:
            return ()
        from .diagnose import database

        roots = (root for each in database.blocked(self._look.finding.case) for root in each.roots if root.forgotten)
        found = (Blocker(root.session.pid, root.session.application, root.words) for root in roots if root.session)
        return tuple(dict.fromkeys(found))

    @property
    def proven(self) -> bool:
        """Whether the hang is proven: the subject's main thread can never go on."""
        return self._look is not None and self._look.root_dead

    @property
    def tree(self) -> tuple[int, ...]:
        """Every process of the run that the last look saw."""
        return tuple(process.pid for process in self._look.processes) if self._look else ()

    def step(self, wake_fd: int) -> Iterator[ev.Event]:
        """Waits until something is to be said, `wake_fd` is readable, or it is time to look; what there is to say."""
        watched = [wake_fd, self._tree.exit_fd, *([self._tree.events_fd] if self._pipe_open else [])]
        ready, _, _ = select.select(watched, [], [], max(0.0, self._next_look - time.monotonic()))
        if self._tree.events_fd in ready:
            yield from self._read()
        if time.monotonic() >= self._next_look:
            yield from self._output()
            yield from self._watch()
            self._next_look = time.monotonic() + self._interval_s()
        if self._tree.exit_fd in ready:
            code = self._tree.poll()
            yield from self._read()
            yield from self._output(last=True)
            self.exit_code = code

    def _interval_s(self) -> float:
        """How long until the next look."""
        silent_s = time.monotonic() - self._heard_s
        return LOOK_CLOSELY_EVERY_S if LOOK_CLOSELY_EVERY_S < silent_s < CLOSELY_S else LOOK_EVERY_S

    def _read(self) -> Iterator[ev.Event]:
        """What the subject said. A line that is no event (a foreign library wrote to the pipe) becomes a log line."""
        while True:
            try:
                data = os.read(self._tree.events_fd, _READ_BYTES)
            except BlockingIOError:
                return
            if not data:
                self._pipe_open = False
                return
            self._heard_s = time.monotonic()
            *lines, self._partial = (self._partial + data).split(b"\n")
            for line in lines:
                yield self._publisher.publish(self._event(line))

    def _event(self, line: bytes) -> ev.Event:
        try:
            event = ev.decode(line)
        except InputError as error:
            return ev.Log(text=str(error), level="warning")
        if isinstance(event, ev.SubjectStarted):
            self._tree.subject_pid = event.pid
        return event

    def _output(self, *, last: bool = False) -> Iterator[ev.Event]:
        while lines := self._tail.lines(last=last):
            for line in lines:
                yield self._publisher.publish(ev.Log(text=line, origin="output"))

    def _watch(self) -> Iterator[ev.Event]:
        if not self._tree.subject_pid:
            return
        state = self._publisher.state
        pauses = time.monotonic() - self._heard_s >= PAUSE_S or state.phase in IN_DATABASE
        look = self._look = self._follower.look(result_pending=state.result_pending, thorough=pauses)
        yield from (self._publisher.publish(ev.verdict_event(verdict), "diagnosis") for verdict in self._news(look))
        unproven = any(verdict.certainty in (Certainty.CERTAIN, Certainty.LIKELY) for verdict in look.verdicts)
        stuck = look.root_dead or (unproven and self._is_silent)
        if stuck and not self.stuck:
            yield self._publisher.publish(ev.Stuck(phase=state.phase, dead=self.dead), "diagnosis")
        self.stuck = stuck

    @property
    def _is_silent(self) -> bool:
        return time.monotonic() - self._heard_s >= SILENCE_S

    def _news(self, look: Look) -> Iterator[Verdict]:
        """The verdicts of a look that are to be said: hangs when their culprits change, the others once."""
        now_s = time.monotonic()
        self._since_s = {verdict.slug: self._since_s.get(verdict.slug, now_s) for verdict in look.verdicts}
        for verdict in look.verdicts:
            told: tuple[int, ...] = ()
            if verdict.certainty is Certainty.NOT_HUNG:
                in_database = verdict.slug in DATABASE_WORK
                lasts_s = now_s - self._since_s[verdict.slug]
                if lasts_s < (LASTING_S if in_database else LONG_S) or not (in_database or self._is_silent):
                    continue
            elif verdict.certainty is Certainty.UNDECIDED:
                continue
            else:
                told = tuple(culprit.pid for culprit in verdict.culprits)
            if self._said.get(verdict.slug) != told:
                self._said[verdict.slug] = told
                yield verdict

    def _root(self) -> int:
        return self._tree.subject_pid

    def _notes(self) -> tuple[str, ...]:
        """What the subject said about the memory of its index."""
        index = self._publisher.state.index
        if index is None:
            return ()
        memory = f"the build was given {index.maintenance_work_mem_mb:,} MB of maintenance_work_mem"
        said = self._publisher.state.phases[Phase.INDEX].detail
        return tuple(filter(None, (memory, index.warning, f"the server says of it: {said}" if said else "")))

    def _role(self, pid: int) -> str:
        worker = self._publisher.state.workers.get(pid)
        if worker is not None:
            return worker.role
        return "subject" if pid == self._tree.subject_pid else ""

    def release(self) -> None:
        """Ends the processes that are proven dead, and only these; none of them lives when this returns."""
        starts = {process.pid: process.start_ticks for process in self._look.processes} if self._look else {}
        with contextlib.ExitStack() as handles:
            ended = []
            for pid in self.dead:
                with contextlib.suppress(OSError):
                    handle = os.pidfd_open(pid)
                    handles.callback(os.close, handle)
                    now = proc.snapshot([pid]).get(pid)
                    if now is not None and now.start_ticks == starts.get(pid):  # a number can be reused, a handle not
                        signal.pidfd_send_signal(handle, signal.SIGKILL)
                        ended.append(handle)
            for handle in ended:
                select.select([handle], [], [], END_S)
        self.resume()

    def resume(self) -> None:
        """What the subject waited for has been ended: it is given time to show it, and judged anew."""
        self._heard_s = time.monotonic()
        self._follower.forget()
        self.stuck = False

    def close(self) -> None:
        """Ends the whole tree; nothing of it is left when this returns."""
        self._tree.close()
        self._tail.close()

    def __enter__(self) -> Attempt:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
