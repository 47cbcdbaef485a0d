"""Reads the usual forms of `cvdebug run` by itself: typer, with all it imports, takes longer than the first frame may.

What is not plainly right is left to typer, help and complaints above all: nothing is refused here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...core.errors import UsageError
from ...core.settings import FIELDS, checked, flag

SWITCHES = {
    "--fix": "fix", "--yes": "yes", "--hold": "hold", "--tour": "tour", "--keep-spool": "keep_spool", "--pull": "pull"
}  # fmt: skip
# Settings that only a scenario, a variable or the config file sets, and those whose flag has no value.
_NO_FLAG = ("tokenize_in_workers", "fault", *SWITCHES.values())
FLAGS = {flag(key): key for key in FIELDS if key not in _NO_FLAG}
WORDS = {"--fix-with": "fix_with", "--record": "record"}
# Numbers as typer reads them too.
_NUMBERS = {int: re.compile("[0-9]{1,12}"), float: re.compile("[0-9]{1,12}([.][0-9]{1,6})?")}


def read(arguments: Sequence[str]) -> dict[str, Any] | None:
    """What the words after `run` ask for, by the names of the command's parameters; None for anything unusual."""
    found: dict[str, Any] = {}
    words = iter(arguments)
    for word in words:
        name, equals, value = word.partition("=")
        if name in SWITCHES and not equals:
            found[SWITCHES[name]] = True
        elif name in FLAGS or name in WORDS:
            value = value if equals else next(words, "-")
            key = FLAGS.get(name) or WORDS[name]
            if not value or value.startswith("-") or (converted := _converted(key, value)) is None:
                return None
            found[key] = converted
        elif not word.startswith("-") and word and "scenario" not in found:
            found["scenario"] = word
        else:
            return None
    return found


def _converted(key: str, value: str) -> Any:
    """The value as typer would give it; None where that takes more thought."""
    if key == "record":
        return Path(value)
    if key not in FIELDS:
        return value
    try:
        found = checked(key, value, where=flag(key), lax=True)
    except UsageError:
        return None
    form = _NUMBERS.get(type(found))
    return found if form is None or form.fullmatch(value) else None


def run(arguments: Sequence[str]) -> int | None:
    """Runs in the app, where there is a terminal and nothing unusual is asked for: the exit code; None otherwise."""
    from ..terminal import usable

    if not usable() or (asked := read(arguments)) is None:
        return None
    from . import run_commands

    ask = run_commands.HangPolicy(
        fix=asked.pop("fix", False),
        fix_with=asked.pop("fix_with", None),
        hold=asked.pop("hold", False),
        yes=asked.pop("yes", False),
    )
    view = run_commands.View(json=False, plain=False, record=asked.pop("record", None), tour=asked.pop("tour", False))
    return run_commands.run(asked.pop("scenario", None), asked, ask, view)
