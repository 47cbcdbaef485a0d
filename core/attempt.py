"""One subject of a run, from its start until nothing of it is left: what it says, and what is seen of it."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING

from . import events as ev
from . import lastwords, launch
from .commands import Kill
from .errors import InputError
from .fix import Blocker
from .model import Certainty, Phase, ProcessSnapshot, Stack
from .pipeline.spec import SubjectSpec
from .publisher import Publisher
from .server_state import ServerState
from .spool import Spool
from .supervise import signals
from .tail import Tail

if TYPE_CHECKING:
    from .diagnose.follow import Look

LOOK_EVERY_S = 0.2
# When the subject has just fallen silent, which may be the beginning of a hang: from when to when, and how often.
QUIET_S, CLOSELY_S, LOOK_CLOSELY_EVERY_S = 0.12, 1.0, 0.04
# The part of one core that proofs may take: more than elsewhere, as a verdict is wanted at once.
PACE = 0.04
LOOK_PACE = 0.04
# How long a killed process may take to go.
END_S = 5.0
# After so long without a word of the subject more is asked than whether it is dead; and after so long an unproven hang
# is believed.
PAUSE_S, SILENCE_S = 0.4, 1.0
# After so long a server that embeds is asked how it is: well before it is judged, as its answer is movement.
ASK_SERVER_S = 0.2
# In these phases the subject waits for the database, and says little.
IN_DATABASE = (Phase.STORE, Phase.INDEX)
# In these the database is asked what it does.
WITH_DATABASE = (*IN_DATABASE, Phase.VERIFY)
# After a proof thorough looks go on for so long.
READ_S = 3.0
# So long after a process has started there is something to be seen in it.
SETTLED_S = 1.0
# The verdict that another session's open transaction holds the lock, which the end of that session would free.
LOCKED = "db-lock-idle-in-transaction"
_READ_BYTES = 1 << 16


class Attempt:
    """`exit_code` is None while anything of the tree lives; `stuck` says that it can never go on by itself.

    A look may have to wait, for a server or a stopped process: it is done within `interruptible`.
    """

    def __init__(
        self,
        spool: Spool,
        spec: SubjectSpec,
        publisher: Publisher,
        interruptible: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self.exit_code: int | None = None
        self.stuck = False
        self._publisher = publisher
        self._interruptible = interruptible
        self._tail = Tail(spool.path / "output.log")
        with (spool.path / "output.log").open("ab") as output:
            self._tree = launch.start_subject(spec, output, keep_open=(spool.lock_fd,))
        from .diagnose.follow import Follower  # while the subject starts: it is not needed before, and takes its time
        from .diagnose.investigate import Options
        from .monitor import DatabaseMonitor
        from .notices import Notices
        from .sampling import Sampler

        os.set_blocking(self._tree.events_fd, False)
        self._partial = b""
        self._pipe_open = True
        options = Options(
            roles=self._role,
            dsn=spec.dsn,
            notes=self._notes,
            known_signals=frozenset({int(lastwords.SIGNAL)}),
            ask=self.ask,
        )
        self._spool_path = spool.path
        self._sampler = Sampler(roles=self._role)
        self._notices = Notices()
        self._database = DatabaseMonitor(spec.dsn)
        self._server = ServerState((spec.settings.ollama_url or "") if spec.settings.embedder == "ollama" else "")
        self._follower = Follower(self._root, options, pace=PACE, look_pace=LOOK_PACE)
        self._look: Look | None = None
        self._looked_s = self._heard_s = self._settles_s = time.monotonic()
        self._proven_s = 0.0

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
    def certainty(self) -> Certainty:
        """How sure it is that the run hangs, once that is said."""
        if self.proven:
            return Certainty.PROVEN
        said = [verdict.certainty for verdict in self._publisher.state.verdicts.values()]
        return Certainty.CERTAIN if Certainty.CERTAIN in said else Certainty.LIKELY

    @property
    def processes(self) -> tuple[ProcessSnapshot, ...]:
        """Every process of the run that the last look saw."""
        return self._look.processes if self._look else ()

    @property
    def tree(self) -> tuple[int, ...]:
        """Their PIDs."""
        return tuple(process.pid for process in self.processes)

    def excuse(self, pid: int) -> None:
        """A look that a person asked for may disturb this process, until it is `settled`."""
        self._follower.excuse(pid)

    def settled(self, pid: int) -> None:
        """That look is over."""
        self._follower.settle(pid)

    def ask(self, pid: int, deadline_s: float) -> list[Stack]:
        """Has a process of the run write its Python stacks itself. Raises ObserveError; may be called in any thread."""
        from .observe import faults

        return faults.dump(pid, self._spool_path, deadline_s)

    def step(self, wake_fd: int) -> Iterator[ev.Event]:
        """Waits until something is to be said, `wake_fd` is readable, or it is time to look; what there is to say."""
        watched = [wake_fd, self._tree.exit_fd, *([self._tree.events_fd] if self._pipe_open else [])]
        ready, _, _ = select.select(watched, [], [], max(0.0, self._next_look_s - time.monotonic()))
        if self._tree.events_fd in ready:
            yield from self._read()
        if time.monotonic() >= self._next_look_s:
            yield from self._output()
            yield from self._watch()
            self._looked_s = time.monotonic()
        if self._tree.exit_fd in ready:
            code = self._tree.poll()
            yield from self._read()
            yield from self._output(last=True)
            yield from self.farewell()
            self.exit_code = code

    @property
    def _next_look_s(self) -> float:
        """When it is time for the next look (monotonic)."""
        quiet_s = self._heard_s + QUIET_S
        if self._looked_s < quiet_s:
            return min(self._looked_s + LOOK_EVERY_S, quiet_s)
        is_new = self._looked_s - self._heard_s < CLOSELY_S
        return self._looked_s + (LOOK_CLOSELY_EVERY_S if is_new else LOOK_EVERY_S)

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
        if isinstance(event, ev.SubjectStarted | ev.WorkerStarted):
            self._settles_s = time.monotonic() + SETTLED_S
        return event

    def _output(self, *, last: bool = False) -> Iterator[ev.Event]:
        while lines := self._tail.lines(last=last):
            for line in lines:
                yield self._publisher.publish(ev.Log(text=line, origin="output"))

    def _watch(self) -> Iterator[ev.Event]:
        if not self._tree.subject_pid:
            return
        state, now_s = self._publisher.state, time.monotonic()
        if state.phase not in WITH_DATABASE and now_s - self._heard_s >= ASK_SERVER_S:
            self._server.ask(self._heard_s)
        pauses = now_s - self._heard_s >= PAUSE_S or self._is_long_in_database
        with self._interruptible():
            look = self._look = self._follower.look(
                result_pending=state.result_pending,
                thorough=pauses and not self._is_settled(now_s),
                show=now_s >= self._settles_s and not self.proven,
            )
        yield from (self._say(event) for event in self._sampler.take(look))
        sample = self._database.take(now_s, wanted=state.phase in WITH_DATABASE)
        if sample is not None:
            yield self._say(sample)
        yield from (
            self._say(event) for event in self._notices.tell(look.verdicts, silent=self._is_silent, judged=look.finding)
        )
        stuck = look.root_dead or (self._notices.stands and self._is_silent)
        if stuck and not self.stuck:
            yield self._say(ev.Stuck(phase=state.phase, dead=self.dead))
        elif self.stuck and not stuck:
            yield self._say(ev.Unstuck())
        self.stuck = stuck

    @property
    def _is_long_in_database(self) -> bool:
        """Whether the subject may be waiting for the database, whatever it says meanwhile."""
        phase = self._publisher.state.phase
        return phase in IN_DATABASE and time.time() - self._publisher.state.phases[phase].started_at >= PAUSE_S

    def _is_settled(self, now_s: float) -> bool:
        """Whether all has been read of a proven hang: then only what moves is watched for."""
        self._proven_s = (self._proven_s or now_s) if self.proven else 0.0
        return self.proven and now_s - self._proven_s >= READ_S

    def _say(self, event: ev.Event) -> ev.Event:
        return self._publisher.publish(event, "diagnosis")

    def farewell(self) -> Iterator[ev.Event]:
        """That its processes are there no more."""
        yield from (self._say(event) for event in self._sampler.end())

    @property
    def _is_silent(self) -> bool:
        return time.monotonic() - self._heard_s >= SILENCE_S

    def _root(self) -> int:
        return self._tree.subject_pid

    def _notes(self) -> tuple[str, ...]:
        """What the subject said about the memory of its index, and before that what the server that embeds says."""
        if self._publisher.state.phase not in WITH_DATABASE:
            return self._server.lines
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
        starts = self._starts
        signals.kill({pid: starts[pid] for pid in self.dead if pid in starts}, deadline_s=END_S)
        self.resume()

    def signal(self, command: Kill) -> ev.Signalled:
        """Signals a process of the run's own tree, and no other; the answer."""
        return signals.answer(command, self._starts)

    @property
    def _starts(self) -> dict[int, int]:
        """The processes with their start times, by PID."""
        return {process.pid: process.start_ticks for process in self.processes}

    def resume(self) -> None:
        """What the subject waited for has been ended: it is given time to show it, and judged anew."""
        self._heard_s = time.monotonic()
        self._follower.forget()
        self._notices.forget()
        self.stuck = False

    def close(self) -> None:
        """Ends the whole tree; nothing of it is left when this returns."""
        self._tree.close()
        self._tail.close()
        self._database.close()

    def __enter__(self) -> Attempt:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
