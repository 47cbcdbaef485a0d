"""The file that `--report` leaves: Markdown for a person or JSON for a program, by its suffix, replaced as a whole.

It is checked before anything is looked at, so that no evidence is gathered in vain.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import CvdebugError, UsageError
from .files import reason

if TYPE_CHECKING:
    from .diagnose.investigate import Finding

SUFFIXES = (".md", ".json")


class EvidenceFile:
    """Where to leave the evidence. `command` is what was run, for the report; its secrets are hidden."""

    def __init__(self, path: Path, *, command: str) -> None:
        """Raises UsageError for another suffix, CvdebugError when the folder cannot be written to."""
        if path.suffix not in SUFFIXES:
            raise UsageError(f"--report {path}: the name ends with neither .md nor .json", hint="The suffix chooses.")
        self.path = Path(os.path.realpath(path))  # a link stays a link
        self._command = command
        folder = self.path.parent
        if not folder.is_dir():
            raise self._refused("there is no such folder")
        if self.path.is_dir():
            raise self._refused("it is a folder")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise self._refused("its folder may not be written to")

    def write(self, finding: Finding, *, at: float, booted_at: float | None = None) -> None:
        """Writes the report, or replaces it; nobody ever sees half of one. `at` is now, in seconds since 1970.

        Raises CvdebugError when it cannot be written.
        """
        from .diagnose import document  # imported here: the judges take a moment, and usage errors should not

        if self.path.suffix == ".json":
            text = json.dumps(document.document(finding, booted_at=booted_at), indent=2) + "\n"
        else:
            text = document.markdown(finding, command=self._command, at=at, booted_at=booted_at)
        try:
            self._replace(text.encode())
        except OSError as error:
            raise self._refused(reason(error)) from None

    def _replace(self, data: bytes) -> None:
        draft = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            with open(draft, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(draft, self.path)
        except BaseException:
            with contextlib.suppress(OSError):
                draft.unlink()
            raise

    def _refused(self, why: str) -> CvdebugError:
        return CvdebugError(f"the report {self.path} cannot be written: {why}")
