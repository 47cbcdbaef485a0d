"""The text of a PDF, by PDFium: the parser of a browser, made for hostile files."""

from __future__ import annotations

from collections.abc import Iterator

import pypdfium2
from pypdfium2 import raw

from ..document import Unusable
from .text import signature, tidy

_HEAD = 1024  # readers accept the signature that far into a file
# Where a word is broken at the end of a line, PDFium puts this for its hyphen.
_BROKEN_WORD = "\ufffe"


def text(data: bytes, most: int) -> str:
    """The text of all pages in the order in which it is drawn, at most about `most` characters of it.

    A PDF that only restricts what may be done with it, and asks for no password, is read. Raises Unusable.
    """
    if b"%PDF-" not in data[:_HEAD]:
        raise Unusable("of another type", f"is {signature(data) or 'something else'}, and not a PDF")
    try:
        with pypdfium2.PdfDocument(data) as document:
            found = "\n".join(_pages(document, most))
    except pypdfium2.PdfiumError as error:
        raise _unusable(error) from None
    if len(found) > most:
        raise Unusable("too large", f"holds more than {most >> 20} million characters of text")
    if not found.strip():
        raise Unusable("without text", "holds no text: perhaps pictures of pages, which would need OCR")
    return tidy(found.replace(_BROKEN_WORD, ""))


def _pages(document: pypdfium2.PdfDocument, most: int) -> Iterator[str]:
    held = 0
    for number in range(len(document)):
        page = document[number]
        words = page.get_textpage()
        text = words.get_text_bounded()
        words.close()
        page.close()
        yield text
        held += len(text)
        if held > most:
            return


def _unusable(error: pypdfium2.PdfiumError) -> Unusable:
    if error.err_code in (raw.FPDF_ERR_PASSWORD, raw.FPDF_ERR_SECURITY):
        return Unusable("encrypted", "is encrypted: it asks for a password")
    return Unusable("broken", "is a broken PDF")
