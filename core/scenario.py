"""What a scenario file may say, and which scenarios there are.

A scenario is a TOML file: a title, what it teaches, settings, and how runs of it end. Files are read, never executed.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec

from .errors import UsageError
from .files import read_regular, reason, toml
from .settings import Parallelism, absolute, checked, is_hub_name, nearest

DEFAULT = "cv-pipeline"
MAX_BYTES = 1 << 20
_PATHS = ("input", "tokenizer")


class Expectation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a run ends with one position of the toggle, and with these other flags where there are any."""

    parallelism: Parallelism
    exit_code: int
    flags: tuple[str, ...] = ()
    verdict: str = ""
    phase: str = ""

    @property
    def asked(self) -> str:
        """The flags in words."""
        return " ".join((f"--parallelism {self.parallelism}", *self.flags))


class Scenario(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One scenario. `name` and `path` come from the file, not from its text."""

    title: str
    teaches: str
    settings: dict[str, Any] = {}
    expect: tuple[Expectation, ...] = ()
    name: str = ""
    path: str = ""


def names() -> list[str]:
    """The shipped scenarios, the default first."""
    found = sorted(path.name.removesuffix(".toml") for path in _shipped())
    return sorted(found, key=lambda name: name != DEFAULT)


def text(name: str) -> str:
    """The text of a shipped scenario or of a scenario file."""
    return _locate(name)[1]


def load(name: str) -> Scenario:
    """The scenario of that name, or of that file when it is a path.

    Raises UsageError naming file, key and what was expected.
    """
    where, content, base = _locate(name)
    try:
        table = toml(content)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{where} is not valid TOML: {error}") from None
    return _build(table, where=where, name=Path(where).stem, base=base)


def _build(table: dict[str, Any], *, where: str, name: str, base: Path | None) -> Scenario:
    known = ("title", "teaches", "settings", "expect")
    for key in table:
        if key not in known:
            raise UsageError(f"{where}: there is no key {key}", hint=nearest(key, known))
    settings = table.get("settings", {})
    if not isinstance(settings, dict):
        raise UsageError(f"{where}: settings is not a table", hint="Write [settings] and a line for each setting.")
    values = {key: checked(key, value, where=where) for key, value in settings.items()}
    for key in _PATHS:
        if base is not None and values.get(key) and not (key == "tokenizer" and is_hub_name(values[key])):
            values[key] = absolute(values[key], base)
    try:
        scenario = msgspec.convert({**table, "settings": values}, Scenario)
    except msgspec.ValidationError as error:
        raise UsageError(f"{where}: {_readable(error)}") from None
    return msgspec.structs.replace(scenario, name=name, path=where)


def _readable(error: msgspec.ValidationError) -> str:
    what, _, place = str(error).replace("`", "").partition(" - at $.")
    return f"{place}: {what}" if place else what


def _shipped() -> Iterator[Path]:
    for path in resources.files("cvdebug.scenarios").iterdir():
        if path.name.endswith(".toml"):
            yield Path(str(path))


def _locate(name: str) -> tuple[str, str, Path | None]:
    """Where the scenario is, its text, and the folder that its relative paths start from (None: shipped)."""
    if name.endswith(".toml") or "/" in name:
        path = Path(name).expanduser()
        try:
            return str(path), read_regular(path, MAX_BYTES).decode(), path.resolve().parent
        except UnicodeDecodeError:
            raise UsageError(f"{path} is not a text file") from None
        except (OSError, ValueError) as error:
            raise UsageError(f"{path} cannot be read: {reason(error)}") from None
    for shipped in _shipped():
        if shipped.name == name + ".toml":
            return f"{name}.toml", shipped.read_text(encoding="utf-8"), None
    hint = nearest(name, tuple(names())) + " A file of your own is given by its path, ending in .toml."
    raise UsageError(f"there is no scenario {name}", hint=hint)
