"""Events survive their way through JSON, and the fold agrees with them whatever comes."""

from __future__ import annotations

import dataclasses
from typing import get_args

import msgspec
import pytest
from cvdebug.core import events as ev
from cvdebug.core.errors import InputError
from cvdebug.core.model import Certainty, Culprit, Phase, Remedy, Strategy, Verdict
from cvdebug.core.state import RunState, fold
from hypothesis import given
from hypothesis import strategies as st

TEXT = st.text(alphabet=st.characters(codec="utf-8"), max_size=30)
COUNT = st.integers(0, 2**40)
PHASES = st.sampled_from(Phase)
STAMP = {"seq": COUNT, "at": st.floats(0, 2e9), "source": st.sampled_from(["session", "subject", "diagnosis"])}

EVENTS = st.one_of(
    st.builds(ev.PhaseStarted, phase=PHASES, total=COUNT, done=COUNT, unit=TEXT, detail=TEXT, **STAMP),
    st.builds(ev.PhaseProgress, phase=PHASES, done=COUNT, total=COUNT, detail=TEXT, **STAMP),
    st.builds(ev.PhaseFinished, phase=PHASES, done=COUNT, total=COUNT, detail=TEXT, kept=st.booleans(), **STAMP),
    st.builds(
        ev.SubjectStarted,
        pid=COUNT,
        start_method=TEXT,
        workers=COUNT,
        parallelism=TEXT,
        strategy=st.none() | st.sampled_from(Strategy),
        **STAMP,
    ),
    st.builds(ev.WorkerStarted, role=TEXT, pid=COUNT, **STAMP),
    st.builds(ev.WorkerEnded, role=TEXT, pid=COUNT, exit_code=st.integers(-64, 255), **STAMP),
    st.builds(ev.FileSkipped, file=TEXT, reason=TEXT, number=COUNT, **STAMP),
    st.builds(ev.FilesSkipped, number=COUNT, kinds=st.dictionaries(TEXT, COUNT), **STAMP),
    st.builds(ev.Log, text=TEXT, **STAMP),
    st.builds(ev.Embedded, kept=COUNT, computed=COUNT, **STAMP),
    st.builds(ev.Failed, what=TEXT, hint=TEXT, phase=st.none() | PHASES, **STAMP),
    st.builds(ev.Stuck, phase=st.none() | PHASES, dead=st.lists(COUNT).map(tuple), **STAMP),
    st.builds(
        ev.RunFinished,
        outcome=st.sampled_from(get_args(ev.Outcome)),
        exit_code=st.integers(0, 255),
        elapsed_s=st.floats(0, 1e9),
        **STAMP,
    ),
)


@given(EVENTS)
def test_an_event_survives_json(event: ev.Event) -> None:
    line = ev.encode(event)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert ev.decode(line) == event


def test_every_event_type_can_be_decoded() -> None:
    tags = {kind.__struct_config__.tag for kind in get_args(ev.AnyEvent)}
    assert tags == {kind.__struct_config__.tag for kind in ev.Event.__subclasses__()}


def test_a_line_of_another_version_is_refused() -> None:
    line = ev.encode(ev.Log(text="x")).replace(b'"v":1', b'"v":2')
    with pytest.raises(InputError, match="format version 2"):
        ev.decode(line)


@given(st.binary(max_size=60))
def test_noise_is_refused_with_a_sentence(line: bytes) -> None:
    with pytest.raises(InputError):
        ev.decode(line)


def test_a_verdict_is_flat() -> None:
    verdict = Verdict(
        slug="rayon-fork-deadlock",
        title="t",
        certainty=Certainty.PROVEN,
        culprits=(Culprit(pid=1, tid=1, role="worker 1"),),
        evidence=("e",),
        explanation="x",
        fixes=(Remedy(title="f", cost="c"),),
        disproof="d",
    )
    fields = msgspec.json.decode(ev.encode(ev.verdict_event(verdict)))
    assert fields["type"] == "verdict"
    assert fields["slug"] == "rayon-fork-deadlock"
    assert fields["certainty"] == "proven"
    assert fields["culprits"] == [{"pid": 1, "tid": 1, "role": "worker 1"}]


@given(st.lists(EVENTS, max_size=30))
def test_the_fold_is_pure_and_never_fails(events: list[ev.Event]) -> None:
    state = RunState()
    for event in events:
        before = msgspec.structs.asdict(state)
        after = fold(state, event)
        assert msgspec.structs.asdict(state) == before
        assert after == fold(state, event)
        state = after
    now = 3e9
    for phase in state.phases.values():
        assert phase.rate >= 0
        assert phase.elapsed_s(now) >= 0
        assert phase.eta_s is None or phase.eta_s >= 0


@given(st.lists(EVENTS, max_size=20))
def test_a_replayed_journal_gives_the_same_state(events: list[ev.Event]) -> None:
    live = replayed = RunState()
    for event in events:
        live = fold(live, event)
        replayed = fold(replayed, ev.decode(ev.encode(event)))
    assert live == replayed


def stamped(event: ev.Event, at: float) -> ev.Event:
    return ev.stamp(event, at=at, source="subject")


def test_rate_and_time_left_count_only_this_attempts_work() -> None:
    state = fold(RunState(), stamped(ev.PhaseStarted(phase=Phase.EMBED, total=1000, done=600), 100.0))
    state = fold(state, stamped(ev.PhaseProgress(phase=Phase.EMBED, done=700), 102.0))
    embed = state.phases[Phase.EMBED]
    assert embed.rate == pytest.approx(50.0)
    assert embed.eta_s == pytest.approx(6.0)
    assert state.result_pending


def test_a_new_subject_begins_with_fresh_phases_and_keeps_the_verdict() -> None:
    state = fold(RunState(), stamped(ev.PhaseStarted(phase=Phase.CLEANUP, total=10), 1.0))
    verdict = ev.VerdictReached(
        slug="s", title="", certainty="proven", culprits=(), evidence=(), explanation="", fixes=(), disproof=""
    )
    state = fold(state, stamped(verdict, 2.0))
    state = fold(state, stamped(ev.Stuck(phase=Phase.CLEANUP, dead=(7,)), 2.0))
    assert state.status == "proven deadlock"
    started = ev.SubjectStarted(pid=1, start_method="fork", workers=2, parallelism="off", strategy=Strategy.SERIAL)
    state = fold(state, stamped(started, 3.0))
    assert state.status == "fixing"
    assert state.phases[Phase.CLEANUP].status == "waiting"
    assert "s" in state.verdicts


def test_events_are_frozen() -> None:
    event = ev.Log(text="x")
    with pytest.raises((AttributeError, dataclasses.FrozenInstanceError)):
        event.text = "y"  # type: ignore[misc]


def test_text_that_is_no_unicode_is_replaced_and_not_refused() -> None:
    line = ev.encode(ev.FileSkipped(file="caf\udce9.txt", reason="unreadable", number=1))
    event = ev.decode(line)
    assert isinstance(event, ev.FileSkipped)
    assert event.file == "caf?.txt"
