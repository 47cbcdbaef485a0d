"""`config`: where the settings come from, where the config file is, and whether it is right."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from ...core import config, scenario
from ...core.errors import ExitCode, UsageError
from ...core.folders import HOME_VARIABLE
from ...core.secrets import HIDDEN, redact
from ...core.settings import ENV_PREFIX, FIELDS, Resolved, near, resolve
from ..run_opening import check_words
from ..text import clean

_DEFAULT, _UNSET = "default", "–"
# Variables of this prefix that are no settings.
_OTHERS = (HOME_VARIABLE, "CVDEBUG_TRACEBACK")


def path() -> None:
    """Prints where the config file is, or would be."""
    sys.stdout.write(f"{config.path()}\n")


def show(name: str | None, *, json: bool) -> None:
    """Prints every setting as `cvdebug run NAME` would take it, with where it comes from."""
    chosen = scenario.load(name or scenario.DEFAULT)
    resolved = config.in_force(flags={}, scenario=chosen.settings, scenario_name=chosen.path)
    values = {key: _shown(key, getattr(resolved.settings, key)) for key in FIELDS}
    origins = {key: resolved.origins.get(key, _DEFAULT) for key in FIELDS}
    if json:
        file = config.path()
        settings = {
            key: {"value": value, "from": _kind(origins[key], resolved, chosen.path), "where": origins[key]}
            for key, value in values.items()
        }
        told = {"path": str(file), "exists": file.exists(), "scenario": chosen.name, "settings": settings}
        sys.stdout.write(msgspec.json.encode(told).decode() + "\n")
        return
    words = {key: _words(value) for key, value in values.items()}
    first, second = (max(map(len, column)) for column in (words, words.values()))
    for key, value in words.items():
        sys.stdout.write(f"{key:{first}}  {value:{second}}  {clean(origins[key])}\n")


def validate(file: Path | None, *, json: bool) -> int:
    """Says all that is wrong with a config file, and what is odd about it and the variables; the exit code."""
    file = file or config.path()
    try:
        found = config.read(file)
        problems = found.problems or tuple(_disagreements(found))
    except UsageError as error:
        found, problems = config.Config(file, exists=True), (error,)
    notes = [*_notes(found)]
    if json:
        told = {
            "path": str(file),
            "exists": found.exists,
            "problems": [{"what": problem.what, "hint": problem.hint} for problem in problems],
            "notes": notes,
        }
        sys.stdout.write(msgspec.json.encode(told).decode() + "\n")
    else:
        _say(found, problems, notes)
    return ExitCode.USAGE if problems else ExitCode.COMPLETED


def _say(found: config.Config, problems: tuple[UsageError, ...], notes: list[str]) -> None:
    for line in (*map(str, problems), *(f"note: {note}" for note in notes)):
        sys.stderr.write(clean(line) + "\n")
    file = clean(str(found.path))
    if not found.exists:
        sys.stdout.write(f"{file} does not exist, and need not\n")
    elif not problems:
        number = len(found.standing)
        sys.stdout.write(f"{file} is right: {number} {'setting' if number == 1 else 'settings'}\n")


def _disagreements(found: config.Config) -> Iterator[UsageError]:
    """What no line is wrong about by itself: settings that exclude each other, words that the database cannot take."""
    try:
        check_words(resolve(flags={}, environment={}, standing=found.standing))
    except UsageError as error:
        yield UsageError(f"{found.path}: {error.what}", hint=error.hint)


def _notes(found: config.Config) -> Iterator[str]:
    dsn = found.standing.get("dsn")
    if dsn is not None and HIDDEN in _shown("dsn", dsn.value) and _is_open(found.path):
        yield f"{dsn.where}: the dsn holds a password, and others may read the file: chmod 600 {found.path}"
    known = (*(ENV_PREFIX + key.upper() for key in FIELDS), *_OTHERS)
    for variable in sorted(os.environ):
        if variable.startswith(ENV_PREFIX) and variable not in known and (hint := near(variable, known)):
            yield f"the variable {variable} sets nothing. {hint}"


def _is_open(file: Path) -> bool:
    try:
        return bool(file.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH))
    except OSError:
        return False


def _kind(origin: str, resolved: Resolved, scenario_path: str) -> str:
    if origin == _DEFAULT:
        return _DEFAULT
    if origin == scenario_path:
        return "scenario"
    return "config" if origin.startswith(str(config.path())) else "environment"


def _shown(key: str, value: Any) -> Any:
    """A value without its secrets."""
    if key == "dsn" and value is not None:
        from ...core.database.dsn import redact as redact_dsn  # imported here: psycopg is heavy

        return redact_dsn(value)
    return redact(value) if isinstance(value, str) else value


def _words(value: Any) -> str:
    if value is None:
        return _UNSET
    return clean(value) if isinstance(value, str) else str(value).lower()
