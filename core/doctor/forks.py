"""What the installed tokenizers does after a fork: tried, never read from a version."""

from __future__ import annotations

import msgspec

from . import children
from .check import Answer, Machine, failed, note, warning

VARIABLE = "TOKENIZERS_PARALLELISM"
_TRIAL = "cvdebug.core.pipeline.fork_trial"
_TRIAL_S = 12.0
_SAFE = f"Set {VARIABLE}=false before the fork, or start workers by spawn or forkserver."


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What core.pipeline.fork_trial prints. `ended` is the child's exit code, None when it hung and was ended."""

    version: str
    ended: int | None
    waited_s: float


def tokenizers(machine: Machine) -> Answer:
    """Encodes a batch, forks, and has the child encode another, with the parallelism on."""
    environment = {**machine.environment, VARIABLE: "true"}
    reply = children.ask([machine.python, "-P", "-m", _TRIAL], environment=environment, deadline_s=_TRIAL_S)
    if reply.code is None:
        return failed(f"the trial did not end within {_TRIAL_S:g} s", "Try again when the machine is less busy.")
    if reply.code:
        return failed(f"tokenizers does not work: {reply.last_words}", "pip install --force-reinstall 'tokenizers<1'")
    return judged(msgspec.json.decode(reply.out, type=Outcome), machine.environment.get(VARIABLE))


def judged(outcome: Outcome, value: str | None) -> Answer:
    """What follows from the trial, where the variable has this value; None when it is not set."""
    if outcome.ended is None:
        found = (
            f"{outcome.version}: a child forked after encode_batch hangs in its own, tried for {outcome.waited_s:.1f} s"
        )
        if (value or "").lower() in ("true", "1", "on", "yes", "y", "t"):
            return warning(f"{found}; {VARIABLE}={value} is set here", _SAFE)
        return note(found, _SAFE)
    if outcome.ended:
        return failed(f"{outcome.version}: encode_batch in a forked child ended with {outcome.ended}", "Is it damaged?")
    found = f"{outcome.version}: a forked child encodes a batch without hanging"
    return note(found, "Then --parallelism on shows no deadlock here: install tokenizers 0.22 to see it.")
