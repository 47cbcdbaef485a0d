"""How a run can end: its outcome, its exit code, and a sentence for each. Pure."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from typing import NamedTuple

from .errors import CvdebugError, ExitCode, of_system
from .events import Failed, FixRefused, Outcome
from .exits import signal_name
from .model import Certainty


class End(NamedTuple):
    """`what` and `hint` are as in CvdebugError, empty where there is nothing to say."""

    outcome: Outcome
    exit_code: int
    what: str = ""
    hint: str = ""


def by_subject(exit_code: int, failure: Failed | None) -> End:
    """The subject has ended by itself, or its guardian was killed (a code below 0); `failure` is what it said."""
    if exit_code == 0:
        return End("completed", ExitCode.COMPLETED)
    if failure is not None:
        return End("failed", ExitCode.FAILED, failure.what, failure.hint)
    if exit_code < 0:
        who, how = "guardian", f"by {signal_name(-exit_code)}"
    else:
        who, how = "subject", f"by {signal_name(exit_code - 128)}" if exit_code > 128 else f"with code {exit_code}"
    return End("failed", ExitCode.FAILED, f"the {who} was ended {how}, without a word")


def by_error(error: CvdebugError | OSError) -> End:
    """It could not begin, or not go on."""
    said = error if isinstance(error, CvdebugError) else of_system(error)
    return End("failed", said.exit_code, said.what, said.hint)


def by_person(by: signal.Signals, *, held: bool) -> End:
    """Somebody wanted it to end; `held`: it hung, and had been kept alive for them."""
    if held and by is signal.SIGINT:
        return End("hang", ExitCode.HANG, "the hung tree was held, and is ended now")
    return End("interrupted", 128 + by, f"interrupted by {by.name}")


def by_hang(certainty: Certainty) -> End:
    """It hangs, and nobody wanted that fixed or held."""
    return End("hang", ExitCode.HANG, f"the run hangs, and {_SURE.get(certainty, 'that is not proven, but likely')}")


_SURE = {Certainty.PROVEN: "nothing can wake it", Certainty.CERTAIN: "the facts admit nothing else"}


def by_refusal(refused: FixRefused) -> End:
    """It hangs, and the fix that was asked for beforehand cannot be had."""
    return End("hang", ExitCode.HANG, f"{refused.strategy} is refused: {refused.reason}")


def by_time_limit(limit_s: float, dead: Sequence[int]) -> End:
    """Its time is over; `dead` are the workers that are proven dead."""
    over = f"the time limit of {limit_s:g} s is over"
    if dead:
        return End("hang", ExitCode.HANG, f"{over}, and PID {', '.join(map(str, dead))} can never go on")
    hint = "Give it more time, or look where it is with py-spy dump while it runs."
    return End("timeout", ExitCode.TIMEOUT, f"{over}, and no hang is proven", hint)
