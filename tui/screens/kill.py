"""Chooses a signal for one process. It sends nothing before a second yes."""

from __future__ import annotations

import signal
from collections.abc import Hashable, Iterable, Iterator

from textual.widget import Widget

from ...core.commands import Kill
from ...core.seen import ProcessSeen
from ...core.state import RunState
from ..scene import Scene
from ..text import clean
from ..widgets.choices import Choices
from ..widgets.key_bar import Hint
from ..widgets.prose import Paragraph, Prose
from ..widgets.rows import Part, Rows
from .confirm import Asking, ConfirmScreen

SIGNALS = {
    signal.SIGTERM: "asks it to end; Python ends unless it has a handler",
    signal.SIGINT: "as Ctrl-C: KeyboardInterrupt in the main thread",
    signal.SIGSTOP: "stops it where it is; it cannot refuse",
    signal.SIGCONT: "lets it go on after a stop",
    signal.SIGABRT: "ends it at once, with a core dump where that is switched on",
    signal.SIGQUIT: "ends it as from the keyboard, with a core dump where that is switched on",
    signal.SIGHUP: "says that its terminal is gone; ends it unless it has a handler",
    signal.SIGKILL: "ends it at once; it cannot refuse, and cleans nothing up",
}
_HARMLESS = (signal.SIGCONT, signal.SIGSTOP)
_HINTS = (Hint("↑↓", "choose"), Hint("enter", "send it", "confirm"), Hint("esc", "send nothing", "leave"))


class KillScreen(Asking[None]):
    """The signals with what each does, for the process that was selected when it opened."""

    DEFAULT_CSS = """
    KillScreen > Vertical { height: 18; }
    KillScreen #whom { height: 2; }
    KillScreen #signals { height: 9; border-top: solid $panel; }
    """

    def __init__(self, process: ProcessSeen) -> None:
        super().__init__(f"Send a signal to {_name(process)}", _HINTS)
        self._process = process

    def body(self) -> Iterable[Widget]:
        whom = Prose(id="whom")
        whom.can_focus = False
        return whom, Choices(id="signals"), Prose(id="warning")

    def on_mount(self) -> None:
        rows: dict[Hashable, list[Part]] = {
            number: [(f"{number.name[3:]:<6}", "bold"), (does, "")] for number, does in SIGNALS.items()
        }
        choices = self.query_one(Choices)
        choices.show_rows(rows)
        choices.focus()

    def show(self, scene: Scene) -> None:
        """A process that is gone, or another one of the same number, is not sent anything."""
        command = " ".join(self._process.command)
        whom = Paragraph(command[:200], "dim") if self._there else Paragraph(self._gone, "warn")
        self.query_one("#whom", Prose).say([whom])
        warnings = list(_warnings(self._process, self._signal, self.app.bridge.state))
        self.query_one("#warning", Prose).say([Paragraph(f"! {text}", "warn") for text in warnings])

    def on_rows_moved(self, message: Rows.Moved) -> None:
        self.show(self.app.scene)

    def action_confirm(self) -> None:
        if not self._there:
            self._say_gone()
            return
        number = self._signal
        reasons = [Paragraph(f"{number.name} {SIGNALS[number]}."), *(
            Paragraph(text, "warn") for text in _warnings(self._process, number, self.app.bridge.state)
        )]  # fmt: skip
        question = f"Send {number.name} to {_name(self._process)}?"
        screen = ConfirmScreen(question, reasons, yes="Yes, send it")
        self.app.push_screen(screen, lambda yes: self._send(number) if yes else None)

    def _send(self, number: signal.Signals) -> None:
        if self._there:
            self.app.send(Kill(self._process.pid, self._process.start_ticks, number))
            self.dismiss()
        else:
            self._say_gone()

    @property
    def _signal(self) -> signal.Signals:
        cursor = self.query_one(Choices).cursor
        return cursor if isinstance(cursor, signal.Signals) else signal.SIGTERM

    @property
    def _there(self) -> bool:
        now = self.app.bridge.state.processes.get(self._process.pid)
        return now is not None and now.start_ticks == self._process.start_ticks

    @property
    def _gone(self) -> str:
        return f"PID {self._process.pid} is gone meanwhile: there is nobody to send a signal to."

    def _say_gone(self) -> None:
        self.app.notify(self._gone, markup=False)


def _name(process: ProcessSeen) -> str:
    return clean(f"PID {process.pid}" + (f" ({process.role})" if process.role else ""))


def _warnings(process: ProcessSeen, number: signal.Signals, state: RunState) -> Iterator[str]:
    """What else a person should know before this signal goes to this process."""
    if state.attached is not None:
        whose = "the command that cvdebug watches" if state.attached.watched else "somebody else's program"
        yield f"This is {whose}, not a run of cvdebug."
    if number is signal.SIGSTOP:
        yield "It stands still until it is sent CONT, and whoever waits for it waits too."
    if number in _HARMLESS:
        return
    if process.pid == state.subject_pid and state.attached is None:
        yield f"This is the subject: the run ends with it. cvdebug resume {state.run} finishes it from what is kept."
    elif process.pid in state.workers and state.result_pending:
        yield "This worker still owes vectors: the batch in its hands is lost, and computed again at a resume."
