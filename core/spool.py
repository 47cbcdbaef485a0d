"""The spool: the folder of one run, with its documents, chunks, vectors and which of them are done.

Texts and vectors are read and written through memory maps and offsets, so that memory is bounded by the batch.
A done flag is written after its vector: a flag that is set survives kill -9 with the vector it speaks of (not a power
cut). The folder is private to the user (0700) and locked while in use; it never holds a password.
"""

from __future__ import annotations

import contextlib
import fcntl
import math
import os
import secrets
import shutil
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from .errors import SpoolError
from .folders import runs_folder
from .settings import Settings

VERSION = 1
LOCK_PATIENCE_S = 0.3
DIMENSIONS = 1024  # of BAAI/bge-large-en-v1.5, and so of the table

_DOCUMENT = np.dtype([("text", "<u8"), ("text_bytes", "<u8"), ("source", "<u8"), ("source_bytes", "<u4")])
_CHUNK = np.dtype(
    [("document", "<u4"), ("ordinal", "<u4"), ("start", "<u4"), ("end", "<u4"), ("text", "<u8"), ("text_bytes", "<u4")]
)

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
    secret_dsn: bool = False  # the DSN had a password, which is not written down
    documents: int = 0
    skipped: int = 0
    chunks: int = 0
    tokens: int = 0


class Chunk(NamedTuple):
    """A window of a document: characters `start_char` to `end_char` of `source`."""

    source: str
    ordinal: int
    text: str
    start_char: int
    end_char: int


class Spool:
    """One run's folder. Open it with `create` or `open`; `close` gives its files and lock back."""

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path = path
        self.manifest = manifest
        self._lock: IO[bytes] | None = None
        self._files: dict[str, IO[bytes]] = {}
        self._maps: dict[str, Any] = {}

    # opening, locking, removing

    @classmethod
    def create(cls, *, scenario: str, settings: Settings, secret_dsn: bool = False) -> Spool:
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
    def open(cls, path: Path) -> Spool:
        """The spool in `path`. Raises SpoolError when there is none or another version wrote it."""
        try:
            manifest = msgspec.json.decode((path / "manifest.json").read_bytes(), type=Manifest)
        except (OSError, msgspec.MsgspecError) as error:
            raise SpoolError(f"{path} is not the spool of a run ({error})", hint="cvdebug runs lists them.") from None
        if manifest.version != VERSION:
            raise SpoolError(
                f"run {manifest.run} was written by another version of cvdebug",
                hint="Remove it with cvdebug runs prune.",
            )
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
        self.drop_maps()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def __enter__(self) -> Spool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def remove(self) -> None:
        """Closes the spool and deletes its folder."""
        self.close()
        shutil.rmtree(self.path, ignore_errors=True)

    def drop_maps(self) -> None:
        """Forgets open files and maps, so that the next access sees the folder anew."""
        self._maps.clear()
        for handle in self._files.values():
            handle.close()
        self._files.clear()

    # documents

    def start_documents(self) -> None:
        """Forgets what an earlier, unfinished load wrote."""
        self.drop_maps()
        for name in ("texts", "sources", "documents", "chunks"):
            (self.path / name).write_bytes(b"")

    def add_document(self, source: str, text: str) -> None:
        """Appends one document. `source` and `text` must be encodable as UTF-8."""
        texts, sources = self._append("texts"), self._append("sources")
        text_bytes, source_bytes = text.encode(), source.encode()
        row = np.array((texts.tell(), len(text_bytes), sources.tell(), len(source_bytes)), dtype=_DOCUMENT)
        texts.write(text_bytes)
        sources.write(source_bytes)
        self._append("documents").write(row.tobytes())

    def document(self, index: int) -> str:
        """The text of one document."""
        row = self._rows("documents", _DOCUMENT)[index]
        return self._read("texts", row["text"], row["text_bytes"]).decode()

    def document_bytes(self) -> NDArray[np.uint64]:
        """The size of each document's text in bytes, shape (documents,)."""
        sizes: NDArray[np.uint64] = self._rows("documents", _DOCUMENT)["text_bytes"]
        return sizes

    # chunks

    def add_chunks(self, document: int, text: str, spans: Iterable[tuple[int, int]]) -> int:
        """Appends the windows (start, end) in characters of a document's `text`, in order; how many there were."""
        base = int(self._rows("documents", _DOCUMENT)[document]["text"])
        plain = text.isascii()
        char = byte = count = 0
        for ordinal, (start, end) in enumerate(spans):
            byte += (start - char) if plain else len(text[char:start].encode())
            char = start
            size = (end - start) if plain else len(text[start:end].encode())
            row = np.array((document, ordinal, start, end, base + byte, size), dtype=_CHUNK)
            self._append("chunks").write(row.tobytes())
            count += 1
        return count

    def chunk(self, index: int) -> Chunk:
        """One chunk with its text."""
        row = self._rows("chunks", _CHUNK)[index]
        document = self._rows("documents", _DOCUMENT)[row["document"]]
        return Chunk(
            self._read("sources", document["source"], document["source_bytes"]).decode(),
            int(row["ordinal"]),
            self._read("texts", row["text"], row["text_bytes"]).decode(),
            int(row["start"]),
            int(row["end"]),
        )

    def texts(self, indices: Iterable[int]) -> list[str]:
        """The texts of some chunks, in the order asked for."""
        rows = self._rows("chunks", _CHUNK)
        return [self._read("texts", rows[i]["text"], rows[i]["text_bytes"]).decode() for i in indices]

    def name(self, index: int) -> str:
        """How a chunk is called in messages."""
        chunk = self.chunk(index)
        return f"chunk {index} ({chunk.source}, window {chunk.ordinal + 1})"

    # vectors, flags, counts

    def allocate(self, chunks: int) -> None:
        """Reserves the disk space for `chunks` vectors, flags and counts, all zero.

        Raises SpoolError when the disk cannot hold them: a map over a hole would end in SIGBUS later.
        """
        for name, size in (("vectors", chunks * DIMENSIONS * 4), ("done", chunks), ("counts", chunks * 4)):
            with (self.path / name).open("wb") as handle:
                try:
                    os.posix_fallocate(handle.fileno(), 0, size)
                except OSError as error:
                    raise SpoolError(
                        f"the spool in {self.path} cannot hold {size / 1e6:,.0f} MB of {name} ({error.strerror})",
                        hint="Free some space, or set CVDEBUG_HOME to a folder on another disk.",
                    ) from None

    @property
    def vectors(self) -> NDArray[np.float32]:
        """Memory map, shape (chunks, 1024), float32; a row counts only when its done flag is set."""
        vectors: NDArray[np.float32] = self._map("vectors", np.dtype("<f4"), (self.manifest.chunks, DIMENSIONS))
        return vectors

    @property
    def done(self) -> NDArray[np.uint8]:
        """Memory map, shape (chunks,), uint8: 1 when the vector is there."""
        done: NDArray[np.uint8] = self._map("done", np.dtype("u1"), (self.manifest.chunks,))
        return done

    @property
    def counts(self) -> NDArray[np.int32]:
        """Memory map, shape (chunks,), int32: content tokens; 0 when not counted yet."""
        counts: NDArray[np.int32] = self._map("counts", np.dtype("<i4"), (self.manifest.chunks,))
        return counts

    def put_vectors(self, indices: Sequence[int], vectors: NDArray[Any]) -> None:
        """Stores the vectors of some chunks, shape (len(indices), 1024), float32 or float64; then their flags."""
        self.vectors[indices] = vectors
        self.done[indices] = 1

    def check(self) -> None:
        """Raises SpoolError when a file of the spool is not as long as the others say it is."""
        if self.manifest.stage == "new":
            return
        try:
            documents, chunks = self._rows("documents", _DOCUMENT), self._rows("chunks", _CHUNK)
            if len(documents) != self.manifest.documents:
                raise self._damaged("documents")
            last = documents[-1]
            self._read("texts", last["text"], last["text_bytes"])
            self._read("sources", last["source"], last["source_bytes"])
            if self.manifest.stage != "loaded":
                if len(chunks) != self.manifest.chunks:
                    raise self._damaged("chunks")
                _ = self.vectors, self.done, self.counts
        except (OSError, ValueError, IndexError) as error:
            raise SpoolError(
                f"run {self.manifest.run} is damaged ({error})",
                hint="Remove it with cvdebug runs prune, and start a new one.",
            ) from None

    def progress(self) -> tuple[int, int]:
        """How many chunks have a vector, and how many a token count."""
        if self.manifest.stage in ("new", "loaded"):
            return 0, 0
        return int(np.count_nonzero(self.done)), int(np.count_nonzero(self.counts))

    # files

    def flush(self) -> None:
        """Hands what was appended to the operating system, so that it can be read back."""
        for handle in self._files.values():
            handle.flush()
        self._maps.clear()

    def _append(self, name: str) -> IO[bytes]:
        key = "append " + name
        if key not in self._files:
            self._files[key] = (self.path / name).open("ab")
        return self._files[key]

    def _read(self, name: str, offset: int, size: int) -> bytes:
        if name not in self._files:
            self._files[name] = (self.path / name).open("rb")
        data = os.pread(self._files[name].fileno(), int(size), int(offset))
        if len(data) != size:
            raise self._damaged(name)
        return data

    def _rows(self, name: str, dtype: np.dtype[Any]) -> Any:
        if name not in self._maps:
            path = self.path / name
            self._maps[name] = (
                np.memmap(path, dtype=dtype, mode="r") if path.stat().st_size else np.zeros(0, dtype=dtype)
            )
        return self._maps[name]

    def _map(self, name: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Any:
        if name not in self._maps:
            wanted = math.prod(shape) * dtype.itemsize
            if (self.path / name).stat().st_size != wanted:  # numpy would silently extend it
                raise self._damaged(name)
            self._maps[name] = np.memmap(self.path / name, dtype=dtype, mode="r+", shape=shape)
        return self._maps[name]

    def _damaged(self, name: str) -> SpoolError:
        return SpoolError(
            f"the file {name} of run {self.manifest.run} is damaged: it has not the size that the run gave it",
            hint="Remove the run with cvdebug runs prune, and start a new one.",
        )


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
