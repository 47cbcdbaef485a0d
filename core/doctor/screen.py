"""Locale and terminal, as far as output and the app depend on them."""

from __future__ import annotations

import json
import os
import sys

import msgspec

from . import children
from .check import Answer, Machine, note, ok, warning

LEAST_COLUMNS, LEAST_LINES = 60, 16  # below them the app says that it needs more
_VARIABLES = ("LC_ALL", "LC_CTYPE", "LANG")
_TRY_S = 12.0
# In a child, since setlocale is for a whole process, and no thread of another check may see it change.
_LOCALE = """
import json, locale, sys
trouble = ""
try:
    locale.setlocale(locale.LC_ALL, "")
except locale.Error as error:
    trouble = str(error)
print(json.dumps([sys.stdout.encoding, sys.getfilesystemencoding(), trouble]))
"""


class Terminal(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the terminal; no size: there is none."""

    size: tuple[int, int] | None
    term: str = ""


def locale(machine: Machine) -> Answer:
    """The encodings that Python takes from the locale, and whether the system knows that locale."""
    reply = children.ask([machine.python, "-P", "-c", _LOCALE], environment=machine.environment, deadline_s=_TRY_S)
    if reply.code != 0:
        return warning(f"Python could not say: {reply.last_words}")
    output, files, trouble = json.loads(reply.out)
    name = next((machine.environment[key] for key in _VARIABLES if machine.environment.get(key)), "C")
    if not _is_utf8(output) or not _is_utf8(files):
        return warning(f"{name}: output is {output}, names of files are {files}", "export LC_ALL=C.UTF-8")
    if trouble:
        return warning(f"this system does not know the locale {name}", "export LC_ALL=C.UTF-8, or install the locale.")
    return ok(f"{name}, {output}")


def terminal(machine: Machine) -> Answer:
    """The terminal of standard error, on which the app is drawn."""
    try:
        size = os.get_terminal_size(sys.__stderr__.fileno() if sys.__stderr__ else 2)
    except (OSError, ValueError):
        return judged(Terminal(size=None))
    return judged(Terminal(size=(size.columns, size.lines), term=machine.environment.get("TERM", "")))


def judged(found: Terminal) -> Answer:
    """What follows for the app."""
    if found.size is None:
        return note("none: run and attach write lines, and the app needs one")
    columns, lines = found.size
    size = f"{columns}x{lines}"
    if found.term in ("", "dumb"):
        why = f"{size}, but TERM is {found.term or 'not set'}: lines instead of the app"
        return warning(why, "export TERM=xterm-256color")
    if columns and lines and (columns < LEAST_COLUMNS or lines < LEAST_LINES):
        hint = f"Make it {LEAST_COLUMNS}x{LEAST_LINES} or larger, or use --plain."
        return warning(f"{size}: too small for the app", hint)
    return ok(f"{size}, {found.term}")


def _is_utf8(encoding: str) -> bool:
    return encoding.lower().replace("-", "") == "utf8"
