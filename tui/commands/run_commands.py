"""`run`, `resume`, `runs` and `scenarios`: from flags to the app, or to a session and a plain front end.

Rich, and what runs a session, is imported where it is needed: the first frame of the app does not wait for it.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from ...core import scenario as scenarios
from ...core.config import load
from ...core.errors import SpoolError, UsageError
from ...core.folders import runs_folder
from ...core.model import Strategy
from ...core.settings import ENV_PREFIX, Resolved, nearest, resolve
from ...core.spool import Spool, folders, in_use, spools
from .. import terminal
from ..run_opening import OnHang, ResumeOpening, RunOpening, Wish, with_absolute_paths
from ..text import clean, size

if TYPE_CHECKING:
    from ...core.session import Session


class View(NamedTuple):
    """How to show a run."""

    json: bool
    plain: bool
    record: Path | None
    tour: bool = False

    @property
    def in_app(self) -> bool:
        """Whether in the app: where there is a terminal, unless something else is asked for."""
        return not self.json and not self.plain and terminal.usable()


class HangPolicy(NamedTuple):
    """What to do at a hang, as the flags say it."""

    fix: bool
    fix_with: str | None
    hold: bool
    yes: bool = False


def run(name: str | None, flags: Mapping[str, Any], ask: HangPolicy, view: View) -> int:
    """Runs a scenario; the exit code."""
    if ask.fix and ask.hold:
        raise UsageError("--fix and --hold exclude each other", hint="Fix the hang, or keep it to look at.")
    if view.json and view.plain:
        raise UsageError("--json and --plain exclude each other")
    _require_linux()
    if ask.yes and not ask.fix:
        raise UsageError("--yes allows a fix to end database sessions, and none is asked for", hint="Add --fix.")
    strategy = _strategy(ask.fix_with)
    if ask.fix_with and not ask.fix:
        raise UsageError(f"--fix-with {strategy} says how to fix, but not that you want it", hint="Add --fix.")
    _require_fit(view)
    on_hang: OnHang = "fix" if ask.fix else "hold" if ask.hold or view.in_app else "end"
    opening = RunOpening(
        Wish(
            scenario=name or scenarios.DEFAULT,
            flags=flags,
            on_hang=on_hang,
            strategy=strategy,
            yes=ask.yes,
            record=view.record,
        )
    )
    return _show(opening, view)


def _require_fit(view: View) -> None:
    if view.tour and not view.in_app:
        raise UsageError("--tour is for the app, which needs a terminal", hint="Leave --plain and --json out.")
    if view.record is not None and view.in_app and not view.record.absolute().parent.is_dir():
        raise UsageError(f"{view.record} cannot be written: there is no such folder")


def _show(opening: RunOpening | ResumeOpening, view: View) -> int:
    """In the app, or in a plain front end."""
    if view.in_app:
        from .. import launch

        return launch.show(opening, tour=view.tour)
    return _show_plainly(opening.open(), view)


def _strategy(word: str | None) -> Strategy:
    if word is None:
        return Strategy.SERIAL
    try:
        return Strategy(word)
    except ValueError:
        known = tuple(str(strategy) for strategy in Strategy)
        raise UsageError(f"there is no fix {word}", hint=nearest(word, known)) from None


def _require_linux() -> None:
    if sys.platform != "linux":
        raise UsageError("the pipeline runs on Linux only", hint="Use a Linux machine or container.")


def _show_plainly(session: Session, view: View) -> int:
    """Feeds the front end; a signal, or a reader of ours that went away, ends the run and what it started."""

    def end(number: int, frame: FrameType | None) -> None:
        session.cancel(signal.Signals(number))
        if session.interruptible:
            raise KeyboardInterrupt

    from .. import jsonl
    from ..plain import Plain

    before = {number: signal.signal(number, end) for number in terminal.ENDING}
    stream = session.events()
    try:
        return jsonl.show(stream) if view.json else Plain().show(stream)
    finally:
        stream.close()  # type: ignore[attr-defined]
        for number, handler in before.items():
            signal.signal(number, handler)


def resume(run_name: str | None, flags: Mapping[str, Any], fix_with: str | None, view: View) -> int:
    """Takes up a run from its spool; 0 when there is nothing to take up."""
    strategy = _strategy(fix_with)
    if strategy in (Strategy.RELEASE, Strategy.UNBLOCK):
        raise UsageError(f"{strategy} is for a live run, and there is none", hint="Use serial, or leave it out.")
    spool = _find(run_name)
    if spool is None or spool.manifest.stage == "verified":
        which = f"run {spool.manifest.run} is complete" if spool else _nothing_unfinished()
        sys.stderr.write(f"{which}: there is nothing to resume.\n")
        return 0
    on_hang: OnHang = "hold" if view.in_app else "end"
    wish = Wish(on_hang=on_hang, strategy=strategy, record=view.record)
    return _show(ResumeOpening(spool, _resolved_anew(spool, flags), wish), view)


def _resolved_anew(spool: Spool, flags: Mapping[str, Any]) -> Resolved:
    """The run's own settings, under what may be said anew at a resume by flags and variables."""
    variables = {name: os.environ[name] for key in flags if (name := ENV_PREFIX + key.upper()) in os.environ}
    before = {key: value for key, value in msgspec.to_builtins(spool.manifest.settings).items() if value is not None}
    if spool.manifest.secret_dsn and not flags.get("dsn") and ENV_PREFIX + "DSN" not in variables:
        flags = {**flags, "dsn": _dsn_of_config(before["dsn"])}
    resolved = resolve(
        flags=with_absolute_paths(flags), environment=variables, scenario=before, scenario_name=spool.manifest.run
    )
    if spool.manifest.secret_dsn and resolved.origins["dsn"] == spool.manifest.run:
        raise UsageError(
            f"run {spool.manifest.run} used a DSN with a password, which is not written down",
            hint="Give --dsn, or CVDEBUG_DSN, again.",
        )
    return resolved


def _dsn_of_config(without: str) -> str | None:
    """The config file's DSN with its password, where it is the one that a run had; `without` is that without it."""
    from ...core.database.dsn import without_password

    dsn = load().standing.get("dsn")
    return dsn.value if dsn is not None and without_password(dsn.value) == without else None


def _nothing_unfinished() -> str:
    used = [spool.manifest.run for spool in spools() if spool.manifest.stage != "verified" and in_use(spool.path)]
    return f"run {used[0]} is in use by another cvdebug" if used else "no run is unfinished"


def _find(name: str | None) -> Spool | None:
    """The spool of a run, or the newest unfinished one that nobody uses."""
    found = spools()
    if name is None:
        return next((s for s in found if s.manifest.stage != "verified" and not in_use(s.path)), None)
    for spool in found:
        if spool.manifest.run == name:
            return spool
    if (runs_folder() / name / "manifest.json").exists():
        return Spool.open(runs_folder() / name)  # says what is wrong with it
    hint = nearest(name, [spool.manifest.run for spool in found]) if found else "No run has left anything behind."
    raise UsageError(f"there is no run {name}", hint=hint)


def list_runs() -> None:
    """Prints the runs that left a spool."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    found = spools()
    if not folders():
        console.print("No run has left anything behind.")
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("run", "scenario", "state", "chunks", "embedded", "size"):
        table.add_column(heading, no_wrap=True, justify="right" if heading in _NUMBERS else "left")
    for spool in found:
        manifest = spool.manifest
        table.add_row(
            *(Text(clean(text)) for text in (manifest.run, Path(manifest.scenario).stem, _state(spool))),
            f"{manifest.chunks:,}",
            _embedded(spool),
            size(sum(file.stat().st_size for file in spool.path.iterdir())),
        )
        spool.close()
    console.print(table)
    for path in folders():
        if path not in {spool.path for spool in found}:
            console.print(Text(f"{path.name}  damaged, or of another version of cvdebug"))
    console.print(
        "cvdebug resume RUN finishes one, cvdebug replay RUN shows it again; cvdebug runs prune removes those that "
        "nobody uses.",
        style="dim",
    )


_NUMBERS = ("chunks", "embedded", "size")


def _embedded(spool: Spool) -> str:
    try:
        return f"{spool.progress()[0]:,}"
    except (SpoolError, OSError):
        return "damaged"


def _state(spool: Spool) -> str:
    if in_use(spool.path):
        return "in use"
    return "complete" if spool.manifest.stage == "verified" else "unfinished"


def prune(run_name: str | None) -> None:
    """Removes spools that nobody uses."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    if run_name is not None:
        candidates = [path for path in folders() if path.name == run_name]
        if not candidates:
            raise UsageError(f"there is no run {run_name}", hint="cvdebug runs lists them.")
    else:
        candidates = folders()
    removed = 0
    for path in candidates:
        try:
            _remove(path)
            removed += 1
        except SpoolError as error:
            console.print(Text(f"kept {path.name}: {error}"))
    console.print(f"Removed {removed} {'run' if removed == 1 else 'runs'}.")


def _remove(path: Path) -> None:
    """Removes a spool that nobody uses. Raises SpoolError when somebody does."""
    if in_use(path):
        raise SpoolError("another cvdebug uses it")
    hidden = path.rename(path.with_name("." + path.name))  # nobody resumes it while it goes
    shutil.rmtree(hidden)


def list_scenarios(*, json: bool) -> None:
    """Prints the shipped scenarios with what they teach and how they end."""
    known = [scenarios.load(name) for name in scenarios.names()]
    if json:
        sys.stdout.write(msgspec.json.encode(known).decode() + "\n")
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    for scenario in known:
        console.print(Text.assemble((scenario.name, "bold cyan"), f"  {scenario.title}"))
        console.print(Text("  " + " ".join(scenario.teaches.split()), style="dim"))
        for end in scenario.expect:
            what = f", {end.verdict} in {end.phase}" if end.verdict else f", stops in {end.phase}" if end.phase else ""
            console.print(Text(f"  {end.asked}: exit code {end.exit_code}{what}"))
        console.print()


def show_scenario(name: str) -> None:
    """Prints a scenario's file as it is."""
    sys.stdout.write(scenarios.text(name))
