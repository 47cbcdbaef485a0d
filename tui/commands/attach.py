"""`attach`: looks at the tree of a process once, or follows it, and says what holds it up."""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from rich.text import Text

from ...core.errors import DatabaseError, ExitCode, ObserveError, UsageError
from ...core.evidence_file import EvidenceFile
from .. import report, terminal
from ..openings import ended_by_signals
from ..plain import line_console

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ...core.diagnose.investigate import Finding
    from ...core.diagnose.picture import Picture
    from ...core.diagnose.telling import News
    from ...core.following import Following
    from ...core.model import Verdict

EVERY_S = 0.25
# A look that was as quick as this is repeated when it shows nothing.
AGAIN_S = 1.0


class Wish(NamedTuple):
    """What the flags ask for."""

    once: bool
    json: bool
    plain: bool
    native: bool
    dsn: str | None
    report: Path | None
    record: Path | None = None

    @property
    def is_plain(self) -> bool:
        """Whether something is asked for that the app does not give."""
        return self.once or self.json or self.plain or self.report is not None


def attach(word: str | None, wish: Wish, choose: Callable[[], int]) -> int:
    """Looks at the process that `word` names, or that a person chooses; the exit code.

    3: a hang, proven, certain or likely. 0: none, or undecided. 130: Ctrl-C before a hang was found. Raises
    CvdebugError when it cannot look.
    """
    from ...core.observe.target import target  # imported here and below: usage errors should not wait for the judges

    if wish.json and wish.plain:
        raise UsageError("--json and --plain exclude each other")
    if wish.record is not None and (wish.once or wish.json or wish.report is not None):
        raise UsageError("--record follows a tree and keeps the events; --once, --json and --report do something else")
    file = EvidenceFile(wish.report, command=shlex.join(["cvdebug", *sys.argv[1:]])) if wish.report else None
    require_readable(wish.dsn)
    root = choose() if word is None else target(word)
    if not wish.is_plain and terminal.usable():
        return _in_the_app(root, wish)
    if wish.record is not None:
        return _recorded(root, wish)
    talk = _Talk(root, wish, file)
    return talk.once() if wish.once else talk.follow()


def _following(root: int, wish: Wish) -> Following:
    from ...core.following import Following

    return Following(root, dsn=wish.dsn or "", native=wish.native, record=wish.record)


def _in_the_app(root: int, wish: Wish) -> int:
    from ..launch import show
    from ..openings import Source

    return show(Source("attach", lambda: _following(root, wish)))


def _recorded(root: int, wish: Wish) -> int:
    """Follows and records, and says what a recording would."""
    from ..plain import Plain

    live = _following(root, wish)
    with ended_by_signals(live):
        return Plain().show(live.events())


def require_readable(dsn: str | None) -> None:
    """Raises CvdebugError for a connection string that cannot be read, before anything is looked at."""
    if dsn is None:
        return
    try:
        from ...core.database.dsn import parse
    except ImportError:
        raise DatabaseError(
            "--dsn needs psycopg, which cannot be imported here", hint="Leave --dsn out, or: pip install psycopg"
        ) from None
    parse(dsn)


class _Talk:
    """One attachment: looks, and what it says of them."""

    def __init__(self, root: int, wish: Wish, file: EvidenceFile | None) -> None:
        from ...core.diagnose.investigate import Options
        from ...core.diagnose.telling import Telling
        from ...core.observe.target import booted_at

        self._root = root
        self._wish = wish
        self._file = file
        self._options = Options(native=wish.native, dsn=wish.dsn or "")
        self._booted_at = booted_at()
        self._console = line_console(sys.stdout)
        self._finding: Finding | None = None
        self._telling = Telling()
        self._written: tuple[Verdict, ...] | None = None

    # once

    def once(self) -> int:
        """One look; a second one where the first shows nothing: a debugger, or another cvdebug, moves the dead."""
        from ...core.diagnose.investigate import investigate

        look = investigate(self._root, self._options)
        if look.taken_s < AGAIN_S and all(verdict.certainty == "undecided" for verdict in look.verdicts):
            look = investigate(self._root, self._options)
        self._take(look)
        finding = self._finding
        if finding is None or not finding.case.processes:
            raise ObserveError(f"process {self._root} ended while it was looked at")
        if self._wish.json:
            self._print_object(finding)
        else:
            self._show(finding)
        self._write(finding)
        return self._code(ExitCode.COMPLETED)

    # following

    def follow(self) -> int:
        """Looks until Ctrl-C, the end of the tree, or, for one JSON object, a hang."""
        try:
            ended = self._follow()
        except KeyboardInterrupt:
            ended = False
        finding = self._finding
        if self._wish.json:
            if finding is None:
                raise ObserveError(f"process {self._root} {'ended' if ended else 'was left'} before it was looked at")
            self._print_object(finding)
        elif ended:
            self._say(f"Process {self._root} has ended.")
        if finding is not None:
            self._write(finding)
        return self._code(ExitCode.COMPLETED if ended else ExitCode.INTERRUPTED)

    def _follow(self) -> bool:
        """Whether the tree has ended."""
        from ...core.diagnose.follow import Follower

        follower = Follower(self._root, self._options)
        while (look := follower.look()).processes:
            if look.finding is not None:
                news = self._take(msgspec.structs.replace(look.finding, verdicts=look.verdicts))
                if self._telling.hung and self._wish.json:
                    return False
                if news is not None and not self._wish.json:
                    self._tell(news)
            time.sleep(max(0.0, EVERY_S - look.taken_s))
        return True

    def _tell(self, news: News) -> None:
        """The tree at first, and at a hang; else a line for each verdict."""
        finding = self._finding
        assert finding is not None
        if news.first or news.hangs:
            self._show(finding)
        else:
            for verdict in news.verdicts:
                word = "It moves again. " if news.moves_again else ""
                self._say(f"{word}{report.headline(verdict).plain}")
        if self._telling.hung:
            self._write(finding)

    # what both do

    def _take(self, finding: Finding) -> News | None:
        self._finding = finding
        return self._telling.hear(finding.verdicts, time.monotonic())

    def _code(self, otherwise: ExitCode) -> int:
        """The exit code; where the waits are hidden and nothing was found, a sentence and 1."""
        from ...core.observe.target import require_sight

        if self._telling.hung:
            return ExitCode.HANG
        if self._telling.undecided:
            require_sight(self._root)
        return otherwise

    def _show(self, finding: Finding) -> None:
        from .. import tree_text

        shown = self._picture(finding)
        self._print(tree_text.tree(shown, self._console))
        for verdict in shown.verdicts:
            self._print(tree_text.verdict(verdict, self._root))
        self._print(tree_text.not_seen(shown))

    def _picture(self, finding: Finding) -> Picture:
        from ...core.diagnose.picture import picture

        return picture(finding, booted_at=self._booted_at)

    def _print_object(self, finding: Finding) -> None:
        from ...core.diagnose.document import document

        sys.stdout.write(json.dumps(document(finding, booted_at=self._booted_at)) + "\n")
        sys.stdout.flush()

    def _print(self, lines: Iterable[RenderableType]) -> None:
        for line in lines:
            self._console.print(line)

    def _say(self, sentence: str) -> None:
        self._console.print(Text.assemble((time.strftime("%H:%M:%S "), "dim"), sentence))

    def _write(self, finding: Finding) -> None:
        """The report, where it is wanted and would say something new."""
        if self._file is not None and self._written != finding.verdicts:
            self._file.write(finding, at=time.time(), booted_at=self._booted_at)
            self._written = finding.verdicts
