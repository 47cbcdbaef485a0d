"""What plain text is: its encoding, and what only pretends to be text."""

from __future__ import annotations

import codecs
import unicodedata

from ..document import Unusable

_BOMS = (  # UTF-32's little-endian mark begins with UTF-16's
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# What CVs were written in before UTF-8, by the names of chardet. Those of DOS and of the old Mac are left out: they fit
# nearly every text, and English ones with a few foreign names were taken for them.
_ENCODINGS = (
    "cp1252", "cp1250", "cp1251", "koi8-r", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "iso8859-2", "cp932",
    "euc_jis_2004", "gb18030", "big5hkscs", "cp949",
)  # fmt: skip
_USUAL = "cp1252"
# Fewer letters outside ASCII say nothing of a language, and cp1252 is by far the commonest.
_FEWEST = 4
# cp1252 is also taken where it is nearly as likely as the best: names of several countries look like none of them.
_NEARLY = 0.75
_ASCII = bytes(range(128))
_CONTROLS = bytes({*range(32), 127} - set(b"\t\n\v\f\r"))
# How files of other kinds begin. https://en.wikipedia.org/wiki/List_of_file_signatures
_SIGNATURES = (
    (b"%PDF-", "a PDF"),
    (b"PK\x03\x04", "a zip archive or an Office document"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office document, or an encrypted one"),
    (b"{\\rtf", "an RTF document"),
    (b"\x89PNG\r\n", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x7fELF", "a program"),
    (b"SQLite format 3\0", "an SQLite database"),
)


def signature(data: bytes) -> str:
    """What kind of file `data` is the beginning of, as "a PDF"; "" when it may be text."""
    return next((kind for magic, kind in _SIGNATURES if data.startswith(magic)), "")


def plain(data: bytes) -> str | None:
    """The text of a file in Unicode, with or without a byte-order mark (left out); None in any other encoding.

    Raises Unusable when the bytes are another kind of file, or not in the encoding that their mark promises.
    """
    if kind := signature(data):
        raise Unusable("of another type", f"is {kind}, and not text")
    mark, encoding = next((found for found in _BOMS if data.startswith(found[0])), (b"", _without_mark(data)))
    try:
        return data[len(mark) :].decode(encoding)
    except UnicodeDecodeError as error:
        if mark:
            place = len(mark) + error.start
            raise Unusable("broken", f"begins as {encoding.upper()}, and byte {place} is not") from None
        return None


def _without_mark(data: bytes) -> str:
    """UTF-16 without its mark shows in Western text: every other byte is zero, and none of those between."""
    if b"\0" in data and len(data) % 2 == 0:
        even, odd = data[::2].count(0), data[1::2].count(0)
        if odd > len(data) // 4 and not even:
            return "utf-16-le"
        if even > len(data) // 4 and not odd:
            return "utf-16-be"
    return "utf-8"


def guessed(data: bytes) -> tuple[str, str]:
    """The text of a file that is not in Unicode, and the encoding that is likeliest from its bytes.

    Raises Unusable when it looks like text in none.
    """
    if len(data.translate(None, _CONTROLS)) < 0.99 * len(data):
        raise Unusable("of another type", "is not text")
    encoding = _USUAL if len(data.translate(None, _ASCII)) < _FEWEST else _likeliest(data)
    try:
        return data.decode(encoding), encoding
    except (UnicodeDecodeError, LookupError):
        raise Unusable("of another type", "is not text in any known encoding") from None


def _likeliest(data: bytes) -> str:
    """What chardet says of the lines that are not plain ASCII: English around a few foreign names would mislead it."""
    from chardet import detect_all

    found = detect_all(
        b"\n".join(line for line in data.split(b"\n") if not line.isascii()),
        include_encodings=_ENCODINGS,
        compat_names=False,
        prefer_superset=False,
        ignore_threshold=True,
        no_match_encoding=_USUAL,
    )
    sure = {each["encoding"]: each["confidence"] for each in found if each["encoding"]}
    best = max(sure, key=lambda encoding: sure[encoding], default=_USUAL)
    return _USUAL if sure.get(_USUAL, 0.0) >= _NEARLY * sure.get(best, 0.0) else best


def tidy(text: str) -> str:
    """Text as a parser found it, fit to be stored: NFC, lines ended by \\n, no control or non-character in it."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").replace("\f", "\n").replace("\v", "\n")
    unfit = {ord(c): None for c in set(lines) if c not in "\n\t" and _unfit(c)}
    return unicodedata.normalize("NFC", lines.translate(unfit) if unfit else lines)


def _unfit(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cs") or ord(character) & 0xFFFE == 0xFFFE
