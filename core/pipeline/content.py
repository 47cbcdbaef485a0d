"""What a spool holds: documents, chunks, vectors, and which of them are done.

Texts and vectors are read and written through memory maps and offsets, so that memory is bounded by the batch.
A done flag is written after its vector: a flag that is set survives kill -9 with the vector it speaks of (not a power
cut).
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import SpoolError
from ..spool import Manifest, Spool

DIMENSIONS = 1024  # of BAAI/bge-large-en-v1.5, and so of the table

_DOCUMENT = np.dtype([("text", "<u8"), ("text_bytes", "<u8"), ("source", "<u8"), ("source_bytes", "<u4")])
_ASKED = np.dtype([("first", "<u4"), ("tokens", "<u4")])
_CHUNK = np.dtype(
    [("document", "<u4"), ("ordinal", "<u4"), ("start", "<u4"), ("end", "<u4"), ("text", "<u8"), ("text_bytes", "<u4")]
)


class Chunk(NamedTuple):
    """A window of a document: characters `start_char` to `end_char` of `source`."""

    source: str
    ordinal: int
    text: str
    start_char: int
    end_char: int


class Content(Spool):
    """A spool with everything in it. Make it with `create` or `open`."""

    def __init__(self, path: Path, manifest: Manifest) -> None:
        super().__init__(path, manifest)
        self._files: dict[str, IO[bytes]] = {}
        self._maps: dict[str, Any] = {}

    def close(self) -> None:
        """Gives files, maps and lock back; the folder stays."""
        self._drop()
        super().close()

    def _drop(self) -> None:
        self._maps.clear()
        for handle in self._files.values():
            handle.close()
        self._files.clear()

    # documents

    def start_documents(self) -> None:
        """Forgets what an earlier, unfinished load wrote."""
        self._drop()
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

    def start_chunks(self) -> None:
        """Forgets what an earlier, unfinished tokenizing wrote."""
        self._drop()
        (self.path / "chunks").write_bytes(b"")

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
        sizes = {"vectors": chunks * DIMENSIONS * 4, "done": chunks, "counts": chunks * 4, "asked": chunks * 8}
        for name, size in sizes.items():
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

    @property
    def asked(self) -> NDArray[Any]:
        """Memory map, shape (chunks,): with which chunk a server's count of tokens begins, plus 1 (`first`; 0: there is
        none), and there how many `tokens` the server counted in all chunks that have the same `first`."""
        asked: NDArray[Any] = self._map("asked", _ASKED, (self.manifest.chunks,))
        return asked

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
                _ = self.vectors, self.done, self.counts, self.asked
        except (OSError, ValueError, IndexError) as error:
            raise SpoolError(
                f"run {self.manifest.run} is damaged ({error})",
                hint="Remove it with cvdebug runs prune, and start a new one.",
            ) from None

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
