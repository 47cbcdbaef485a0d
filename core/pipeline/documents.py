"""The documents of a run: read from a folder or a .jsonl file, or written by the built-in generator.

Files are foreign data. One that cannot be used becomes a `Skipped` with its reason, and reading goes on; only a
path that holds nothing to read is an error. Nothing here waits on a FIFO, opens a device, follows a link to a
folder, or holds more than one document in memory. What is more than plain Unicode text is parsed in a process of its
own (core.pipeline.extraction). tokenizers is never imported here.
"""

from __future__ import annotations

import codecs
import os
import stat
import unicodedata
from collections import Counter
from collections.abc import Iterator
from hashlib import blake2b
from io import BufferedReader
from pathlib import Path
from typing import NamedTuple

import msgspec

from ..errors import InputError
from ..files import NotAFile, TooLarge, read_regular, reason
from . import generate
from .document import Document, Skipped, Unusable
from .extraction import Extraction
from .formats.text import plain

__all__ = ["MAX_BYTES", "Document", "Skipped", "Survey", "generated", "read", "survey"]

MAX_BYTES = 32 << 20
"""Largest file, or line of a .jsonl file, that is read."""

SUFFIXES = (".txt", ".md", ".pdf", ".docx")
_PARSED = (".pdf", ".docx")

_HIDDEN = (".", "~$")  # Word leaves ~$NAME.docx beside a document that is open
_UNREADABLE = "Check the path and its permissions, or give another one."


class _Line(msgspec.Struct):
    """One object of a .jsonl file; other keys are ignored."""

    id: str
    text: str


def generated(cvs: int, seed: int) -> Iterator[Document]:
    """The built-in generator's first `cvs` CVs for `seed`."""
    return (generate.cv(seed, index) for index in range(cvs))


def read(path: Path) -> Iterator[Document | Skipped]:
    """Stream the documents of a folder (its files of SUFFIXES, recursively, sorted) or of a .jsonl file.

    A folder's sources are paths relative to it, a .jsonl file's are the `id`s. Raises InputError, at the first
    item asked for, when `path` is neither, cannot be read, or is a folder without any such file.
    """
    if _is_folder(path):
        with Extraction() as extraction:
            for item in _candidates(path, Counter()):
                yield item if isinstance(item, Skipped) else _document(item, _source(item, path), extraction)
    else:
        yield from _objects(path)


class Survey(NamedTuple):
    """`items`: how many `read` will yield. `others`: files that are no documents, by suffix, the commonest first."""

    items: int
    others: tuple[tuple[str, int], ...] = ()


def survey(path: Path) -> Survey:
    """What there is, without reading the documents of a folder. Raises as `read` does."""
    if _is_folder(path):
        others: Counter[str] = Counter()
        items = sum(1 for _ in _candidates(path, others))
        return Survey(items, tuple((_printable(suffix), number) for suffix, number in others.most_common()))
    with _open_jsonl(path) as file:
        return Survey(sum(1 for _ in _lines(file)))


def _is_folder(path: Path) -> bool:
    """Tell a folder (True) from a .jsonl file (False); InputError when it is neither."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise InputError(
            f"The input {_printable(path)} does not exist",
            hint="Give a folder of .txt, .md, .pdf and .docx files, or a .jsonl file.",
        ) from None
    except (OSError, ValueError) as error:
        raise InputError(f"The input {_printable(path)} cannot be read: {reason(error)}", hint=_UNREADABLE) from error
    if stat.S_ISDIR(mode):
        return True
    if stat.S_ISREG(mode) and path.suffix.lower() == ".jsonl":
        return False
    raise InputError(
        f"The input {_printable(path)} is neither a folder nor a .jsonl file",
        hint="Give the folder that holds the documents, or a .jsonl file with one object a line.",
    )


# --- a folder ---------------------------------------------------------------------------------------------


def _candidates(folder: Path, others: Counter[str]) -> Iterator[Path | Skipped]:
    """Files by suffix below `folder`, sorted, with an explicit stack: trees may be deeper than Python's own. Counts the
    suffixes of the others."""
    found = 0
    stack = _entries(folder, top=folder)
    while stack:
        entry = stack.pop()
        if isinstance(entry, Skipped):
            found += 1
            yield entry
        elif entry.is_dir(follow_symlinks=False):
            stack += _entries(Path(entry), top=folder)
        elif entry.name.lower().endswith(SUFFIXES):
            found += 1
            yield Path(entry)
        else:
            others[Path(entry).suffix.lower() or "no suffix"] += 1
    if not found:
        raise _nothing_in(folder, others)


def _entries(folder: Path, *, top: Path) -> list[os.DirEntry[str] | Skipped]:
    """A folder's visible entries in reverse order, to be popped from the end."""
    try:
        with os.scandir(folder) as scan:
            entries = [entry for entry in scan if not entry.name.startswith(_HIDDEN)]
    except OSError as error:
        if folder == top:
            raise InputError(
                f"The folder {_printable(folder)} cannot be read: {reason(error)}", hint=_UNREADABLE
            ) from error
        return [Skipped(f"{_source(folder, top)}/", f"cannot be read: {reason(error)}")]
    return [*sorted(entries, key=lambda entry: entry.name, reverse=True)]


def _nothing_in(folder: Path, others: Counter[str]) -> InputError:
    found = ", ".join(f"{number} x {_printable(suffix)}" for suffix, number in others.most_common(3))
    return InputError(
        f"The folder {_printable(folder)} holds no document ({f'found {found}' if found else 'it is empty'})",
        hint=f"Documents are {', '.join(SUFFIXES)} files; hidden files are not read.",
    )


def _document(path: Path, source: str, extraction: Extraction) -> Document | Skipped:
    try:
        text, encoding = _text(path, extraction)
        return Document(source, _checked(text), encoding)
    except Unusable as error:
        return Skipped(source, str(error), error.kind)
    except NotAFile as error:
        return Skipped(source, str(error), "too large" if isinstance(error, TooLarge) else "unreadable")
    except OSError as error:
        return Skipped(source, f"cannot be read: {reason(error)}")


def _text(path: Path, extraction: Extraction) -> tuple[str, str]:
    """The text of a file, and its encoding where that had to be guessed."""
    suffix = path.suffix.lower()
    if suffix not in _PARSED and (text := plain(read_regular(path, MAX_BYTES))) is not None:
        return text, ""
    return extraction.text(path, suffix=suffix, max_bytes=MAX_BYTES)


# --- a .jsonl file ----------------------------------------------------------------------------------------


def _objects(path: Path) -> Iterator[Document | Skipped]:
    seen: set[bytes] = set()
    with _open_jsonl(path) as file:
        for number, line in _lines(file):
            try:
                yield _object(line, seen)
            except Unusable as error:
                yield Skipped(f"{_printable(path.name)}:{number}", str(error), error.kind)


def _object(line: bytes, seen: set[bytes]) -> Document:
    """Check one line. `seen` holds eight bytes of each id's digest: a billion ids would collide 3 % of the time."""
    parsed = _parsed(line)
    _checked(parsed.id, what="the id")
    _checked(parsed.text)
    digest = blake2b(parsed.id.encode(), digest_size=8).digest()
    if digest in seen:
        raise Unusable("twice", f"the id {parsed.id[:80]!r} was used before")
    seen.add(digest)
    return Document(parsed.id, parsed.text)


def _parsed(line: bytes) -> _Line:
    if len(line) > MAX_BYTES:
        raise Unusable("too large", f"longer than {MAX_BYTES >> 20} MB")
    try:
        return msgspec.json.decode(line, type=_Line)
    except msgspec.ValidationError as error:
        raise Unusable("broken", f"not an object with the strings id and text: {error}") from None
    except UnicodeDecodeError as error:
        raise Unusable("broken", f"not UTF-8 ({error.reason})") from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise Unusable("broken", f"not JSON: {error}") from None


def _open_jsonl(path: Path) -> BufferedReader:
    try:
        file = path.open("rb")
    except OSError as error:
        raise InputError(f"The file {_printable(path)} cannot be read: {reason(error)}", hint=_UNREADABLE) from error
    if file.peek(2).startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        file.close()
        what = f"The file {_printable(path)} is in UTF-16, and JSON lines are in UTF-8"
        raise InputError(what, hint="Convert it: iconv -f UTF-16 -t UTF-8.")
    return file


def _lines(file: BufferedReader) -> Iterator[tuple[int, bytes]]:
    """Numbered lines that are not blank; of one longer than MAX_BYTES only the first MAX_BYTES + 1 bytes."""
    number = 0
    while line := file.readline(MAX_BYTES + 1):
        number += 1
        rest = line
        while len(rest) > MAX_BYTES and not rest.endswith(b"\n"):
            rest = file.readline(MAX_BYTES + 1)
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if not line.isspace() and line:
            yield number, line


# --- both -------------------------------------------------------------------------------------------------


def _checked(text: str, *, what: str = "the text") -> str:
    """Return what PostgreSQL can hold and a tokenizer can read; Unusable otherwise."""
    if "\0" in text:
        raise Unusable("broken", f"{what} holds a NUL character, which PostgreSQL cannot store")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Unusable("broken", f"{what} holds half of a surrogate pair") from None
    if not any(map(_visible, text)):
        raise Unusable("without text", f"{what} is blank")
    return text


def _visible(character: str) -> bool:
    """Whether a character shows by itself: no space, control or format character, no combining mark."""
    return character.isprintable() and not character.isspace() and not unicodedata.combining(character)


def _source(path: Path, folder: Path) -> str:
    return _printable(path.relative_to(folder).as_posix())


def _printable(name: str | Path) -> str:
    """A name that can be shown and stored: undecodable bytes and control characters become escapes."""
    decoded = os.fsencode(name).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in decoded)
