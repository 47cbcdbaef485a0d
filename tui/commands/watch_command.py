"""`watch`: runs a command as if cvdebug were not there, and says on standard error when it hangs.

The command is started before anything else is imported. The looks happen on a thread of their own, so that signals
and the command's end never wait for them; whatever goes wrong there is said, and harms nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from ...core.errors import CvdebugError, UsageError
from ...core.supervise.command import Command, NotStarted, require_runnable

if TYPE_CHECKING:
    from ...core.diagnose.follow import Look
    from ...core.diagnose.investigate import Finding
    from ...core.evidence_file import EvidenceFile
    from ...core.following import Following
    from ...core.model import Verdict

LOOK_EVERY_S = 0.25
# The same verdict with other culprits is said again, but a tree that always has new ones must not fill a log.
REPEAT_S = 30.0
# How long the end of this process waits for the verdict to be written, where nobody reads standard error.
WRITE_S = 3.0
_EVIDENCE = 4
_CULPRITS = 8

DESCRIPTION = """\
Runs a command in this terminal as if cvdebug were not there: input, output, signals, job control and the exit code
pass through. When it hangs, the cause and the ways out are said once on standard error.

With --app it runs inside the app instead: its output is in the Log panel, its input is /dev/null, and it has no
terminal; q ends it, with everything below it. Python holds its output back where it is no terminal: PYTHONUNBUFFERED=1
helps.
"""
EPILOG = """\
Exit code: the command's, 128+N when signal N ended it, 124 when --on-hang kill ended it, 126 when it cannot be run,
127 when it was not found. Watching ends with the command: a daemon that it leaves behind lives on, without --app.
Example: cvdebug watch --on-hang kill -- pytest
"""


OPTIONS: dict[str, dict[str, Any]] = {
    "--on-hang": {
        "choices": ("report", "kill"), "default": "report", "help": "at a hang: say it, or end the whole tree too"
    },
    "--report": {"metavar": "FILE.md|.json", "help": "at a hang, write the evidence to a file"},
    "--dsn": {"metavar": "DSN", "help": "ask this PostgreSQL too"},
    "--native": {"action": "store_true", "help": "native stacks of living processes too: it stops them"},
    "--app": {"action": "store_true", "help": "run it inside the app, with its output in the Log panel"},
}  # fmt: skip
"""What argparse is told of each option; completion and the manual say the same."""


class Ask(NamedTuple):
    """What the command line asks for."""

    command: tuple[str, ...]
    kill: bool
    report: EvidenceFile | None
    dsn: str
    native: bool
    app: bool = False


def main(arguments: Sequence[str]) -> int:
    """Runs the command; the exit code. Raises UsageError, NotStarted."""
    ask = parse(arguments)
    if sys.platform != "linux":
        raise UsageError("watch runs on Linux only", hint="py-spy dump --pid PID shows the Python stacks here.")
    if ask.app:
        return _in_the_app(ask)
    command = Command(ask.command)
    import threading

    observer = Observer(ask, command)
    threading.Thread(target=observer.run, daemon=True, name="observer").start()
    code = command.wait()
    if observer.ended_it:
        observer.said.wait(WRITE_S)
    if command.left:
        _say(
            f"could not end PID {', '.join(map(str, command.left))}: not permitted, or it does not return from the disk"
        )
    return code


def _in_the_app(ask: Ask) -> int:
    """The same in the app. Raises UsageError without a terminal, NotStarted for what cannot be run."""
    from .. import terminal

    if not terminal.usable():
        raise UsageError("--app needs a terminal, and there is none", hint="Without --app the command runs as it is.")
    require_runnable(ask.command[0])
    from ..launch import show
    from ..openings import Source

    code = show(Source("watch", lambda: _captured(ask)))
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    return code


def _captured(ask: Ask) -> Following:
    from ...core.following import Following
    from ...core.supervise.captured import Captured

    command = Captured(ask.command)
    return Following(command.pid, dsn=ask.dsn, native=ask.native, command=command)


def start(arguments: Sequence[str]) -> NoReturn:
    """The whole of `cvdebug watch ARGUMENTS`, up to the end of this process.

    That comes at once when the command has ended: the usual way would wait for a look that is under way.
    """
    try:
        code = main(arguments)
    except NotStarted as error:
        _say(str(error))
        code = error.code
    except CvdebugError as error:
        _say(str(error))
        code = error.exit_code
    os._exit(code)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"watch: {message}", hint="Try: cvdebug watch --help")


def parse(arguments: Sequence[str]) -> Ask:
    """The flags up to the command; everything after it is the command's. Raises UsageError."""
    parser = _Parser(
        prog="cvdebug watch",
        usage="cvdebug watch [OPTIONS] -- COMMAND [ARGS]...",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    for name, how in OPTIONS.items():
        parser.add_argument(name, **how)
    parser.add_argument("command", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    asked = parser.parse_args(list(arguments))
    command = asked.command[1:] if asked.command[:1] == ["--"] else asked.command
    if not command:
        parser.error("there is no command to run")
    if asked.app and (asked.on_hang == "kill" or asked.report is not None):
        parser.error("--app shows a hang and leaves the rest to you: it excludes --on-hang kill and --report")
    file = None
    if asked.report is not None:
        import shlex
        from pathlib import Path

        from ...core.evidence_file import EvidenceFile

        file = EvidenceFile(Path(asked.report), command=shlex.join(["cvdebug", "watch", *arguments]))
    if asked.dsn is not None:
        from .attach import require_readable

        require_readable(asked.dsn)
    return Ask(tuple(command), asked.on_hang == "kill", file, asked.dsn or "", asked.native, asked.app)


class Observer:
    """Follows the command and says its hangs. `ended_it`: it asked for the command's end; `said`: and has said why."""

    def __init__(self, ask: Ask, command: Command) -> None:
        import threading

        self._ask = ask
        self._command = command
        self._told: dict[str, tuple[float, frozenset[int]]] = {}
        self.ended_it = False
        self.said = threading.Event()

    def run(self) -> None:
        """Looks until the process ends, or until the command is ended because of a hang."""
        try:
            self._follow()
        except Exception as error:  # noqa: BLE001  (a defect here must not harm the command)
            what = error if isinstance(error, CvdebugError) else f"{type(error).__name__}: {error}"
            _say(f"cannot look at the command any more: {what}")
        finally:
            self.said.set()

    def _follow(self) -> None:
        import time

        from ...core.diagnose.follow import Follower
        from ...core.diagnose.investigate import Options

        follower = Follower(self._command.pid, Options(dsn=self._ask.dsn, native=self._ask.native))
        while not self.ended_it:
            look = follower.look()
            self._tell(look)
            time.sleep(max(0.0, LOOK_EVERY_S - look.taken_s))

    def _tell(self, look: Look) -> None:
        from ...core.diagnose.judge import is_hang

        hangs = [verdict for verdict in look.verdicts if is_hang(verdict)]
        news = [verdict for verdict in hangs if self._is_new(verdict)]
        if not news or look.finding is None:
            return
        if self._ask.kill:
            self.ended_it = True
            self._command.end()  # first: whoever should read our words may be among those who hang
        for verdict in news:
            _say("\n".join(lines(verdict, look.finding)))
        if self.ended_it:
            _say("  ended, with everything below it, because of this (--on-hang kill): exit code 124")
        if self._ask.report is not None:
            self._write(self._ask.report, look.finding)

    def _is_new(self, verdict: Verdict) -> bool:
        import time

        now_s, pids = time.monotonic(), frozenset(culprit.pid for culprit in verdict.culprits)
        told = self._told.get(verdict.slug)
        if told is not None and (pids <= told[1] or now_s - told[0] < REPEAT_S):
            return False
        self._told[verdict.slug] = now_s, pids | (told[1] if told else frozenset())
        return True

    def _write(self, report: EvidenceFile, finding: Finding) -> None:
        import time

        try:
            report.write(finding, at=time.time())
        except CvdebugError as error:
            _say(str(error))


def lines(verdict: Verdict, finding: Finding) -> Iterator[str]:
    """A verdict in a few lines: who, where in their code, the first facts, the ways out."""
    from ...core.diagnose.case import who
    from ...core.secrets import redact
    from ..text import clean

    names = [who(culprit) for culprit in verdict.culprits]
    said = [f"{verdict.slug} ({verdict.certainty}): {verdict.title}"]
    if names:
        more = f" and {len(names) - _CULPRITS} more" if len(names) > _CULPRITS else ""
        said.append(f"  who: {', '.join(names[:_CULPRITS])}{more}")
    said += [f"  where: {place}" for place in _places(verdict, finding)]
    said += [f"  evidence: {line}" for line in verdict.evidence[:_EVIDENCE]]
    if len(verdict.evidence) > _EVIDENCE:
        said.append(f"  evidence: {len(verdict.evidence) - _EVIDENCE} lines more in a report (--report FILE)")
    for fix in verdict.fixes:
        said.append(f"  fix: {fix.title}. Cost: {fix.cost}")
        said += [f"       {fix.command}"] if fix.command else []
    said.append(f"  why: cvdebug explain {verdict.slug}")
    yield from (clean(redact(line)) for line in said)


def _places(verdict: Verdict, finding: Finding) -> Iterator[str]:
    """The innermost lines of Python of the first culprits, those that stand at one place together."""
    from ...core.diagnose.case import who
    from ...core.diagnose.outline import place
    from ...core.diagnose.picture import picture

    threads = {thread.tid: thread for process in picture(finding).processes for thread in process.threads}
    found: dict[str, list[str]] = {}
    for culprit in verdict.culprits:
        if where := place(threads[culprit.tid]) if culprit.tid in threads else "":
            found.setdefault(where, []).append(who(culprit))
    for where, names in list(found.items())[:_EVIDENCE]:
        yield f"{names[0] if len(names) == 1 else f'{len(names)} threads'} {where}"


def _say(text: str) -> None:
    """In one piece among the command's own lines. Whoever shares the stream may have made it non-blocking."""
    if sys.stderr is None:
        return
    import select

    with contextlib.suppress(OSError, ValueError):
        stream, data = sys.stderr.fileno(), f"cvdebug: {text}\n".encode(sys.stderr.encoding, "replace")
        while data:
            select.select([], [stream], [])
            with contextlib.suppress(BlockingIOError):
                data = data[os.write(stream, data) :]
