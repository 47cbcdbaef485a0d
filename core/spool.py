"""The spool: the folder of one run, as its observer knows it. What is in it is for `pipeline.content`.

The folder is private to the user (0700) and locked while in use; it never holds a password. Nothing heavy is
imported here: a front end needs it before its first word.
"""

from __future__ import annotations

import contextlib
import fcntl
import secrets
import shutil
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal, Self

import msgspec

from .errors import SpoolError
from .folders import runs_folder
from .served import ServedModel
from .settings import Settings

VERSION = 1
LOCK_PATIENCE_S = 0.3

Stage = Literal["new", "loaded", "tokenized", "verified"]


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a spool is of. `tokenizer` and `embedder` are fingerprints; `settings.dsn` has no password."""

    version: int = VERSION
    run: str
    created_at: float
    scenario: str
    settings: Settings
    stage: Stage = "new"
    tokenizer: str = ""
    embedder: str = ""
    served: ServedModel | None = None  # what a server embeds with, where one does
    secret_dsn: bool = False  # the DSN had a password, which is not written down
    documents: int = 0
    skipped: int = 0
    chunks: int = 0
    tokens: int = 0


class Spool:
    """One run's folder. Open it with `create` or `open`; `close` gives its files and lock back."""

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path = path
        self.manifest = manifest
        self._lock: IO[bytes] | None = None

    # opening, locking, removing

    @classmethod
    def create(cls, *, scenario: str, settings: Settings, secret_dsn: bool = False) -> Self:
        """A new spool, locked, under a run name of its own. `settings` must hold no password."""
        run = time.strftime("%Y%m%d-%H%M%S-") + secrets.token_hex(2)
        folder = runs_folder()
        hidden = folder / f".{run}"  # nobody prunes it before it is locked
        manifest = Manifest(
            run=run, created_at=time.time(), scenario=scenario, settings=settings, secret_dsn=secret_dsn
        )
        try:
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o700)
            hidden.mkdir(mode=0o700)
            spool = cls(hidden, manifest)
            spool.save()
            spool.lock()
            spool.path = hidden.rename(folder / run)
        except OSError as error:
            hint = "Set CVDEBUG_HOME to a folder that you may write to."
            raise SpoolError(f"no spool can be made in {folder} ({error.strerror})", hint=hint) from None
        return spool

    @classmethod
    def open(cls, path: Path) -> Self:
        """The spool in `path`. Raises SpoolError when there is none or another version wrote it."""
        try:
            manifest = msgspec.json.decode((path / "manifest.json").read_bytes(), type=Manifest)
        except msgspec.ValidationError as error:  # whole JSON: a setting has another type or name since then
            raise _of_another_version(path, f" ({error})") from None
        except (OSError, msgspec.MsgspecError) as error:
            raise SpoolError(f"{path} is not the spool of a run ({error})", hint="cvdebug runs lists them.") from None
        if manifest.version != VERSION:
            raise _of_another_version(path)
        return cls(path, manifest)

    def save(self, **changes: Any) -> None:
        """Writes the manifest, with `changes`, in one step."""
        self.manifest = msgspec.structs.replace(self.manifest, **changes)
        new = self.path / "manifest.json.new"
        new.write_bytes(msgspec.json.format(msgspec.json.encode(self.manifest), indent=1))
        new.replace(self.path / "manifest.json")

    def lock(self) -> None:
        """Locks the spool for this process and for whoever inherits `lock_fd`.

        Raises SpoolError when somebody else has it. A glance of `in_use` is waited out.
        """
        if self._lock is not None:
            return
        handle = (self.path / "lock").open("ab")
        deadline = time.monotonic() + LOCK_PATIENCE_S
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() < deadline:
                    time.sleep(0.01)
                    continue
                handle.close()
                raise SpoolError(f"run {self.manifest.run} is in use by another cvdebug") from None
            self._lock = handle
            return

    @property
    def lock_fd(self) -> int:
        """The descriptor that holds the lock: whoever inherits it keeps the spool locked until it ends."""
        if self._lock is None:
            raise SpoolError(f"run {self.manifest.run} is not locked")
        return self._lock.fileno()

    def close(self) -> None:
        """Gives the files and the lock back; the folder stays."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def remove(self) -> None:
        """Closes the spool and deletes its folder."""
        self.close()
        shutil.rmtree(self.path, ignore_errors=True)

    def progress(self) -> tuple[int, int]:
        """How many chunks have a vector, and how many a token count. Raises OSError for a damaged spool."""
        if self.manifest.stage in ("new", "loaded"):
            return 0, 0
        flags, counts = (self.path / "done").read_bytes(), (self.path / "counts").read_bytes()
        counts = counts[: len(counts) // 4 * 4]
        return flags.count(1), sum(1 for count in memoryview(counts).cast("i") if count)


def _of_another_version(path: Path, what: str = "") -> SpoolError:
    hint = f"Resume it with that one, or remove it: cvdebug runs prune {path.name}."
    return SpoolError(f"run {path.name} was written by another version of cvdebug{what}", hint=hint)


def in_use(path: Path) -> bool:
    """Whether some cvdebug holds the lock of the spool in `path`."""
    try:
        with (path / "lock").open("rb") as handle:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # no lock file, or something else of that name: nobody can hold it
        return False
    return False


def spools() -> list[Spool]:
    """The spools of this user that can be read, the newest first."""
    found = []
    for path in folders():
        with contextlib.suppress(SpoolError):
            found.append(Spool.open(path))
    return found


def folders() -> list[Path]:
    """The folders of all runs, readable or not, the newest first."""
    try:
        paths = [path for path in runs_folder().iterdir() if path.is_dir() and not path.name.startswith(".")]
    except OSError:
        return []
    return sorted(paths, reverse=True)
