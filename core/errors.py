"""Every error that a user can meet, as one small tree.

    CvdebugError                exit 1: it failed, and the sentence says why
    ├── UsageError              exit 2: flags, settings, scenario files
    ├── InputError              a corpus, a document, a tokenizer file
    ├── VectorError             an embedder's output that must not be stored
    ├── EmbedderError           an embedder's server: away, silent, without the model, or refusing a text
    ├── SpoolError              a run's folder: missing, locked, of another run
    ├── WorkerError             a worker ended or failed before its work was done
    ├── DatabaseError           the server or the table
    │   ├── ConnectionLost      the connection went away; the transaction may be tried again
    │   └── TableBusy           somebody else loads this table
    └── ObserveError            a process that cannot be looked at

Each says what happened, why, and what to try. Nothing here prints, and no message holds a password.
"""

from __future__ import annotations

import errno
from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of the command line."""

    COMPLETED = 0
    FAILED = 1
    USAGE = 2
    HANG = 3
    TIMEOUT = 4
    INTERRUPTED = 130


def sentences(*parts: str) -> str:
    """The parts that are not empty as sentences, each with its full stop."""
    return " ".join(part if part.endswith((".", "?", "!")) else part + "." for part in parts if part)


class CvdebugError(Exception):
    """What happened, and what to try next.

    `what` is a sentence without its full stop that holds the reason; `hint` is a sentence of advice.
    """

    exit_code = ExitCode.FAILED

    def __init__(self, what: str, *, hint: str = "") -> None:
        super().__init__(what, hint)
        self.what = what
        self.hint = hint

    def __str__(self) -> str:
        return sentences(self.what, self.hint)


class UsageError(CvdebugError):
    """Flags, settings or a scenario file that make no sense."""

    exit_code = ExitCode.USAGE


class InputError(CvdebugError):
    """A corpus, document or tokenizer file that cannot be used."""


class VectorError(CvdebugError):
    """An embedding that must not be stored: wrong dimension, NaN, Inf or zero norm."""


class EmbedderError(CvdebugError):
    """The server that embeds cannot be used. `text` is the place of the text that it refuses among those it was given,
    None when that is not the reason."""

    def __init__(self, what: str, *, hint: str = "", text: int | None = None) -> None:
        super().__init__(what, hint=hint)
        self.text = text


class SpoolError(CvdebugError):
    """A run's folder that is missing, locked, or belongs to another corpus or embedder."""


class WorkerError(CvdebugError):
    """A worker that ended or failed before its work was done."""


class DatabaseError(CvdebugError):
    """The server or the table cannot take the load."""


class ConnectionLost(DatabaseError):
    """The connection to the server went away; the transaction may be tried again."""


class TableBusy(DatabaseError):
    """Another session holds the table's advisory lock."""


class ObserveError(CvdebugError):
    """A process cannot be looked at."""


def of_system(error: OSError) -> CvdebugError:
    """What the system refused, in a sentence."""
    where = f" ({error.filename})" if error.filename else ""
    is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    hint = "Free some space, or set CVDEBUG_HOME to a folder with more" if is_full else ""
    return CvdebugError(f"the system refused: {error.strerror or error}{where}", hint=hint)
