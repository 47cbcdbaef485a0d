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
from . import launch
from .errors import InputError
from .observe import proc
from .pipeline.spec import SubjectSpec
from .publisher import Publisher
from .spool import Spool
from .tail import Tail

if TYPE_CHECKING:
    from .diagnose.look import Look

LOOK_EVERY_S = 0.2
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
        from .diagnose.look import Watcher  # while the subject starts: it is not needed before, and takes its time

        os.set_blocking(self._tree.events_fd, False)
        self._partial = b""
        self._pipe_open = True
        self._watcher = Watcher(self._root, roles=self._role)
        self._look: Look | None = None
        self._next_look = time.monotonic() + LOOK_EVERY_S
        self._said: dict[str, tuple[int, ...]] = {}

    @property
    def dead(self) -> tuple[int, ...]:
        """The processes that are proven dead."""
        return self._look.dead if self._look else ()

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
            self._next_look = time.monotonic() + LOOK_EVERY_S
        if self._tree.exit_fd in ready:
            code = self._tree.poll()
            yield from self._read()
            yield from self._output(last=True)
            self.exit_code = code

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
        look = self._look = self._watcher.look(result_pending=state.result_pending)
        for verdict in look.verdicts:
            pids = tuple(culprit.pid for culprit in verdict.culprits)
            if self._said.get(verdict.slug) != pids:
                self._said[verdict.slug] = pids
                yield self._publisher.publish(ev.verdict_event(verdict), "diagnosis")
        if look.stuck and not self.stuck:
            yield self._publisher.publish(ev.Stuck(phase=state.phase, dead=look.dead), "diagnosis")
        self.stuck = look.stuck

    def _root(self) -> int:
        return self._tree.subject_pid

    def _role(self, pid: int) -> str:
        worker = self._publisher.state.workers.get(pid)
        if worker is not None:
            return worker.role
        return "subject" if pid == self._tree.subject_pid else ""

    def release(self) -> None:
        """Ends the processes that are proven dead, and only these."""
        starts = {process.pid: process.start_ticks for process in self._look.processes} if self._look else {}
        for pid in self.dead:
            with contextlib.suppress(OSError):
                handle = os.pidfd_open(pid)
                try:
                    now = proc.snapshot([pid]).get(pid)
                    if now is not None and now.start_ticks == starts.get(pid):  # a number can be reused, a handle not
                        signal.pidfd_send_signal(handle, signal.SIGKILL)
                finally:
                    os.close(handle)
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
