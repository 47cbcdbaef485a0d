"""Every event of what is shown, kept in a file without a name, so that it can be exported after the run is gone.

It may be copied in one thread while another one writes.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from pathlib import Path

from .events import Event, encode


class Recording:
    """Grows on disk and not in memory; it is gone with the process. A full disk ends it, and `trouble` says so."""

    def __init__(self) -> None:
        self.trouble = ""
        self._lock = threading.Lock()
        try:
            self._file = tempfile.TemporaryFile(prefix="cvdebug-")  # noqa: SIM115  (as long as this lives)
        except OSError as error:
            self._stop(error)

    def write(self, event: Event) -> None:
        """Adds one event; never raises."""
        with self._lock:
            if self.trouble:
                return
            try:
                self._file.write(encode(event))
            except OSError as error:
                self._stop(error)

    def copy(self, path: Path) -> None:
        """Writes all of it to `path`. Raises OSError."""
        with self._lock:
            if self.trouble:
                raise OSError(0, self.trouble)
            self._file.seek(0)
            try:
                with path.open("wb") as target:
                    shutil.copyfileobj(self._file, target)
            finally:
                self._file.seek(0, os.SEEK_END)

    def close(self) -> None:
        """Gives the file back; what comes later is not kept."""
        with self._lock:
            if not self.trouble:
                self._file.close()
                self.trouble = "the recording is closed"

    def _stop(self, error: OSError) -> None:
        self.trouble = f"the events could not be kept ({error.strerror})"
