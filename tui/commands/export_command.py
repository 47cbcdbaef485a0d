"""`export`: what the app's `x` leaves of a run, made from a recording and without a terminal, the picture excepted."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

from ...core.journal import read
from ...core.replay import find
from ...core.state import RunState, fold
from ..export import export, folder_for, here


def export_recording(word: str, folder: Path | None) -> None:
    """Exports the recording that `word` names; prints the files. Raises CvdebugError."""
    path = find(word)
    state = RunState()
    for event in read(path):
        state = fold(state, event)
    target = folder or folder_for(state, here())
    command = shlex.join(["cvdebug", *sys.argv[1:]])
    files = export(target, state, command=command, events=lambda to: _copy(path, to), picture=None)
    sys.stdout.write("".join(f"{file}\n" for file in files))


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)
