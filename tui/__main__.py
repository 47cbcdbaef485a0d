"""The console script `cvdebug`, and `python -m cvdebug.tui`. `watch` starts its command before all else is imported.

Here stands what holds for every command, whatever happens in it: Ctrl-C is never a traceback, from the first import
to the last flush, and a defect of cvdebug is a sentence that says how to report it.
"""

from __future__ import annotations

import gc
import os
import signal
import sys

# Shows the traceback of a defect, for whoever reports it.
TRACEBACK = "CVDEBUG_TRACEBACK"


def main() -> None:
    """Runs the command line."""
    catches = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # a shell may have it ignored
    if catches:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # until the command runs there is nothing to tidy up
    try:
        _run(catches=catches)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    except Exception as error:
        if os.environ.get(TRACEBACK):
            raise
        _confess(error)
        sys.exit(1)
    finally:
        if catches:
            signal.signal(signal.SIGINT, signal.SIG_DFL)


def _run(*, catches: bool) -> None:
    if sys.argv[1:2] == ["watch"]:
        from .commands.watch_command import start

        start(sys.argv[2:])
    if sys.argv[1:2] == ["run"]:
        _run_quickly(catches=catches)
    from .cli import main as others

    if catches:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    others()


def _run_quickly(*, catches: bool) -> None:
    """The app without what only the other commands need; it returns where that cannot be."""
    gc.disable()  # what is imported stays: looking through it again and again takes a tenth of the time
    from .commands.outcome import carry_out
    from .commands.quick import run

    if catches:
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def command() -> None:
        if (code := run(sys.argv[2:])) is not None:
            sys.exit(code)

    carry_out(command)
    gc.enable()


def _confess(error: Exception) -> None:
    """Says what went wrong in cvdebug itself. The message may hold anything: it is cleaned and its secrets hidden."""
    from ..core.secrets import redact
    from .text import clean, shortened

    what = f"{type(error).__name__}: {shortened(clean(redact(str(error))), 300)}"
    if isinstance(error, ImportError):
        text = f"its installation is not complete: {what}. Try: pip install --force-reinstall cvdebug."
    else:
        text = f"this is a defect of cvdebug, not of your program: {what} ({_place(error)}). Please report it with what"
        text += f" you ran; {TRACEBACK}=1 before the command shows all of it."
    if sys.stderr is not None:
        try:
            sys.stderr.write(f"cvdebug: {text}\n")
            sys.stderr.flush()
        except (OSError, ValueError):
            return  # nobody listens


def _place(error: Exception) -> str:
    """The file and line where it happened."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}" if trace else "?"


if __name__ == "__main__":
    main()
