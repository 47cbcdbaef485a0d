"""Runs the checks side by side, each with a deadline. No check can hang the doctor or end it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager

from ..errors import CvdebugError, sentences
from ..libpq import FROM_ENVIRONMENT, meddling
from . import children
from .check import Answer, Check, Finding, Machine, failed

_LIMITS = "See the checks open-files, processes and memory."


def examine(machine: Machine, checks: Sequence[Check]) -> Generator[Finding, None, None]:
    """The findings in the order of the checks, each as soon as it and those before it are known.

    What a check started is ended when this ends, however it ends.
    """
    try:
        with _settled_environment(machine):
            running = [_Running(check, machine) for check in checks]
            for each in running:
                yield each.finding()
    finally:
        children.end_all()
        machine.shared.close()


class _Running:
    """A check on a thread of its own, which is left to itself when it is overdue."""

    def __init__(self, check: Check, machine: Machine) -> None:
        self._check = check
        self._answer: Answer | None = None
        self._due = time.monotonic() + check.deadline_s
        self._thread = threading.Thread(target=self._run, args=(machine,), name=f"doctor-{check.name}", daemon=True)
        if check.quick:
            self._run(machine)
            return
        try:
            self._thread.start()
        except RuntimeError as error:  # as many as are allowed run already
            self._answer = failed(f"it could not be tried: {error}", _LIMITS)

    def finding(self) -> Finding:
        """Waits until it has answered or is overdue."""
        if self._thread.ident is not None:
            self._thread.join(max(0.0, self._due - time.monotonic()))
        answer = self._answer or failed(
            f"no answer within {self._check.deadline_s:g} s", "Try again when the machine is less busy."
        )
        return Finding(
            name=self._check.name, status=answer.status, found=answer.found, why=self._check.why, hint=answer.hint
        )

    def _run(self, machine: Machine) -> None:
        try:
            self._answer = self._check.probe(machine)
        except CvdebugError as error:
            self._answer = failed(error.what, sentences(error.hint))
        except ImportError as error:
            self._answer = failed(f"it needs what cannot be imported: {error}", "See the check packages.")
        except OSError as error:
            self._answer = failed(f"it could not be tried: {error}", _LIMITS)
        except KeyboardInterrupt:  # in the main thread, where the quick ones run
            raise
        except BaseException as error:  # noqa: BLE001  (a broken check is a finding, and the others go on)
            what = f"the check itself broke: {type(error).__name__}: {error}"
            self._answer = failed(what, "Please report it with what you ran.")


@contextmanager
def _settled_environment(machine: Machine) -> Iterator[None]:
    """The PG* variables are away meanwhile, unless they are to be used: a connection takes them away for a moment,
    and another thread that starts a program just then would trip over it."""
    hidden = {} if machine.settings.dsn == FROM_ENVIRONMENT else meddling()
    for name in hidden:
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(hidden)
