"""What a shell offers after Tab: names of scenarios, runs and verdicts, and the words that an option takes.

A shell asks at every Tab, so nothing heavy is imported before it is needed, and nothing here fails or writes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from typer.core import TyperCommand

from ...core.errors import UsageError
from ...core.settings import nearest

Completer = Callable[[str], list[str]]
SHELLS = ("bash", "zsh", "fish")
_WORDS = re.compile(r"[a-z0-9]+(?:\|[a-z0-9]+)*")


def of_metavar(metavar: str | None) -> Completer | None:
    """Completes the words of a metavar like `on|off|unset`; None for one that stands for something else."""
    return among(metavar.split("|")) if metavar is not None and _WORDS.fullmatch(metavar) else None


def among(words: Iterable[str]) -> Completer:
    """Completes one of `words`."""
    known = tuple(words)
    return lambda incomplete: [word for word in known if word.startswith(incomplete)]


def scenarios(incomplete: str) -> list[str]:
    """Names of scenarios; nothing, so that the shell offers files, where a path begins."""
    from ...core import scenario

    return among(scenario.names())(incomplete)


def runs(incomplete: str) -> list[str]:
    """Runs that left something behind, the newest first."""
    from ...core.spool import folders

    return among(folder.name for folder in folders())(incomplete)


def verdicts(incomplete: str) -> list[str]:
    """Names of verdicts."""
    from ...core.diagnose.rules import RULES

    return among(RULES)(incomplete)


class WatchCommand(TyperCommand):
    """`watch` reads its own options, before typer is imported; the shell is told of them here."""

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """Items for an option that is being written."""
        from typer._click.shell_completion import CompletionItem

        from .watch_command import OPTIONS

        return [CompletionItem(name, help=how["help"]) for name, how in OPTIONS.items() if name.startswith(incomplete)]


def script(shell: str) -> str:
    """What a shell has to run so that it completes `cvdebug`. Raises UsageError for one that is not known."""
    if shell not in SHELLS:
        raise UsageError(f"there is no completion for {shell}", hint=nearest(shell, SHELLS))
    from typer.completion import get_completion_script  # type: ignore[attr-defined]  # typer means it for its own use

    return get_completion_script(prog_name="cvdebug", complete_var="_CVDEBUG_COMPLETE", shell=shell)
