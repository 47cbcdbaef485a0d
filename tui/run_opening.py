"""Opens a run, or takes one up, for the app: what the flags say is checked here, before there is a screen.

Nothing is started and nothing heavy imported before `open`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from ..core import scenario as scenarios
from ..core.config import in_force
from ..core.errors import UsageError
from ..core.model import Strategy
from ..core.settings import Resolved, is_hub_name
from .scene import Kind

if TYPE_CHECKING:
    from ..core.session import Session
    from ..core.spool import Spool

OnHang = Literal["end", "fix", "hold"]

# What libpq and the table's rules take without a doubt; anything else is looked at by them.
_PAIR = r"(?:(?:host|user)=(?:[\w./-]|%2F)+|port=\d{1,5})"
PLAIN_DSN = re.compile(
    rf"(?:postgres(?:ql)?://(?:[\w.~-]+(?::[\w.~-]*)?@)?[\w.-]*(?::\d{{1,5}})?(?:/[\w-]*)?(?:\?{_PAIR}(?:&{_PAIR})*)?"
    r"|(?:(?:host|port|dbname|user|password)=[\w./-]+ ?)+)?",
    re.ASCII,
)
PLAIN_TABLE = re.compile(r"[a-z_][a-z0-9_]{0,62}\.[a-z_][a-z0-9_]{0,62}")


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What a person asked for. `flags` are the settings that were given; None in them counts as not given."""

    scenario: str = scenarios.DEFAULT
    flags: Mapping[str, Any] = {}
    on_hang: OnHang = "hold"
    strategy: Strategy = Strategy.SERIAL
    yes: bool = False
    record: Path | None = None


class RunOpening:
    """A run of a scenario. Raises UsageError for what cannot be run, before anything is started."""

    kind: Kind = "run"

    def __init__(self, wish: Wish, *, number: int = 1) -> None:
        """`number` counts the runs of one sitting: each has a record of its own."""
        self._wish = wish
        self._number = number
        self.scenario = scenarios.load(wish.scenario)
        self.resolved = in_force(
            flags=with_absolute_paths(wish.flags), scenario=self.scenario.settings, scenario_name=self.scenario.path
        )
        check_words(self.resolved)

    @property
    def name(self) -> str:
        return self.scenario.name

    @property
    def flags(self) -> Mapping[str, Any]:
        """What was asked for, by the names of settings."""
        return {key: value for key, value in self._wish.flags.items() if value is not None}

    def open(self) -> Session:
        """A session that has not begun."""
        record = numbered(self._wish.record, self._number)
        return _session(self.scenario, self.resolved, msgspec.structs.replace(self._wish, record=record))

    def again(self, *, scenario: str | None = None, flags: Mapping[str, Any] = {}) -> RunOpening:
        """The same with other flags, or another scenario under the same flags. Raises UsageError."""
        changed = msgspec.structs.replace(
            self._wish, scenario=scenario or self._wish.scenario, flags={**self._wish.flags, **flags}
        )
        return RunOpening(changed, number=self._number + 1)


class ResumeOpening:
    """A run that is taken up from its spool; to run it again is to run its scenario with its settings from the start.

    Raises UsageError.
    """

    kind: Kind = "run"

    def __init__(self, spool: Spool, resolved: Resolved, wish: Wish) -> None:
        self._spool = spool
        self._wish = wish
        self.resolved = resolved
        self.scenario = scenario_of(spool)
        check_words(resolved)

    @property
    def name(self) -> str:
        return self.scenario.name

    def open(self) -> Session:
        """A session that has not begun."""
        return _session(self.scenario, self.resolved, self._wish, self._spool)

    def again(self, *, scenario: str | None = None, flags: Mapping[str, Any] = {}) -> RunOpening:
        """A run from the start. Raises UsageError."""
        settings = {key: getattr(self.resolved.settings, key) for key in self.resolved.origins}
        wish = msgspec.structs.replace(
            self._wish, scenario=scenario or self._spool.manifest.scenario, flags={**settings, **flags}
        )
        return RunOpening(wish, number=2)


def _session(scenario: scenarios.Scenario, resolved: Resolved, wish: Wish, spool: Spool | None = None) -> Session:
    from ..core.session import Request, Session  # imported here: the first frame does not wait for it

    return Session(
        Request(
            scenario=scenario,
            resolved=resolved,
            on_hang=wish.on_hang,
            strategy=wish.strategy,
            yes=wish.yes,
            record=wish.record,
            spool=spool,
        )
    )


def numbered(record: Path | None, number: int) -> Path | None:
    """Where the record of the run of that number goes: beside the first one's."""
    return record if record is None or number == 1 else record.with_stem(f"{record.stem}-{number}")


def with_absolute_paths(flags: Mapping[str, Any]) -> dict[str, Any]:
    """The subject has another working folder in mind than the caller: paths go out absolute."""
    return {key: _absolute(key, value) for key, value in flags.items()}


def _absolute(key: str, value: Any) -> Any:
    is_path = key == "input" or (key == "tokenizer" and value and not is_hub_name(value))
    return os.path.abspath(os.path.expanduser(value)) if is_path and value else value


def check_words(resolved: Resolved) -> None:
    """Raises UsageError for a table's name or a DSN that cannot be read; what is plainly right is not looked at."""
    settings = resolved.settings
    if not (PLAIN_TABLE.fullmatch(settings.table) and PLAIN_DSN.fullmatch(settings.dsn or "")):
        from ..core.backing import Backing  # the first frame waits for psycopg only where something looks odd

        Backing(settings).check_words()


def scenario_of(spool: Spool) -> scenarios.Scenario:
    """The scenario a run began with; a file that has gone since does not matter, its settings are in the spool."""
    try:
        return scenarios.load(spool.manifest.scenario)
    except UsageError:
        return scenarios.Scenario(title="", teaches="", name=spool.manifest.scenario)
