"""The manual page, in the man macros of roff, made from the texts that --help shows."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import typer

from ...core.folders import HOME_VARIABLE
from ...core.settings import ENV_PREFIX
from ...core.versions import version
from .watch_command import DESCRIPTION, EPILOG, OPTIONS

EXIT_CODES = {
    "0": "completed; nothing to resume; attach: not hung, or undecided",
    "1": "failed, or cannot be looked at, with a sentence",
    "2": "usage: flags, settings, config file, scenario file",
    "3": "a hang was found (proven, certain or likely) and not fixed",
    "4": "--timeout was over without a verdict",
    "128+N": "ended by signal N (130: Ctrl-C)",
}
VARIABLES = {
    f"{ENV_PREFIX}SETTING": "Sets a setting, as CVDEBUG_WORKERS=4; cvdebug config show lists them all.",
    HOME_VARIABLE: "A folder for spools and the embedded server's data, in place of the user's own.",
    "PG*": "libpq's variables, with --dsn env; those that name its files (PGPASSFILE, PGSERVICEFILE) always.",
    "OLLAMA_HOST": "Where Ollama is, unless --ollama-url says it.",
    "NO_COLOR": "Leaves colours out.",
}
FILES = {
    "~/.config/cvdebug/config.toml": "Settings for every run, one on each line, as workers = 4. Flags, variables and "
    "the scenario come before it.",
    "~/.local/state/cvdebug/runs": "What runs computed, until they are verified.",
}

# What roff would take for something else, or typeset. https://man7.org/linux/man-pages/man7/groff_char.7.html
_ESCAPES = {
    "\\": "\\e", "-": "\\-", "'": "\\(aq", "`": "\\(ga", "~": "\\(ti", "^": "\\(ha", '"': "\\(dq"
}  # fmt: skip


def show(app: typer.Typer) -> None:
    """Shows the page where there is a terminal and `man`; else writes its source to standard output."""
    source = page(app)
    man = shutil.which("man")
    if man is not None and sys.stdout.isatty():
        subprocess.run([man, "--local-file", "-"], input=source.encode(), check=False)
    else:
        sys.stdout.write(source)


def page(app: typer.Typer) -> str:
    """The source of the page."""
    return "\n".join(_page(typer.main.get_command(app))) + "\n"


def _page(top: Any) -> Iterator[str]:
    yield f'.TH CVDEBUG 1 "" "cvdebug {_text(version("cvdebug"))}" "User Commands"'
    yield from (".nh", ".ad l")  # names must not be torn
    yield from _section("NAME", f"cvdebug \\- {_text(_first_sentence(top.help))}")
    yield from (".SH SYNOPSIS", ".B cvdebug", _text(" ".join(top.collect_usage_pieces(_context(top)))))
    yield from _section("DESCRIPTION", *_paragraphs(top.help))
    yield from _options(top)
    yield ".SH COMMANDS"
    yield from _commands(top, "cvdebug")
    for title, items in (("EXIT STATUS", EXIT_CODES), ("ENVIRONMENT", VARIABLES), ("FILES", FILES)):
        yield f".SH {title}"
        for name, what in items.items():
            yield from (".TP", f".B {_text(name)}", _text(what))


def _commands(group: Any, path: str) -> Iterator[str]:
    for name, command in group.commands.items():
        usage = command.collect_usage_pieces(_context(command))
        if name == "watch":
            usage = ["[OPTIONS]", "--", "COMMAND", "[ARGS]..."]
        yield from (f'.SS "{_text(" ".join([path, name, *usage]))}"', *_paragraphs(command.help or ""))
        if name == "watch":
            yield from _watch()
        else:
            yield from _options(command)
        if getattr(command, "commands", None):
            yield from _commands(command, f"{path} {name}")


def _options(command: Any) -> Iterator[str]:
    """The arguments that have a text, and the options, each with its own."""
    for parameter in command.params:
        if not parameter.help or getattr(parameter, "hidden", False):
            continue
        if parameter.param_type_name == "option":
            yield from _item(", ".join(parameter.opts), parameter.metavar, parameter.help)
        else:
            yield from _item(" ".join(parameter.get_usage_pieces(_context(command))), None, parameter.help)


def _watch() -> Iterator[str]:
    yield from _paragraphs(DESCRIPTION)
    for name, how in OPTIONS.items():
        yield from _item(name, how.get("metavar") or "|".join(how.get("choices", ())), how["help"])
    yield from (".P", *_paragraphs(EPILOG))


def _item(names: str, takes: str | None, help: str) -> Iterator[str]:
    yield from (".TP", f".BR {_quoted(names)}" + (f' " " {_quoted(takes)}' if takes else ""), _text(help))


def _context(command: Any) -> Any:
    return command.context_class(command, info_name=command.name)


def _section(title: str, *lines: str) -> Iterator[str]:
    yield from (f".SH {title}", *lines)


def _paragraphs(text: str) -> Iterator[str]:
    """Paragraphs of a text, which empty lines part."""
    for number, paragraph in enumerate(re.split(r"\n\s*\n", text.strip())):
        if number:
            yield ".P"
        yield _text(" ".join(paragraph.split()))


def _first_sentence(text: str) -> str:
    return text.strip().split("\n\n")[0].rstrip(".")


def _text(text: str) -> str:
    """One line of roff that shows `text` as it is."""
    escaped = "".join(_ESCAPES.get(character, character) for character in text)
    return "\\&" + escaped if escaped.startswith(".") else escaped


def _quoted(text: str) -> str:
    return f'"{_text(text)}"'
