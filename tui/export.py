"""Leaves a run in a folder: its events (to replay), the report in Markdown, the stacks, and a picture of the screen.

Nothing is overwritten; a folder that could not be written whole is said to be so.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from ..core.errors import CvdebugError
from ..core.files import reason
from ..core.run_report import markdown, stacks
from ..core.state import RunState

EVENTS, REPORT, STACKS, PICTURE = "events.jsonl", "verdict.md", "stacks.txt", "screen.svg"


def folder_for(state: RunState, parent: Path) -> Path:
    """A folder that does not exist yet, named after the run or the process."""
    name = f"cvdebug-{state.run or f'pid-{state.subject_pid}'}"
    number, folder = 1, parent / name
    while folder.exists():
        number += 1
        folder = parent / f"{name}-{number}"
    return folder


def export(
    folder: Path, state: RunState, *, command: str, events: Callable[[Path], None], picture: str | None
) -> list[Path]:
    """Writes everything into `folder`, which is made; the files. `events` writes the events to a path.

    Raises CvdebugError, when it cannot be written.
    """
    files = []
    try:
        folder.mkdir(parents=True, mode=0o700)
        events(folder / EVENTS)  # first: all else can be made from it
        files.append(folder / EVENTS)
        texts = {REPORT: markdown(state, command=command), STACKS: "\n".join(stacks(state)) + "\n", PICTURE: picture}
        for name, text in texts.items():
            if text is not None:
                (folder / name).write_text(text, encoding="utf-8", errors="replace")
                files.append(folder / name)
    except OSError as error:
        raise CvdebugError(
            f"the run cannot be exported to {folder}: {reason(error)}",
            hint="Start cvdebug in a folder you may write to.",
        ) from None
    return files


def here() -> Path:
    """Where exports go: the working folder. Raises CvdebugError when there is none any more."""
    try:
        return Path(os.getcwd())
    except OSError as error:
        raise CvdebugError(f"the run cannot be exported to the working folder: {reason(error)}") from None
