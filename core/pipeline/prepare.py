"""The phases load and tokenize: documents into the spool, windows over them. Memory is bounded by the batch."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..embedding.lexical import Lexical, fit_idf
from ..embedding.protocol import Embedder
from ..errors import InputError, SpoolError
from ..events import FileSkipped, FilesSkipped, Log, PhaseFinished, PhaseProgress, PhaseStarted, Tokenized
from ..model import Phase
from ..served import ServedModel
from ..settings import Settings
from . import documents
from . import tokenizer as tokenizers
from .content import Content
from .emitter import Emitter
from .fit import window_limit
from .kit import IDF_FILE, Kit, ollama
from .windows import LIMIT, OVERLAP, cut

if TYPE_CHECKING:
    from tokenizers import Tokenizer

BATCH_DOCUMENTS = 64
BATCH_BYTES = 1 << 19  # about 130,000 tokens: some 13 MB of encodings
OTHERS_NAMED = 5
SKIPPED_NAMED = 10_000  # beyond that skipped inputs are only counted


def load(spool: Content, settings: Settings, emitter: Emitter) -> None:
    """Reads every document into the spool. Raises InputError when none can be read."""
    if spool.manifest.stage != "new":
        done, left_out = spool.manifest.documents, spool.manifest.skipped
        if left_out:
            emitter.emit(FilesSkipped(number=left_out))
        emitter.emit(PhaseFinished(phase=Phase.LOAD, done=done, total=done, detail=_loaded(done, left_out), kept=True))
        return
    there = documents.Survey(settings.cvs) if settings.input is None else documents.survey(Path(settings.input))
    emitter.emit(PhaseStarted(phase=Phase.LOAD, total=there.items, unit="documents", detail=_origin(settings)))
    if there.others:
        emitter.emit(Log(text=_left_out(there.others), level="warning"))
    spool.start_documents()
    loaded, kinds = _copy(_read(settings), spool, emitter)
    skipped = sum(kinds.values())
    if skipped:
        emitter.emit(FilesSkipped(number=skipped, kinds=dict(_commonest(kinds))))
    if not loaded:
        raise InputError(
            f"none of the {skipped:,} documents in {settings.input} can be read ({_counted(kinds)})"
            if skipped
            else f"{settings.input} holds no document",
            hint="Each is named above with its reason.",
        )
    spool.flush()
    spool.save(stage="loaded", documents=loaded, skipped=skipped)
    detail = _loaded(loaded, skipped, kinds)
    emitter.emit(PhaseFinished(phase=Phase.LOAD, done=loaded + skipped, total=loaded + skipped, detail=detail))


def _copy(
    items: Iterable[documents.Document | documents.Skipped], spool: Content, emitter: Emitter
) -> tuple[int, Counter[str]]:
    """Puts the documents into the spool and names the others: how many documents, and how many others of each kind."""
    loaded = skipped = 0
    kinds: Counter[str] = Counter()
    encodings: Counter[str] = Counter()
    for item in items:
        if isinstance(item, documents.Skipped):
            skipped += 1
            kinds[item.kind] += 1
            if skipped <= SKIPPED_NAMED:
                emitter.emit(FileSkipped(file=item.source, reason=item.reason, number=skipped))
        else:
            spool.add_document(item.source, item.text)
            loaded += 1
            if item.encoding:
                encodings[item.encoding] += 1
        emitter.emit(PhaseProgress(phase=Phase.LOAD, done=loaded + skipped))
    if encodings:
        files = f"{encodings.total():,} {'file is' if encodings.total() == 1 else 'files are'} not in Unicode"
        emitter.emit(Log(text=f"{files}, and read as what the bytes look like: {_counted(encodings)}"))
    return loaded, kinds


def _loaded(loaded: int, skipped: int, kinds: Counter[str] | None = None) -> str:
    why = f": {_counted(kinds)}" if kinds else ""
    return f"{loaded:,} documents" + (f", {skipped:,} skipped{why}" if skipped else "")


def _left_out(others: Sequence[tuple[str, int]]) -> str:
    """A sentence about files that are no documents, or none that can be read."""
    most = ", ".join(f"{number:,} x {suffix}" for suffix, number in others[:OTHERS_NAMED])
    number = sum(number for _, number in others)
    files = "1 file is" if number == 1 else f"{number:,} files are"
    more = ", …" if len(others) > OTHERS_NAMED else ""
    alone = ". A .jsonl is read where --input names it" if any(suffix == ".jsonl" for suffix, _ in others) else ""
    return f"{files} of a kind that is not read in a folder, and left out: {most}{more}{alone}"


def _counted(kinds: Counter[str]) -> str:
    return ", ".join(f"{number:,} {kind}" for kind, number in _commonest(kinds))


def _commonest(kinds: Counter[str]) -> list[tuple[str, int]]:
    """How many of each, the commonest first."""
    return sorted(kinds.items(), key=lambda item: (-item[1], item[0]))


def _origin(settings: Settings) -> str:
    return settings.input or f"generated CVs, seed {settings.seed}"


def _read(settings: Settings) -> Iterator[documents.Document | documents.Skipped]:
    if settings.input is not None:
        return documents.read(Path(settings.input))
    return documents.generated(settings.cvs, settings.seed)


def tokenize(spool: Content, settings: Settings, emitter: Emitter, served: ServedModel | None = None) -> Kit:
    """Cuts every document into windows and leaves the embedder's weights in the spool; the subject's own kit.

    `served` is what a server embeds with, where one does.
    Calls `encode_batch` in the subject: with parallelism on this starts the native thread pool.
    Raises SpoolError when the spool was made with another tokenizer or embedder.
    """
    total, kept = spool.manifest.documents, spool.manifest.stage != "loaded"
    if not kept:
        emitter.emit(PhaseStarted(phase=Phase.TOKENIZE, total=total, unit="documents", detail=_windows(LIMIT)))
    kit, prints = _own_kit(spool, settings, served)
    if not kept:
        limit = window_limit(spool, kit, served, emitter)
        if limit != LIMIT:
            emitter.emit(PhaseStarted(phase=Phase.TOKENIZE, total=total, unit="documents", detail=_windows(limit)))
        chunks, tokens, elapsed_s = _cut_all(spool, kit.tokenizer, emitter, limit)
        spool.allocate(chunks)
        spool.save(stage="tokenized", chunks=chunks, tokens=tokens, served=served, **prints)
        emitter.emit(Tokenized(tokens=tokens, elapsed_s=elapsed_s, parallelism=settings.parallelism))
    detail = f"{spool.manifest.chunks:,} chunks, {spool.manifest.tokens:,} tokens"
    emitter.emit(PhaseFinished(phase=Phase.TOKENIZE, done=total, total=total, detail=detail, kept=kept))
    return kit


def _own_kit(spool: Content, settings: Settings, served: ServedModel | None) -> tuple[Kit, dict[str, str]]:
    """The subject's kit, with the fingerprints of tokenizer and embedder; the weights go to the spool.

    Raises SpoolError when chunks or vectors of another tokenizer or embedder are there already.
    """
    path = tokenizers.locate(settings.tokenizer, spool.path)
    tokenizer = tokenizers.load(path)
    embedder: Embedder
    if served is not None:
        embedder = ollama(settings, served)
    else:
        idf = fit_idf(tokenizer)
        np.save(spool.path / IDF_FILE, idf)
        embedder = Lexical(tokenizer, idf, batch=settings.tokenize_in_workers)
    prints = {"tokenizer": tokenizers.fingerprint(path), "embedder": embedder.fingerprint()}
    if spool.manifest.stage != "loaded":
        _require_same(spool, prints, served)
    return Kit(tokenizer, embedder), prints


def _require_same(spool: Content, prints: dict[str, str], served: ServedModel | None) -> None:
    """Vectors of two embedders must not meet in one table."""
    before = spool.manifest.served
    if served is not None and before is not None and served.digest != before.digest:
        raise SpoolError(
            f"run {spool.manifest.run} was embedded with {before.words}, and now it would be {served.words}: "
            "the vectors of two digests cannot be mixed",
            hint=f"Give the server the model of digest {before.digest[:12]} again, or start a new run.",
        )
    for what, fingerprint in prints.items():
        if getattr(spool.manifest, what) != fingerprint:
            raise SpoolError(
                f"run {spool.manifest.run} was made with another {what}: its vectors and this one's cannot be mixed",
                hint=f"Resume it with the {what} it began with, or start a new run.",
            )


def _windows(limit: int) -> str:
    return f"windows of {limit} tokens, overlap {OVERLAP}"


def _cut_all(spool: Content, tokenizer: Tokenizer, emitter: Emitter, limit: int) -> tuple[int, int, float]:
    """How many chunks and tokens all documents make in windows of at most `limit` tokens, and the seconds it took."""
    chunks = tokens = empty = 0
    elapsed_s = 0.0
    spool.start_chunks()
    for first, last in _document_batches(spool):
        texts = [spool.document(index) for index in range(first, last)]
        began = time.perf_counter()
        windows = cut(texts, tokenizer, limit=limit)
        elapsed_s += time.perf_counter() - began
        for offset, (text, found) in enumerate(zip(texts, windows, strict=True)):
            chunks += spool.add_chunks(first + offset, text, ((w.start_char, w.end_char) for w in found))
            tokens += sum(window.tokens for window in found)
            empty += not found
        emitter.emit(PhaseProgress(phase=Phase.TOKENIZE, done=last))
    spool.flush()
    if empty:
        emitter.emit(Log(text=f"{empty:,} documents hold no token at all and make no chunk", level="warning"))
    if not chunks:
        raise InputError("no document holds a single token", hint="Look at the input, or use another --tokenizer.")
    return chunks, tokens, elapsed_s


def _document_batches(spool: Content) -> Iterator[tuple[int, int]]:
    """Ranges of documents, each bounded in number and in bytes."""
    sizes = spool.document_bytes()
    first, held = 0, 0
    for index, size in enumerate(sizes):
        if index > first and (index - first >= BATCH_DOCUMENTS or held + int(size) > BATCH_BYTES):
            yield first, index
            first, held = index, 0
        held += int(size)
    if len(sizes):
        yield first, len(sizes)
