"""Whether a child that was forked after `encode_batch` hangs in its own: `python -m cvdebug.core.pipeline.fork_trial`.

Run it with TOKENIZERS_PARALLELISM=true. Prints one JSON object (see core.doctor.forks.Outcome). The child is ended and
reaped whatever it does, and this takes a few seconds at most, so that nothing is left when nobody waits for it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import warnings

import tokenizers

from .tokenizer import load

TEXTS = ["one two three", "four five"] * 8  # two or more: a batch of one never hangs
_LEAST_S = 2.0
# A child gets this many times what the parent took, for a machine that is busy.
_TIMES = 50
_POLL_S = 0.01


def main() -> None:
    """Runs the trial, and prints what came of it."""
    tokenizer = load()
    began_s = time.monotonic()
    tokenizer.encode_batch(TEXTS)  # starts the pool of native threads
    patience_s = max(_LEAST_S, _TIMES * (time.monotonic() - began_s))
    warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn of exactly what is tried here
    began_s = time.monotonic()
    if (child := os.fork()) == 0:
        code = 1
        try:
            tokenizer.encode_batch(TEXTS)
            code = 0
        finally:
            os._exit(code)
    ended = _ended(child, began_s + patience_s)
    waited_s = time.monotonic() - began_s
    sys.stdout.write(json.dumps({"version": tokenizers.__version__, "ended": ended, "waited_s": waited_s}))


def _ended(child: int, due: float) -> int | None:
    """Its exit code, or None when it had to be ended."""
    while time.monotonic() < due:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        time.sleep(_POLL_S)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


if __name__ == "__main__":
    main()
