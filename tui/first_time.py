"""Whether a person sees the app for the first time: then `?` offers the tour. A file in cvdebug's own folder knows."""

from __future__ import annotations

import contextlib

from ..core.folders import runs_folder

_NAME = "tour-offered"


def is_first() -> bool:
    """Whether this user has not been offered the tour yet."""
    return not (runs_folder().parent / _NAME).exists()


def remember() -> None:
    """The tour has been offered; a folder that cannot be written to only means that it is offered again."""
    path = runs_folder().parent / _NAME
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
