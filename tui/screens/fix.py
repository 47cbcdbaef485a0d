"""The fix: the ways to finish a hung run, what each costs and does, and the decision. It plans nothing itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar, NamedTuple

from textual.binding import Binding, BindingType
from textual.widget import Widget

from ...core.commands import Fix, Propose
from ...core.events import FixPlanned, FixRefused, FixStarted
from ...core.model import Strategy
from ...core.state import RunState
from ..drawing import fix_lines
from ..scene import Scene
from ..text import clean, shortened
from ..widgets.choices import Choices
from ..widgets.key_bar import Hint, KeyBar
from ..widgets.prose import Paragraph, Prose
from ..widgets.rows import Rows
from .confirm import Asking, ConfirmScreen

_HINTS = (
    Hint("↑↓", "choose"),
    Hint("enter", "fix it", "confirm"),
    Hint("m", "measure the price", "measure"),
    Hint("esc", "leave it as it is", "leave"),
)
_HINTS_OF_TREE = tuple(hint for hint in _HINTS if hint.key != "m")
_HINTS_OF_NOTHING = (Hint("esc", "close", "leave"),)


class _Known(NamedTuple):
    """What there was of a strategy when something was asked: any other value is the answer."""

    proposal: FixPlanned | None
    refusal: FixRefused | None
    started: FixStarted | None


class FixScreen(Asking[None]):
    """Opens by asking for every plan; shows the answers as they come, and closes when a fix begins.

    It looks at the run itself, not at a scene that may be paused: a decision is about what is there now.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("m", "measure", show=False)]
    DEFAULT_CSS = """
    FixScreen > Vertical { height: 30; }
    FixScreen #head { height: 2; }
    FixScreen #ways { height: 7; border-top: solid $panel; }
    FixScreen #plan { border-top: solid $panel; border-title-color: $primary; }
    """

    def __init__(self, *, followed: bool = False) -> None:
        """Of a tree that is `followed` there is nothing to measure: nothing is started."""
        super().__init__("Fix the hang", _HINTS if not followed else _HINTS_OF_TREE)
        self._measuring: dict[Strategy, _Known] = {}
        self._asked: tuple[Strategy, _Known] | None = None
        self._by_hand = False

    def body(self) -> Iterable[Widget]:
        head, plan = Prose(id="head"), Prose(id="plan")
        head.can_focus = False
        plan.border_title = "The plan"
        return head, Choices(id="ways"), plan

    def on_mount(self) -> None:
        self.query_one(Choices).focus()
        self.app.send(Propose())

    @property
    def _state(self) -> RunState:
        return self.app.bridge.state

    def show(self, scene: Scene) -> None:
        state = self._state
        if self._asked is not None and state.fix_started is not self._asked[1].started:
            self.dismiss()
            return
        self._take_answers(state)
        self.query_one(KeyBar).show_hints(self._hints if fix_lines.fixable(state) else _HINTS_OF_NOTHING)
        ways, offers = self.query_one(Choices), fix_lines.offers(state)
        ways.show_rows({strategy: fix_lines.row(state, strategy, self._measuring) for strategy in offers})
        if offers and not self._by_hand:
            ways.put_cursor(offers[0])
        self.query_one("#head", Prose).say(list(self._head(state)))
        self.query_one("#plan", Prose).say(list(self._plan(state)))

    def _take_answers(self, state: RunState) -> None:
        for strategy, before in list(self._measuring.items()):
            now = _known(state, strategy)
            priced = now.proposal is not None and now.proposal.prices and now.proposal is not before.proposal
            if priced or now.refusal not in (None, before.refusal) or not fix_lines.fixable(state):
                del self._measuring[strategy]
        if self._asked is not None:
            strategy, before = self._asked
            refused = state.refusals.get(strategy)
            if (refused is not None and refused is not before.refusal) or not fix_lines.fixable(state):
                self._asked = None
                self._by_hand = True  # the cursor stays where the reason can be read

    def _head(self, state: RunState) -> Iterator[Paragraph]:
        if not fix_lines.fixable(state):
            yield Paragraph(_vanished(state), "warn")
            return
        if self._asked is not None:
            yield Paragraph(f"{self._asked[0]} is asked for: it is planned now, and then begins…", "accent")
            return
        if state.attached is not None:
            command = shortened(clean(" ".join(state.attached.command)), 60)
            yield Paragraph(f"! PID {state.attached.pid} is somebody else's program: {command}", "warn")
            yield Paragraph("What the ended workers hold in memory is lost. Nothing has ended yet.", "warn")
        elif state.proposals or state.refusals:
            yield Paragraph("Nothing has ended yet, and what is computed is kept. Choose how to finish it.")
        else:
            yield Paragraph("Asking what can be done…")

    def _plan(self, state: RunState) -> Iterator[Paragraph]:
        if self._chosen is not None:
            yield from fix_lines.plan(state, self._chosen, self._measuring)
        else:
            yield Paragraph("Here the plan will stand, as soon as there is an answer.", "dim")

    @property
    def _chosen(self) -> Strategy | None:
        cursor = self.query_one(Choices).cursor
        return cursor if isinstance(cursor, Strategy) and cursor in fix_lines.offers(self._state) else None

    def on_rows_moved(self, message: Rows.Moved) -> None:
        self._by_hand = self._by_hand or message.by_hand
        self.show(self.app.scene)

    def action_measure(self) -> None:
        strategy = self._chosen
        if strategy is None or strategy in self._measuring:
            return
        if not fix_lines.measurable(self._state, strategy):
            self.app.notify(f"{strategy} has no price that could be measured here.", markup=False)
            return
        self._measuring[strategy] = _known(self._state, strategy)
        self.app.send(Propose(measure=strategy))
        self.show(self.app.scene)

    def action_confirm(self) -> None:
        state, strategy = self._state, self._chosen
        if not fix_lines.fixable(state):
            self.app.notify(_vanished(state), markup=False)
        elif strategy is None or self._asked is not None:
            return
        elif reason := fix_lines.refused(state, strategy):
            self.app.notify(clean(f"{strategy} is refused here: {reason}. Choose another one."), markup=False)
        elif strategy is Strategy.UNBLOCK:
            self._ask_consent(state)
        else:
            self._fix(strategy)

    def _ask_consent(self, state: RunState) -> None:
        proposed = state.proposals.get(Strategy.UNBLOCK)
        lost = "That session is not this run's own. What it has done in its open transaction is lost."
        reasons = [Paragraph(lost, "warn"), *(Paragraph(step) for step in (proposed.steps if proposed else ()))]
        screen = ConfirmScreen("Other people's work is lost", reasons, yes=f"Yes, {fix_lines.consent(state)}")
        self.app.push_screen(screen, lambda yes: self._fix(Strategy.UNBLOCK, yes=True) if yes else None)

    def _fix(self, strategy: Strategy, *, yes: bool = False) -> None:
        if not fix_lines.fixable(self._state):
            self.app.notify(_vanished(self._state), markup=False)
            return
        self._asked = strategy, _known(self._state, strategy)
        self.app.paused = None  # a fix is to be seen
        self.app.send(Fix(strategy, yes=yes))
        self.show(self.app.scene)


def _known(state: RunState, strategy: Strategy) -> _Known:
    return _Known(state.proposals.get(strategy), state.refusals.get(strategy), state.fix_started)


def _vanished(state: RunState) -> str:
    if state.finished is not None:
        return "The run has ended meanwhile: there is nothing to fix any more. Escape closes this."
    if state.status == "fixing":
        return "A fix runs already. Escape closes this."
    return "It moves again by itself: there is nothing to fix any more. Escape closes this."
