"""Follows a tree that is not ours, and says in events what is seen of it: the source behind `attach` and `watch --app`.

A thread of its own looks, so that whoever listens gets an answer at once, whatever a look is waiting for. Other
people's processes are never ended, unless a person asks for it; a command that was started for this is. Nothing heavy
is imported before the first event is out.
"""

from __future__ import annotations

import queue
import signal
import threading
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from . import events as ev
from .commands import Cancel, Command
from .errors import CvdebugError, ExitCode, ObserveError
from .exits import signal_name
from .journal import Journal
from .publisher import Publisher
from .secrets import redact_command
from .versions import versions

if TYPE_CHECKING:
    from .looks import Looks
    from .supervise.captured import Captured

EVERY_S = 0.25
# How long leaving waits for a look that is under way; it is harmless, and ends by itself.
LEAVE_S = 0.2
# How long a command that was asked to end may take, before it is killed with everything below it.
GRACE_S = 1.0


class Following:
    """Follows the tree of `root`, or of a `command` that was started for it, until it ends or somebody leaves.

    With `dsn` the database is asked too; `native`: native stacks of living processes, because a person wants them.
    `record` is a file for the events. The exit code is `attach`'s: 3 when a hang was seen, 0 when the tree ended
    without, 128+N when it was left before one; of a command it is the command's own.
    """

    def __init__(
        self,
        root: int,
        *,
        dsn: str = "",
        native: bool = False,
        command: Captured | None = None,
        record: Path | None = None,
    ) -> None:
        """Raises UsageError when `record` cannot be written."""
        self._root, self._dsn, self._native = root, dsn, native
        self._command = command
        self._looks: Looks | None = None
        self._commands: deque[Command] = deque()
        self._woken = threading.Event()
        self._leaving = False
        self._began_s = time.monotonic()
        self._out: queue.SimpleQueue[ev.Event | Cancel | Exception | None] = queue.SimpleQueue()
        self._publisher = Publisher()
        self._publishing = threading.Lock()
        if record is not None:
            self._publisher.record(Journal(record))

    # for whoever listens

    def events(self) -> Iterator[ev.Event]:
        """Everything that is seen, in order, down to `run-finished`."""
        work = threading.Thread(target=self._work, daemon=True, name="looks")
        work.start()
        try:
            while (said := self._out.get()) is not None:
                if isinstance(said, Exception):
                    raise said
                if isinstance(said, Cancel):
                    self._leave(said, work)
                else:
                    yield said
        finally:
            self._stop()
            if self._command is not None:
                self._command.close()
            if self._looks is not None:
                self._looks.close(LEAVE_S)
            with self._publishing:
                self._publisher.close()

    def send(self, command: Command) -> None:
        """Asks for something; the answer comes as events."""
        if isinstance(command, Cancel):
            self._out.put(command)
        else:
            self._commands.append(command)
            self._woken.set()

    def _leave(self, cancel: Cancel, work: threading.Thread) -> None:
        """Ends the looks, and a command that is ours."""
        self._stop()
        if self._command is not None:
            by = signal.SIGTERM if cancel.by is signal.SIGINT else cancel.by  # a shell that waits is deaf for SIGINT
            self._command.end(by, grace_s=GRACE_S)
        work.join(LEAVE_S)
        if self._command is not None:
            self._conclude_command(self._command)
        else:
            self._conclude(cancel)
        self._out.put(None)

    def _stop(self) -> None:
        self._leaving = True
        self._woken.set()

    # the looks, in a thread of their own

    def _work(self) -> None:
        try:
            self._introduce()
            self._follow()
        except CvdebugError as error:
            self._finish("failed", error.exit_code, what=error.what, hint=error.hint)
        except Exception as error:  # noqa: BLE001  (a defect: whoever listens must hear of it)
            self._out.put(error)
        if not self._leaving:
            self._out.put(None)

    def _introduce(self) -> None:
        """Says what is followed. Raises ObserveError when it cannot be."""
        words = _words(self._root) if self._command is None else self._command.arguments
        shown = tuple(word.encode("utf-8", "replace").decode() for word in redact_command(words))
        watched = self._command is not None
        self._publish(ev.Attached(pid=self._root, command=shown, versions=versions(), watched=watched))
        if watched:
            self._publish(ev.Log(text="the command's input is /dev/null, and it has no terminal; q ends it"))

    def _follow(self) -> None:
        from .looks import Looks

        looks = self._looks = Looks(
            self._root, dsn=self._dsn, native=self._native, publish=self._publish, wake=self._woken.set
        )
        self._warn_of_blindness()
        while not self._leaving:
            began_s = time.monotonic()
            self._show_output()
            if not looks.look():
                if not self._leaving:  # else whoever leaves says how it ended
                    self._end(looks)
                return
            self._obey(looks, began_s + EVERY_S)

    def _obey(self, looks: Looks, until_s: float) -> None:
        """Carries out what is asked until it is time to look again."""
        while not self._leaving:
            self._woken.clear()
            looks.publish_brought()
            while self._commands and not self._leaving:
                looks.carry_out(self._commands.popleft())
            rest_s = until_s - time.monotonic()
            if rest_s <= 0 or self._leaving:
                return
            self._woken.wait(rest_s)

    def _show_output(self, *, last: bool = False) -> None:
        if self._command is None:
            return
        lines, left_out = self._command.lines(last=last)
        if left_out:
            text = f"{left_out:,} lines of its output are left out here: they came faster than anybody can read"
            self._publish(ev.Log(text=text, level="warning"))
        if lines:
            self._publish(ev.Log(text="\n".join(lines), origin="output"))

    def _warn_of_blindness(self) -> None:
        from .observe.target import require_sight

        try:
            require_sight(self._root)
        except ObserveError as error:
            self._publish(ev.Log(text=str(error), level="warning"))

    # the end

    def _end(self, looks: Looks) -> None:
        """The tree is gone."""
        if self._command is not None:
            self._command.wait()
            self._conclude_command(self._command)
            return
        outcome: ev.Outcome = "hang" if looks.stuck else "completed"
        code = ExitCode.HANG if looks.hung else ExitCode.COMPLETED
        self._finish(outcome, code, what=f"process {self._root} has ended")

    def _conclude(self, cancel: Cancel) -> None:
        """Somebody left a tree that goes on."""
        looks, left = self._looks, f"process {self._root} was left"
        if looks is not None and looks.hung:
            what = f"{left} as it hangs" if looks.stuck else f"{left}; it hung for a while"
            self._finish("hang" if looks.stuck else "interrupted", ExitCode.HANG, what=what)
            return
        try:
            if looks is None or looks.undecided:
                from .observe.target import require_sight

                require_sight(self._root)
        except ObserveError as error:
            self._finish("failed", error.exit_code, what=error.what, hint=error.hint)
        else:
            self._finish("interrupted", 128 + cancel.by, what=f"{left}, and goes on")

    def _conclude_command(self, command: Captured) -> None:
        code = command.exit_code or 0
        self._show_output(last=True)
        by_signal = code - 128 in signal.valid_signals()
        how = f"by {signal_name(code - 128)} (exit code {code})" if by_signal else f"with exit code {code}"
        self._finish("failed" if code else "completed", code, what=f"the command ended {how}")

    def _publish(self, event: ev.Event, source: ev.Source = "session") -> None:
        """Says it, unless all has been said."""
        with self._publishing:
            if self._publisher.state.finished is None:
                self._out.put(self._publisher.publish(event, source))

    def _finish(self, outcome: ev.Outcome, exit_code: int, *, what: str, hint: str = "") -> None:
        hint = hint or self._publisher.trouble
        elapsed_s = time.monotonic() - self._began_s
        self._publish(
            ev.RunFinished(outcome=outcome, exit_code=int(exit_code), elapsed_s=elapsed_s, what=what, hint=hint)
        )


def _words(root: int) -> tuple[str, ...]:
    """The command line of a process. Raises ObserveError when it cannot be looked at."""
    from .observe import tree
    from .observe.target import refuse_unfit

    refuse_unfit(root)
    first = next(iter(tree.snapshot(root)), None)
    if first is None:
        raise ObserveError(f"process {root} ended before it was looked at")
    return first.cmdline
