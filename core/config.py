"""The config file: a person's standing wishes for every run, in TOML, in the XDG folder.

    ~/.config/cvdebug/config.toml        dsn = "postgresql://me@db.example.org/cvs"
                                         workers = 4

Its keys are those of core.settings.Settings. It comes after flags, CVDEBUG_* variables and the scenario, and where it
does not go with what they say it gives way: it is a default, and no order. A missing file says nothing.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import platformdirs

from .errors import UsageError
from .files import read_regular, reason, toml
from .settings import Resolved, Standing, absolute, checked, is_hub_name, resolve

NAME = "config.toml"
MAX_BYTES = 1 << 20
_PLACE = re.compile(r" \(at line (\d+), column \d+\)$")
_BARE = re.compile(r"[A-Za-z0-9_-]+")


class Config(msgspec.Struct, frozen=True):
    """What a config file says, and what is wrong with it, in the order of its keys."""

    path: Path
    exists: bool = False
    standing: dict[str, Standing] = {}
    problems: tuple[UsageError, ...] = ()


def path() -> Path:
    """Where the file is, or would be."""
    return platformdirs.user_config_path("cvdebug") / NAME


def load() -> Config:
    """The config file. Raises UsageError, which names the file, line and key, for the first thing wrong with it."""
    config = read(path())
    for problem in config.problems:
        more = len(config.problems) - 1
        hint = f"{problem.hint} cvdebug config validate lists {more} more." if more else problem.hint
        raise UsageError(problem.what, hint=hint.strip())
    return config


def read(file: Path) -> Config:
    """What `file` says, with all that is wrong with its keys. Raises UsageError when it is no TOML file."""
    text = _text(file)
    if text is None:
        return Config(file)
    try:
        table = toml(text)
    except tomllib.TOMLDecodeError as error:
        place = _PLACE.search(str(error))
        where = f"{file}:{place.group(1)}" if place else str(file)
        raise UsageError(f"{where}: this is not valid TOML: {_PLACE.sub('', str(error))}") from None
    standing: dict[str, Standing] = {}
    problems = []
    for key, value in table.items():
        where = _where(file, text, key)
        try:
            standing[key] = Standing(_checked(key, value, where=where, base=file.parent), where)
        except UsageError as error:
            problems.append(error)
    return Config(file, exists=True, standing=standing, problems=tuple(problems))


def in_force(
    *,
    flags: Mapping[str, Any],
    scenario: Mapping[str, Any] | None = None,
    scenario_name: str = "scenario",
) -> Resolved:
    """The settings of a run: those of `core.settings.resolve`, above what the config file says. Raises UsageError."""
    return resolve(flags=flags, scenario=scenario, scenario_name=scenario_name, standing=load().standing)


def _text(file: Path) -> str | None:
    """None when there is no such file."""
    try:
        return read_regular(file, MAX_BYTES).decode("utf-8-sig")
    except FileNotFoundError:
        if not file.is_symlink():
            return None
        raise UsageError(f"{file} is a link to nowhere") from None
    except UnicodeDecodeError:
        raise UsageError(f"{file} is not a text file in UTF-8") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"{file} cannot be read: {reason(error)}") from None


def _checked(key: str, value: Any, *, where: str, base: Path) -> Any:
    if isinstance(value, dict):
        hint = "Write the settings at the top of the file, one on each line, in no [section]."
        raise UsageError(f"{where}: {key} is a table, and no setting", hint=hint)
    value = checked(key, value, where=where)
    return absolute(value, base) if key == "input" or (key == "tokenizer" and not is_hub_name(value)) else value


def _where(file: Path, text: str, key: str) -> str:
    """The file, and the line of a key where it stands at the beginning of one: tomllib does not keep places."""
    name = re.escape(key)
    spelt = rf"(?:{name}|\"{name}\"|'{name}')" if _BARE.fullmatch(key) else rf"[\"']{name}[\"']"
    found = re.search(rf"^[ \t]*(?:\[+[ \t]*)?{spelt}[ \t]*[\]=.]", text, re.MULTILINE)
    if found is None:
        return str(file)
    line = text[: found.start()].count("\n") + 1
    return f"{file}:{line}"
